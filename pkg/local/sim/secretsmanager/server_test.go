package secretsmanager

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"
)

var start = time.UnixMilli(1_700_000_000_250).UTC()

// world is an endpoint, an SDK client for it, and a clock that the test moves.
type world struct {
	*Server
	client *secretsmanager.Client
	url    string
	at     time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{at: start}
	w.Server = New(func() time.Time { return w.at })
	server := httptest.NewServer(w.Server)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.client = secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	return w
}

// get reads one value; stage may be empty.
func (w *world) get(t *testing.T, id, stage string) (*secretsmanager.GetSecretValueOutput, error) {
	t.Helper()
	in := &secretsmanager.GetSecretValueInput{SecretId: aws.String(id)}
	if stage != "" {
		in.VersionStage = aws.String(stage)
	}
	return w.client.GetSecretValue(t.Context(), in)
}

func (w *world) wantValue(t *testing.T, id, stage, want string) {
	t.Helper()
	out, err := w.get(t, id, stage)
	if err != nil || aws.ToString(out.SecretString) != want {
		t.Errorf("%s %s: got %v, %v, want %s", id, stage, out, err, want)
	}
}

// wantError expects an error with a code whose message contains text.
func wantError(t *testing.T, err error, code, text string) {
	t.Helper()
	var failed smithy.APIError
	if !errors.As(err, &failed) || failed.ErrorCode() != code || !strings.Contains(failed.ErrorMessage(), text) {
		t.Errorf("got %v, want %s: %s", err, code, text)
	}
}

func TestASecretIsFoundByNameFullARNAndPartialARN(t *testing.T) {
	w := newWorld(t)
	const name = "shop/webhook-secret" // ends like an ARN's suffix: "-secret"
	w.Put("shop/webhook", "other")
	id := w.Put(name, "hush")
	arn := w.ARN(name)
	for _, given := range []string{name, arn, arn[:len(arn)-7]} {
		out, err := w.get(t, given, "")
		if err != nil {
			t.Fatalf("%s: %v", given, err)
		}
		if *out.SecretString != "hush" || *out.Name != name || *out.ARN != arn || *out.VersionId != id ||
			!slices.Equal(out.VersionStages, []string{"AWSCURRENT"}) || !out.CreatedDate.Equal(start) {
			t.Errorf("%s: got %+v", given, out)
		}
	}
	if !strings.HasPrefix(arn, "arn:aws:secretsmanager:us-east-1:000000000000:secret:"+name+"-") {
		t.Error(arn)
	}
	_, err := w.get(t, arn[:len(arn)-1]+"0", "")
	wantError(t, err, "ResourceNotFoundException", "can't find the specified secret.")
}

func TestAMissingSecretAndAMissingValueDifferByTheMessageOnly(t *testing.T) {
	w := newWorld(t)
	w.Create("empty")
	w.Put("once", "value")
	for _, c := range []struct{ id, stage, text string }{
		{"absent", "", "Secrets Manager can't find the specified secret."},
		{"empty", "", "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT"},
		{"once", "AWSPREVIOUS", "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS"},
	} {
		_, err := w.get(t, c.id, c.stage)
		var missing *types.ResourceNotFoundException
		if !errors.As(err, &missing) || missing.ErrorMessage() != c.text {
			t.Errorf("%s %s: got %v", c.id, c.stage, err)
		}
	}
	if _, ok := w.Current("empty"); ok {
		t.Error("a secret without a value has a current one")
	}
	w.Create("once")
	w.wantValue(t, "once", "", "value")
	w.Delete("once")
	_, err := w.get(t, "once", "")
	wantError(t, err, "ResourceNotFoundException", "specified secret.")
}

func TestPutMovesTheLabelsAndKeepsTheOldVersionByItsID(t *testing.T) {
	w := newWorld(t)
	first := w.Put("key", "one")
	w.at = start.Add(time.Minute)
	w.Put("key", "two")
	w.wantValue(t, "key", "AWSCURRENT", "two")
	w.wantValue(t, "key", "AWSPREVIOUS", "one")
	third := w.Put("key", "three")
	w.wantValue(t, "key", "", "three")
	w.wantValue(t, "key", "AWSPREVIOUS", "two")
	out, err := w.client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("key"), VersionId: &first})
	if err != nil || *out.SecretString != "one" || len(out.VersionStages) != 0 {
		t.Errorf("got %+v, %v", out, err)
	}
	_, err = w.client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("key"), VersionId: &third, VersionStage: aws.String("AWSPREVIOUS")})
	wantError(t, err, "InvalidRequestException", "not associated")
	_, err = w.client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("key"), VersionId: aws.String(strings.Repeat("0", 36))})
	wantError(t, err, "ResourceNotFoundException", "for VersionId")
	if value, ok := w.Current("key"); !ok || value != "three" {
		t.Errorf("current %q %v", value, ok)
	}
}

