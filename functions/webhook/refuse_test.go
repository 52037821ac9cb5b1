package main

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	simsecrets "connexease-functions/pkg/local/sim/secretsmanager"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/secret"
)

func TestHostileAuthorizationHeadersAreRefusedByTheirShape(t *testing.T) {
	w := newWorld(t)
	for header, code := range map[string]string{
		"": "AUTH_002", " ": "AUTH_002", "\t \t": "AUTH_002",
		"Bearer": "AUTH_003", "Bearer ": "AUTH_003", "Basic dXNlcjpwYXNz": "AUTH_003", w.token: "AUTH_003",
		"Bearer\t" + w.token: "AUTH_003", "Bearer " + w.token + " x": "AUTH_003", "Bearer a,Bearer " + w.token: "AUTH_003",
		"Bearer " + w.token + ",Bearer " + w.token: "AUTH_003", "Bearer t\u00f6ken": "AUTH_003", "Bearer a\x00b": "AUTH_003", "Bearer\u00a0" + w.token: "AUTH_003",
		"Bearer " + w.token + "x": "AUTH_001", "Bearer " + w.token[1:]: "AUTH_001", "Bearer " + strings.ToUpper(w.token): "AUTH_001",
		"Bearer undefined": "AUTH_001", "Bearer " + strings.Repeat("a", 8000): "AUTH_001", "Bearer [secret]": "AUTH_001",
	} {
		a, err := w.invoke(event(header, fixture(t, "text")))
		if err != nil || a.Status != http.StatusUnauthorized || a.Code() != code || a.Headers["www-authenticate"] != "Bearer" {
			t.Errorf("%.40q: %d %s %v, want 401 %s", header, a.Status, a.Body, err, code)
		}
		if strings.Contains(a.Body, w.token) {
			t.Errorf("%.40q: the response contains the secret", header)
		}
	}
	for _, header := range []string{"Bearer " + w.token, "bearer " + w.token, "BEARER   " + w.token, "  Bearer " + w.token + " \t"} {
		if a, err := w.invoke(event(header, fixture(t, "text"))); err != nil || a.Status != 200 {
			t.Errorf("%q: %d %s", header, a.Status, a.Body)
		}
	}
	if n := len(w.items()); n != 1 {
		t.Errorf("refused requests left items: %d", n)
	}
}

func TestHeaderNamesAreReadInAnyCase(t *testing.T) {
	w := newWorld(t)
	e := event("", fixture(t, "text"))
	e["headers"] = map[string]string{"Authorization": "Bearer " + w.token, "Content-Type": "application/json"}
	if a, err := w.invoke(e); err != nil || a.Status != 200 {
		t.Errorf("%d %s %v", a.Status, a.Body, err)
	}
}

func TestBadTokensCauseNoCalls(t *testing.T) {
	w := newWorld(t)
	before := len(calls(w))
	for range 50 {
		if a, _ := w.invoke(event("Bearer wrong", "{}")); a.Status != 401 {
			t.Fatal(a.Body)
		}
	}
	// The first load reads both versions, and so does the one early refresh.
	if n := len(calls(w)) - before; n > 4 {
		t.Errorf("50 bad tokens caused %d calls to Secrets Manager", n)
	}
	if n := w.database.Calls.Load(); n != 0 {
		t.Errorf("50 bad tokens caused %d calls to DynamoDB", n)
	}
}

func calls(w *world) (own []simsecrets.Call) {
	for _, c := range harness.Backends.Secrets.Calls() {
		if c.SecretID == w.secret {
			own = append(own, c)
		}
	}
	return own
}

func TestRotationRefusesNoValidRequest(t *testing.T) {
	w := newWorld(t)
	w.stored(fixture(t, "text"), 1)
	old := w.token
	w.token = "test-secret-new"
	harness.Backends.Secrets.Put(w.secret, w.token)
	w.stored(fixture(t, "text"), 1) // the new secret is accepted at once: a mismatch refreshes early
	for _, token := range []string{old, w.token, old} {
		if a, _ := w.invoke(event("Bearer "+token, fixture(t, "text"))); a.Status != 200 {
			t.Errorf("%s: %d", token, a.Status)
		}
	}
	if !strings.Contains(w.logs.String(), `"PreviousSecretUsed":1`) {
		t.Error("no metric shows that the previous secret is still used")
	}
	// Putting two new values revokes the first secret at once: it is neither current nor previous.
	harness.Backends.Secrets.Put(w.secret, "test-secret-a")
	harness.Backends.Secrets.Put(w.secret, "test-secret-b")
	w.build(harness.Backends.DynamoDBURL)
	if a, _ := w.invoke(event("Bearer "+old, "{}")); a.Status != 401 {
		t.Errorf("a revoked secret: %d", a.Status)
	}
}

func TestThePreviousSecretIsRefusedAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := fakeSource{secret.Current: {Value: secret.NewValue("new"), Created: time.Now()}, secret.Previous: {Value: secret.NewValue("old")}}
		cache := secret.NewCache(auth.Rotating(source, time.Hour, time.Now), secret.DefaultLimits, time.Now)
		v := auth.NewVerifier(cache, time.Now)
		if r, err := v.Verify(t.Context(), "Bearer old"); err != nil || r.Name != auth.NamePrevious {
			t.Errorf("within the grace: %v %v", r, err)
		}
		<-time.After(time.Hour) // on the test's own clock
		if _, err := v.Verify(t.Context(), "Bearer old"); !errors.Is(err, auth.ErrWrong) {
			t.Errorf("after the grace: %v", err)
		}
		if r, err := v.Verify(t.Context(), "Bearer new"); err != nil || r.Name != auth.NameCurrent {
			t.Errorf("the current one: %v %v", r, err)
		}
	})
}

