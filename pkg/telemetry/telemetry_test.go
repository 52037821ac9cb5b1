package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/smithy-go"
)

func TestOnlyWhatIsOnTheListIsWritten(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, "f", time.Now)
	l.Line(context.Background(), slog.LevelInfo, "delivery", slog.String("token", "sesame"), slog.Any("body", "sesame"), slog.String("outcome", "stored"), slog.Group("g", slog.String("reason", "sesame")))
	if strings.Contains(out.String(), "sesame") || !strings.Contains(out.String(), `"outcome":"stored"`) {
		t.Errorf("wrote %s", out.String())
	}
}

func TestASummaryIsOneLineInTheEmbeddedMetricFormat(t *testing.T) {
	var out bytes.Buffer
	l := New(&out, "f", func() time.Time { return time.UnixMilli(1764000000123) })
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "r-1"})
	l.Summary(ctx, slog.LevelWarn, "delivery", []Metric{{"Messages", Count, 2}, {"Merged", Count, 0}, {"Duration", Milliseconds, 1.5}}, slog.String("outcome", "stored"))
	if bytes.Count(out.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("wrote %s", out.String())
	}
	var line struct {
		Timestamp, Level, Message, RequestID, FunctionName, Outcome string
		Messages, Duration                                          float64
		Merged                                                      *float64
		AWS                                                         struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	directive := line.AWS.CloudWatchMetrics[0]
	if line.Level != "WARN" || line.Message != "delivery" || line.RequestID != "r-1" || line.FunctionName != "f" || line.Outcome != "stored" ||
		line.Messages != 2 || line.Duration != 1.5 || line.Merged != nil || line.AWS.Timestamp != 1764000000123 {
		t.Errorf("wrote %s", out.String())
	}
	if got := fmt.Sprint(directive); got != "{Connexease [[FunctionName]] [{Messages Count} {Duration Milliseconds}]}" {
		t.Errorf("the directive is %s", got)
	}
}

func TestAnErrorIsToldByItsCodeOnly(t *testing.T) {
	for want, err := range map[string]error{
		"ThrottlingException": fmt.Errorf("put wa#wamid.X: %w", &smithy.GenericAPIError{Code: "ThrottlingException", Message: "wamid.X"}),
		"DeadlineExceeded":    fmt.Errorf("sesame: %w", context.DeadlineExceeded),
		"Canceled":            fmt.Errorf("sesame: %w", context.Canceled),
		"Other":               errors.New("sesame"),
	} {
		if got := ErrorAttr(err); got.Value.String() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