func TestARepeatedPutChangesNothingAndADifferentOneWithItsTokenIsRefused(t *testing.T) {
	w := newWorld(t)
	w.Create("key")
	put := func(token, value string, stages ...string) (*secretsmanager.PutSecretValueOutput, error) {
		return w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
			SecretId: aws.String("key"), SecretString: &value, ClientRequestToken: &token, VersionStages: stages,
		})
	}
	one, two, three := strings.Repeat("1", 32), strings.Repeat("2", 32), strings.Repeat("3", 32)
	for range 2 {
		out, err := put(one, "a")
		if err != nil || *out.VersionId != one || !slices.Equal(out.VersionStages, []string{"AWSCURRENT"}) {
			t.Fatalf("got %+v, %v", out, err)
		}
	}
	if _, err := put(two, "b"); err != nil {
		t.Fatal(err)
	}
	if out, err := put(one, "a"); err != nil || !slices.Equal(out.VersionStages, []string{"AWSPREVIOUS"}) {
		t.Errorf("got %+v, %v", out, err)
	}
	w.wantValue(t, "key", "", "b")
	_, err := put(one, "changed")
	wantError(t, err, "ResourceExistsException", one)
	if _, err := put(three, "c", "AWSPENDING"); err != nil {
		t.Fatal(err)
	}
	w.wantValue(t, "key", "", "b")
	w.wantValue(t, "key", "AWSPENDING", "c")
	w.wantValue(t, "key", "AWSPREVIOUS", "a")
}

func TestAVersionPutWithALabelOfItsOwnDoesNotReplaceTheCurrentOne(t *testing.T) {
	w := newWorld(t)
	w.Put("key", "old")
	if _, err := w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String("key"), SecretString: aws.String("new"), VersionStages: []string{"AWSPENDING"},
	}); err != nil {
		t.Fatal(err)
	}
	w.wantValue(t, "key", "", "old")
	w.wantValue(t, "key", "AWSPENDING", "new")
}

func TestAnEmptyValueAndATokenOfAnotherLengthAreRefused(t *testing.T) {
	w := newWorld(t)
	w.Put("key", "value")
	for _, c := range []struct{ value, token, code string }{
		{"", strings.Repeat("x", 32), "InvalidRequestException"},
		{"new", strings.Repeat("x", 31), "InvalidParameterException"},
		{"new", strings.Repeat("x", 65), "InvalidParameterException"},
		{"new", "", "InvalidParameterException"},
	} {
		_, err := w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("key"), SecretString: &c.value, ClientRequestToken: &c.token})
		wantError(t, err, c.code, "")
	}
	w.wantValue(t, "key", "", "value")
	for _, n := range []int{32, 64} {
		token := strings.Repeat("x", n)
		out, err := w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("key"), SecretString: aws.String("new"), ClientRequestToken: &token})
		if err != nil || *out.VersionId != token {
			t.Errorf("a token of %d characters: %v", n, err)
		}
	}
}

func TestASecretHasAtMost64KiB(t *testing.T) {
	w := newWorld(t)
	w.Create("key")
	put := func(value string) error {
		_, err := w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("key"), SecretString: &value})
		return err
	}
	largest := strings.Repeat("\x01", 65536) // each byte is six in JSON
	if err := put(largest); err != nil {
		t.Error(err)
	}
	wantError(t, put(largest+"x"), "InvalidParameterException", "65536")
	wantError(t, put(strings.Repeat("x", int(service.MaxRequest))), "InvalidParameterException", "65536")
	w.wantValue(t, "key", "", largest)
	_, err := w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("key")})
	wantError(t, err, "InvalidRequestException", "SecretString")
}

