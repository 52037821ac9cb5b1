package config_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"connexease-functions/pkg/config"
)

func variables(all map[string]string) *config.Variables {
	return config.Read(func(name string) string { return all[name] })
}

func TestEachKindOfFaultNamesItsVariable(t *testing.T) {
	const url, number = "configuration: V must be a URL such as https://host", "configuration: V must be a whole number from 0 to 720"
	for what, c := range map[string]struct {
		value string
		read  func(v *config.Variables)
		want  string
	}{
		"required":            {"x", func(v *config.Variables) { v.Required("V") }, ""},
		"required, not set":   {"", func(v *config.Variables) { v.Required("V") }, "configuration: V is not set"},
		"optional, not set":   {"", func(v *config.Variables) { v.Optional("V") }, ""},
		"an address":          {"https://host/path", func(v *config.Variables) { v.Address("V") }, ""},
		"an address, http":    {"http://127.0.0.1:1", func(v *config.Variables) { v.Address("V") }, ""},
		"an address, not set": {"", func(v *config.Variables) { v.Address("V") }, "configuration: V is not set"},
		"no scheme":           {"host/path", func(v *config.Variables) { v.Address("V") }, url},
		"different scheme":    {"ftp://host", func(v *config.Variables) { v.Address("V") }, url},
		"no host":             {"https:///path", func(v *config.Variables) { v.Address("V") }, url},
		"not a URL":           {"https://ho st", func(v *config.Variables) { v.Address("V") }, url},
		"a number":            {"0", func(v *config.Variables) { v.Number("V", 24, 720) }, ""},
		"the highest":         {"720", func(v *config.Variables) { v.Number("V", 24, 720) }, ""},
		"unset number":        {"", func(v *config.Variables) { v.Number("V", 24, 720) }, ""},
		"one too high":        {"721", func(v *config.Variables) { v.Number("V", 24, 720) }, number},
		"below zero":          {"-1", func(v *config.Variables) { v.Number("V", 24, 720) }, number},
		"a fraction":          {"1.5", func(v *config.Variables) { v.Number("V", 24, 720) }, number},
		"with a unit":         {"24h", func(v *config.Variables) { v.Number("V", 24, 720) }, number},
		"with a space":        {" 24", func(v *config.Variables) { v.Number("V", 24, 720) }, number},
		"far too high":        {"99999999999999999999", func(v *config.Variables) { v.Number("V", 24, 720) }, number},
	} {
		v := variables(map[string]string{"V": c.value})
		c.read(v)
		got := ""
		if err := v.Err(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

func TestEveryFaultyVariableIsNamedAtOnce(t *testing.T) {
	v := variables(map[string]string{"URL": "x", "DAYS": "many", "GOOD": "1"})
	v.Required("TABLE")
	v.Address("URL")
	v.Address("QUEUE")
	v.Number("DAYS", 1, 2)
	v.Number("GOOD", 1, 2)
	const want = "configuration: TABLE is not set; URL must be a URL such as https://host; QUEUE is not set; DAYS must be a whole number from 0 to 2"
	if err := v.Err(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestAVariableIsReturnedUnchanged(t *testing.T) {
	v := variables(map[string]string{"A": " x ", "URL": "https://host/", "N": "7"})
	if a, o, none, url, n, fallback := v.Required("A"), v.Optional("A"), v.Optional("NONE"), v.Address("URL"), v.Number("N", 1, 9), v.Number("NONE", 5, 9); a != " x " || o != " x " || none != "" || url != "https://host/" || n != 7 || fallback != 5 || v.Err() != nil {
		t.Errorf("%q %q %q %q %d %d %v", a, o, none, url, n, fallback, v.Err())
	}
}

func TestAWSClientsFollowTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9",
	} {
		t.Setenv(name, value)
	}
	cfg, err := config.AWS()
	if err != nil || cfg.Region != "eu-west-1" {
		t.Fatalf("%+v, %v", cfg, err)
	}
	c, err := cfg.Credentials.Retrieve(t.Context())
	if err != nil || c.AccessKeyID != "id" || c.SecretAccessKey != "key" || c.SessionToken != "token" {
		t.Errorf("%v", err)
	}
	o := config.DynamoDB(cfg).Options()
	if o.Retryer.MaxAttempts() != 1 || o.BaseEndpoint == nil || *o.BaseEndpoint != "http://127.0.0.1:9" || o.AccountIDEndpointMode != "disabled" {
		t.Errorf("%d attempts at %v", o.Retryer.MaxAttempts(), o.BaseEndpoint)
	}
}

// SAM hands on its user's credentials: without endpoints a function would call that user's account.
func TestSAMLocalWithoutEndpointsIsRefused(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "of-the-user")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of-the-user")
	for _, name := range []string{"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SCHEDULER"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")
	if _, err := config.AWS(); err != nil {
		t.Errorf("in AWS: %v", err)
	}
	t.Setenv("AWS_SAM_LOCAL", "true")
	const want = "configuration: AWS_ENDPOINT_URL_SQS is not set: this would call AWS from sam local. Use the template of: go run ./pkg/local -backends"
	if _, err := config.AWS(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	t.Setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
	if _, err := config.AWS(); err != nil {
		t.Errorf("with endpoints: %v", err)
	}
}

// DynamoDB Local on a busy machine once broke off a response of a stream's records.
func TestAResponseThatBreaksOffIsReadAgain(t *testing.T) {
	const whole = `{"Streams":[{"TableName":"one"}]}`
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		if asked++; asked == 1 {
			io.WriteString(w, whole[:len(whole)-5])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, whole)
	}))
	defer server.Close()
	client := func(r aws.Retryer) *dynamodbstreams.Client {
		return dynamodbstreams.New(dynamodbstreams.Options{
			Region: "eu-west-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), Retryer: r,
		})
	}
	out, err := client(config.Rereading()).ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{})
	if err != nil || len(out.Streams) != 1 || asked != 2 {
		t.Errorf("%v after %d calls", err, asked)
	}
	asked = 0
	if _, err := client(retry.NewStandard()).ListStreams(t.Context(), &dynamodbstreams.ListStreamsInput{}); err == nil {
		t.Error("the SDK reads it again by itself: Rereading is not needed any more")
	}
}