// toStrangers is all that an unauthenticated caller learns.
const toStrangers = `{"isSuccess":false,"errors":{"code":"SVC_001","group":"SERVICE_UNAVAILABLE","description":"A secret of this installation is not available. Its log says what to run."}}`

func TestAnUnusableSecretIsLoggedWithItsFixAndNotRevealedToStrangers(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(w *world){
		"never put": func(w *world) { harness.Backends.Secrets.Delete(w.secret); harness.Backends.Secrets.Create(w.secret) },
		"deleted":   func(w *world) { harness.Backends.Secrets.Delete(w.secret) },
		"blank":     func(w *world) { harness.Backends.Secrets.Put(w.secret, " \n") },
		// A value that a header cannot carry would mean 401 forever.
		"a blank inside":    func(w *world) { harness.Backends.Secrets.Put(w.secret, w.token+" x") },
		"a byte order mark": func(w *world) { harness.Backends.Secrets.Put(w.secret, "\ufeff"+w.token) },
		"a control":         func(w *world) { harness.Backends.Secrets.Put(w.secret, w.token+"\x00") },
		"not ASCII":         func(w *world) { harness.Backends.Secrets.Put(w.secret, w.token+"ü") },
		"the console's":     func(w *world) { harness.Backends.Secrets.Put(w.secret, `{"key":"`+w.token+`"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			a := w.deliver(fixture(t, "text"))
			if a.Status != 503 || a.Body != toStrangers || !strings.Contains(w.logs.String(), "aws secretsmanager put-secret-value --secret-id "+w.secret+" ") {
				t.Errorf("%d %s, logged %s", a.Status, a.Body, w.logs.String())
			}
			if a, _ := w.invoke(event("Bearer ", "{}")); a.Code() != "AUTH_003" {
				t.Errorf("a blank token with a blank secret: %s", a.Body)
			}
		})
	}
}

func TestALoadedSecretIsStillUsedWhileSecretsManagerIsAway(t *testing.T) {
	t.Parallel()
	proxied := func() *world {
		w := newWorld(t)
		w.secrets = harness.NewProxy(t, harness.Backends.SecretsURL)
		w.build(w.database.URL)
		return w
	}
	goAway := func(w *world) {
		w.secrets.Set(func(rw http.ResponseWriter, _ string, _ []byte) bool {
			harness.Refuse(rw, 500, "InternalServiceError")
			return true
		})
	}
	w := proxied()
	w.stored(fixture(t, "text"), 1)
	goAway(w)
	w.stored(fixture(t, "text"), 1)
	if a, _ := w.invoke(event("Bearer wrong", "{}")); a.Status != 401 {
		t.Errorf("a wrong token while Secrets Manager is away: %d %s", a.Status, a.Body)
	}
	fresh := proxied()
	goAway(fresh)
	a := fresh.deliver(fixture(t, "text"))
	if a.Status != 503 || a.Body != toStrangers || !strings.Contains(fresh.logs.String(), "aws secretsmanager get-secret-value --secret-id "+fresh.secret+" ") {
		t.Errorf("unreachable at the first request: %d %s", a.Status, a.Body)
	}
}

func TestBodiesAreDecodedAndBounded(t *testing.T) {
	t.Parallel()
	w := unhurried(t)
	encoded := event("Bearer "+w.token, base64.StdEncoding.EncodeToString([]byte(fixture(t, "text"))))
	encoded["isBase64Encoded"] = true
	if a, _ := w.invoke(encoded); a.Status != 200 {
		t.Errorf("base64: %d %s", a.Status, a.Body)
	}
	encoded["body"] = "%%%"
	if a, _ := w.invoke(encoded); a.Status != 400 || a.Code() != "REQ_001" {
		t.Errorf("no base64: %d %s", a.Status, a.Body)
	}
	large := strings.Repeat("x", api.MaxBody+1)
	if a := w.deliver(large); a.Status != 413 || a.Code() != "REQ_002" {
		t.Errorf("too large: %d %s", a.Status, a.Body)
	}
	encoded["body"] = base64.StdEncoding.EncodeToString([]byte(large))
	if a, _ := w.invoke(encoded); a.Status != 413 {
		t.Errorf("too large in base64: %d", a.Status)
	}
	if a, _ := w.invoke(event("Bearer wrong", large)); a.Status != 401 {
		t.Errorf("a body is looked at before the token: %d", a.Status)
	}
	if a := w.deliver(large[1:]); a.Status != 200 {
		t.Errorf("4 MiB exactly: %d %s", a.Status, a.Body)
	}
}

func TestAnEventThatIsNotARequestIsANamedError(t *testing.T) {
	w := newWorld(t)
	for _, e := range []any{map[string]any{}, []int{1}, "x", map[string]any{"Records": []any{}}, map[string]any{"version": "1.0", "httpMethod": "POST"}} {
		if _, err := w.invoke(e); !errors.Is(err, api.ErrNotHTTP) {
			t.Errorf("%v: %v", e, err)
		}
	}
}

func TestConfigurationNamesEveryFaultyVariable(t *testing.T) {
	_, err := build(func(name string) string {
		return map[string]string{"RETENTION_DAYS": "soon", "PREVIOUS_SECRET_GRACE_HOURS": "-1"}[name]
	})
	if err == nil {
		t.Fatal("bad configuration started")
	}
	for _, name := range []string{"TABLE_NAME", "WEBHOOK_SECRET_ID", "OVERFLOW_QUEUE_URL", "RETENTION_DAYS", "PREVIOUS_SECRET_GRACE_HOURS"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %q", name, err)
		}
	}
}