func TestOldVersionsWithoutALabelAreForgottenAndLabelledOnesAreKept(t *testing.T) {
	w := newWorld(t)
	w.Put("key", "first")
	if _, err := w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String("key"), SecretString: aws.String("kept"), VersionStages: []string{"mine"},
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 * maxVersions {
		w.Put("key", "later")
	}
	w.wantValue(t, "key", "mine", "kept")
	if n := len(w.secrets["key"].versions); n != maxVersions {
		t.Errorf("%d versions", n)
	}
}

func TestAFaultReplacesResponsesUntilItIsCleared(t *testing.T) {
	w := newWorld(t)
	w.Put("key", "value")
	for _, f := range []Fault{{Status: 500, Code: "InternalServiceError"}, {Status: 400, Code: "AccessDeniedException"}, {Status: 400, Code: "ThrottlingException"}} {
		w.SetFault(f)
		_, err := w.get(t, "key", "")
		wantError(t, err, f.Code, "")
		var response interface{ HTTPStatusCode() int }
		if !errors.As(err, &response) || response.HTTPStatusCode() != f.Status {
			t.Errorf("%v: got %v", f, err)
		}
	}
	w.SetFault(Fault{Delay: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	came := len(w.Calls())
	failed := make(chan error, 1)
	go func() {
		_, err := w.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("key")})
		failed <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(w.Calls()) == came {
		select {
		case err := <-failed:
			t.Fatalf("a delayed call ended: %v", err)
		case <-tick.C:
		}
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	w.SetFault(Fault{Delay: time.Millisecond})
	w.wantValue(t, "key", "", "value")
	w.SetFault(Fault{})
	w.wantValue(t, "key", "", "value")
}

func TestCallsNameTheActionTheSecretAndTheStage(t *testing.T) {
	w := newWorld(t)
	w.Put("key", "value")
	_, _ = w.get(t, w.ARN("key"), "AWSPREVIOUS")
	_, _ = w.get(t, "absent", "")
	_, _ = w.client.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: aws.String("key")})
	want := []Call{{"GetSecretValue", "key", "AWSPREVIOUS"}, {"GetSecretValue", "absent", ""}, {"PutSecretValue", "key", ""}}
	if got := w.Calls(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestAWebPageCannotReadASecret(t *testing.T) {
	w := newWorld(t)
	w.Put("key", "hush-hush")
	good := map[string]string{"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
	for name, c := range map[string]struct {
		method, header, value, body string
		status                      int
		code                        string
	}{
		"as it should be": {"POST", "", "", `{"SecretId":"key"}`, 200, ""},
		"no target":       {"POST", "X-Amz-Target", "", `{"SecretId":"key"}`, 400, "UnknownOperationException"},
		"other service":   {"POST", "X-Amz-Target", "ssm.GetSecretValue", `{"SecretId":"key"}`, 400, "UnknownOperationException"},
		"other action":    {"POST", "X-Amz-Target", "secretsmanager.Open", `{"SecretId":"key"}`, 400, "UnknownOperationException"},
		"a form's type":   {"POST", "Content-Type", "text/plain", `{"SecretId":"key"}`, 400, "UnknownOperationException"},
		"no type":         {"POST", "Content-Type", "", `{"SecretId":"key"}`, 400, "UnknownOperationException"},
		"a link":          {"GET", "", "", "", 400, "UnknownOperationException"},
		"a preflight":     {"OPTIONS", "", "", "", 400, "UnknownOperationException"},
		"bad JSON":        {"POST", "", "", `{"SecretId":`, 400, "SerializationException"},
		"another shape":   {"POST", "", "", `{"SecretId":["key"]}`, 400, "SerializationException"},
		"no secret":       {"POST", "", "", `{}`, 400, "InvalidParameterException"},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), c.method, w.url, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range good {
				request.Header.Set(key, value)
			}
			if c.header != "" {
				request.Header.Set(c.header, c.value)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != c.status || response.Header.Get("x-amzn-ErrorType") != c.code || response.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("got %d %v %s", response.StatusCode, response.Header, body)
			}
			if strings.Contains(string(body), "hush-hush") != (c.status == 200) || c.code != "" && !strings.Contains(string(body), `"__type":"`+c.code+`"`) {
				t.Errorf("got %s", body)
			}
		})
	}
}
