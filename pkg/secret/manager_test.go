package secret

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// managerOf returns a Manager whose Secrets Manager replies with this.
func managerOf(t *testing.T, status int, reply string) Manager {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ SecretId, VersionStage string } //nolint:revive // the names of Secrets Manager
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.SecretId != "name" || in.VersionStage != Previous || r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
			t.Errorf("%s of %+v, %v", r.Header.Get("X-Amz-Target"), in, err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	}))
	t.Cleanup(server.Close)
	return Manager{ID: "name", Client: secretsmanager.New(secretsmanager.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), Retryer: aws.NopRetryer{},
	})}
}

func TestAVersionIsReadWithoutTheWhiteSpaceAroundIt(t *testing.T) {
	for reply, want := range map[string]string{
		`{"SecretString":"open sesame","CreatedDate":1764000000.5}`:                        "open sesame",
		`{"SecretString":" \r\n\topen sesame\n","CreatedDate":1764000000.5}`:               "open sesame",
		`{"SecretBinary":"b3BlbiBzZXNhbWUK","CreatedDate":1764000000.5}`:                   "open sesame",
		`{"SecretString":"","SecretBinary":"b3BlbiBzZXNhbWU=","CreatedDate":1764000000.5}`: "open sesame",
	} {
		v, err := managerOf(t, http.StatusOK, reply).Fetch(t.Context(), Previous)
		if err != nil || v.Value.Reveal() != want || v.Created.UnixMilli() != 1764000000500 {
			t.Errorf("%s: read %q of %v, %v", reply, v.Value.Reveal(), v.Created, err)
		}
	}
}

func TestOnlyAVersionThatIsNotThereIsMissing(t *testing.T) {
	for what, c := range map[string]struct {
		status  int
		reply   string
		missing bool
	}{
		"no secret":    {400, `{"__type":"ResourceNotFoundException"}`, true},
		"no value":     {200, `{}`, true},
		"white space":  {200, `{"SecretString":" \n"}`, true},
		"blank binary": {200, `{"SecretBinary":"IAo="}`, true},
		"denied":       {400, `{"__type":"AccessDeniedException"}`, false},
		"no key":       {400, `{"__type":"DecryptionFailure"}`, false},
		"broken":       {500, `{"__type":"InternalServiceError"}`, false},
	} {
		v, err := managerOf(t, c.status, c.reply).Fetch(t.Context(), Previous)
		if err == nil || errors.Is(err, ErrMissing) != c.missing || !v.Value.Blank() {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Until there is a value, every request fails: an operator that puts one in need not wait for long.
func TestWithoutAValueAFailedLoadIsRepeatedAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &loader{}
		l.fail(errAway)
		c := NewCache(l.load, DefaultLimits, time.Now)
		for want := int64(1); want <= 3; want++ {
			for range 5 {
				if _, _, err := c.Get(context.Background()); !errors.Is(err, errAway) || l.calls.Load() != want {
					t.Errorf("%v after %d loads, want %d", err, l.calls.Load(), want)
				}
			}
			pass(time.Second)
		}
	})
}
