package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/local/sim/connexease"
	simsecrets "connexease-functions/pkg/local/sim/secretsmanager"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/secret"
)

// as sends a message with this Authorization header; empty is none.
func (w *world) as(authorization string) harness.Answer {
	w.t.Helper()
	return w.request(harness.Event(routeSend, authorization, hello))
}

// toStrangers is all that an unauthenticated caller is returned.
const toStrangers = `{"isSuccess":false,"errors":{"code":"SVC_001","group":"SERVICE_UNAVAILABLE","description":"A secret of this installation is not available. Its log says what to run."}}`

// fetched counts how often a secret was read.
func fetched(name string) (n int) {
	for _, c := range harness.Backends.Secrets.Calls() {
		if c.SecretID == name && c.Action == "GetSecretValue" {
			n++
		}
	}
	return n
}

func TestEveryKeyOfAClientIsTakenAndNoOther(t *testing.T) {
	w := newWorld(t)
	for _, header := range []string{"Bearer " + clientKey, "bearer   " + clientKey + " ", "BEARER client-key-old", "Bearer " + otherKey} {
		responds(t, header, w.as(header), 200, "")
	}
	if w.posted() != 4 {
		t.Errorf("posted %d", w.posted())
	}
	calls := w.database.Calls.Load()
	for header, code := range map[string]string{
		"": "AUTH_002", "  ": "AUTH_002",
		"Bearer": "AUTH_003", "Bearer ": "AUTH_003", clientKey: "AUTH_003", "Basic " + clientKey: "AUTH_003", "Bearer " + clientKey + ", Bearer x": "AUTH_003", "Bearer schlüssel": "AUTH_003",
		"Bearer wrong": "AUTH_001", "Bearer " + clientKey + "x": "AUTH_001", "Bearer " + clientKey[1:]: "AUTH_001", "Bearer crm": "AUTH_001", "Bearer " + gatewayKey: "AUTH_001",
		"Bearer " + strings.ToUpper(clientKey): "AUTH_001",
	} {
		a := w.as(header)
		responds(t, header, a, 401, code)
		if a.Headers["www-authenticate"] != "Bearer" {
			t.Errorf("%s: returned %+v", header, a)
		}
	}
	if w.posted() != 4 || w.database.Calls.Load() != calls {
		t.Errorf("posted %d, %d calls of DynamoDB", w.posted(), w.database.Calls.Load()-calls)
	}
	// One read at start, and one for each of the six wrong keys but the last: none had been seen
	// before, and five in a second are the most.
	if n := fetched(w.env["CLIENT_KEYS_SECRET_ID"]); n != 6 {
		t.Errorf("the client keys were read %d times", n)
	}
}

func TestClientKeysThatCannotBeReadAreLoggedWithTheirFixAndNotToldToStrangers(t *testing.T) {
	w := newWorld(t)
	good := w.env["CLIENT_KEYS_SECRET_ID"]
	for value, says := range map[string]string{
		"-":                            "No client keys are set.", // no value
		"":                             "No client keys are set.",
		" \n":                          "No client keys are set.",
		clientKey:                      "The client keys are not valid JSON",
		`{"crm":"a"`:                   "The client keys are not valid JSON",
		`{"crm":"a"} {"shop":"b"}`:     "The client keys are not valid JSON",
		`["a"]`:                        "The client keys are not valid JSON",
		`{"crm":"a","shop":"a"}`:       "The client keys are not valid JSON",
		`{"crm":["a","a"]}`:            "The client keys are not valid JSON",
		`{"crm":"a","crm":"b"}`:        "The client keys are not valid JSON",
		`{"crm":""}`:                   "The client keys are not valid JSON",
		`{"crm":[["a"]]}`:              "The client keys are not valid JSON",
		`{"crm":7}`:                    "The client keys are not valid JSON",
		`{"crm":" a"}`:                 "The client keys are not valid JSON",
		`{"a client of ours":"a"}`:     "The client keys are not valid JSON",
		`{"crm":"a b"}`:                "The client keys are not valid JSON",
		`{"crm":"\ufeffa"}`:            "The client keys are not valid JSON",
		`{"crm":"schlüssel"}`:          "The client keys are not valid JSON",
		`{"crm":"a\n"}`:                "The client keys are not valid JSON",
		`{"crm":"{\"key\":\"a\"}"}`:    "The client keys are not valid JSON",
		"\ufeff" + `{"crm":"a"}`:       "The client keys are not valid JSON",
		`{"` + clientKey + `":"crm"`:   "The client keys are not valid JSON",
		`{"crm":"` + clientKey + `",}`: "The client keys are not valid JSON",
	} {
		name := harness.Name("clients")
		if harness.Backends.Secrets.Create(name); value != "-" {
			harness.Backends.Secrets.Put(name, value)
		}
		w.env["CLIENT_KEYS_SECRET_ID"] = harness.Backends.Secrets.ARN(name)
		w.start()
		a := w.as("Bearer " + clientKey)
		responds(t, value, a, 503, "SVC_001")
		if logged := w.logs.String(); !strings.Contains(logged, says) || !strings.Contains(logged, "aws secretsmanager put-secret-value --secret-id "+name+" ") {
			t.Errorf("%s: logged %s", value, logged)
		}
		if a.Body != toStrangers {
			t.Errorf("%s: returned %s", value, a.Body)
		}
		responds(t, "no header", w.as(""), 401, "AUTH_002")
	}
	w.env["CLIENT_KEYS_SECRET_ID"] = harness.Name("never created")
	w.start()
	responds(t, "no secret", w.as("Bearer "+clientKey), 503, "SVC_001")
	w.env["CLIENT_KEYS_SECRET_ID"] = good
	w.start()
	responds(t, "fixed", w.as("Bearer "+clientKey), 200, "")
	if w.posted() != 1 {
		t.Errorf("posted %d", w.posted())
	}
}

func TestNoClientsAtAllIsAStateOfItsOwn(t *testing.T) {
	w := newWorld(t)
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], `{}`)
	w.start()
	responds(t, "nobody", w.as("Bearer "+clientKey), 401, "AUTH_001")
}

// shiftClients gives the handler's cache of client keys the clock of the world.
func (w *world) shiftClients() { w.clientsBy(w.now) }

func (w *world) clientsBy(now func() time.Time) {
	source := secret.Manager{ID: w.env["CLIENT_KEYS_SECRET_ID"], Client: secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		BaseEndpoint: aws.String(harness.Backends.Environment()["AWS_ENDPOINT_URL_SECRETS_MANAGER"]),
	})}
	w.handler.clients = secret.NewCache(auth.Clients(source), secret.DefaultLimits, now)
	w.handler.verifier = auth.NewVerifier(w.handler.clients, now)
}

func TestAKeyTakenOutIsRefusedOnceTheCacheHasExpired(t *testing.T) {
	w := newWorld(t)
	w.shiftClients()
	responds(t, "before", w.as("Bearer client-key-old"), 200, "")
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], `{"crm":"`+clientKey+`"}`)
	responds(t, "cached", w.as("Bearer client-key-old"), 200, "")
	w.pass(5 * time.Minute)
	responds(t, "removed", w.as("Bearer client-key-old"), 401, "AUTH_001")
	responds(t, "with its client", w.as("Bearer "+otherKey), 401, "AUTH_001")
	responds(t, "left", w.as("Bearer "+clientKey), 200, "")
}

func TestANewKeyWorksAtOnce(t *testing.T) {
	w := newWorld(t)
	responds(t, "old", w.as("Bearer client-key-old"), 200, "")
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], `{"crm":["client-key-new","client-key-old"]}`)
	responds(t, "new", w.as("Bearer client-key-new"), 200, "")
	responds(t, "old", w.as("Bearer client-key-old"), 200, "")
}

func TestTheLastGoodClientKeysServeWhileTheNewOnesAreBroken(t *testing.T) {
	w := newWorld(t)
	w.shiftClients()
	responds(t, "before", w.as("Bearer "+clientKey), 200, "")
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], `{"crm":"`+clientKey)
	w.pass(10 * time.Minute)
	responds(t, "broken", w.as("Bearer "+clientKey), 200, "")
	if !strings.Contains(w.logs.String(), `"SecretStaleness":`) {
		t.Errorf("no metric says so: %s", w.logs.String())
	}
	responds(t, "a wrong key meanwhile", w.as("Bearer wrong"), 401, "AUTH_001")
	w.pass(25 * time.Hour)
	responds(t, "broken for a day", w.as("Bearer "+clientKey), 503, "SVC_001")
	harness.Backends.Secrets.Put(w.env["CLIENT_KEYS_SECRET_ID"], `{"crm":"`+clientKey+`"}`)
	w.pass(time.Second)
	responds(t, "fixed", w.as("Bearer "+clientKey), 200, "")
}

func TestSecretsThatCannotBeReadAreLoggedWithTheCommandThatSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.start()
	harness.Backends.Secrets.SetFault(simsecrets.Fault{Status: 400, Code: "AccessDeniedException"})
	defer harness.Backends.Secrets.SetFault(simsecrets.Fault{})
	a := w.as("Bearer " + clientKey)
	responds(t, "client keys", a, 503, "SVC_001")
	if a.Body != toStrangers || !strings.Contains(w.logs.String(), "aws secretsmanager get-secret-value --secret-id "+w.env["CLIENT_KEYS_SECRET_ID"]+" --query CreatedDate") {
		t.Errorf("returned %s, logged %s", a.Body, w.logs.String())
	}
	harness.Backends.Secrets.SetFault(simsecrets.Fault{})
	w.start()
	responds(t, "wrong", w.as("Bearer wrong"), 401, "AUTH_001") // reads the client keys, not the API key
	harness.Backends.Secrets.SetFault(simsecrets.Fault{Status: 400, Code: "AccessDeniedException"})
	a = w.as("Bearer " + clientKey)
	responds(t, "API key", a, 503, "SVC_001")
	if !strings.Contains(a.Body, "aws secretsmanager get-secret-value --secret-id "+w.env["GATEWAY_KEY_SECRET_ID"]+" --query CreatedDate") {
		t.Errorf("returned %s", a.Body)
	}
	if n := w.database.Calls.Load(); n != 0 || w.posted() != 0 {
		t.Errorf("%d calls of DynamoDB, posted %d", n, w.posted())
	}
}

func TestAnAPIKeyWithoutAValueIsToldBeforeAnythingIsClaimed(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"-", "", " \n"} {
		name := harness.Name("gateway")
		if harness.Backends.Secrets.Create(name); value != "-" {
			harness.Backends.Secrets.Put(name, value)
		}
		w.env["GATEWAY_KEY_SECRET_ID"] = harness.Backends.Secrets.ARN(name)
		w.start()
		for _, body := range []string{hello, `{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A"}`} {
			a := w.post(body, "idempotency-key", "idem-no-key")
			responds(t, value, a, 503, "SVC_001")
			if !strings.Contains(a.Body, "aws secretsmanager put-secret-value --secret-id "+name+" --secret-string file:///dev/stdin") {
				t.Errorf("returned %s", a.Body)
			}
		}
	}
	if n := w.database.Calls.Load(); n != 0 || w.posted() != 0 {
		t.Errorf("%d calls of DynamoDB, posted %d", n, w.posted())
	}
}

func TestAnAPIKeyThatNoHeaderCanHoldSendsNothing(t *testing.T) {
	w := newWorld(t)
	good, name := w.env["GATEWAY_KEY_SECRET_ID"], harness.Name("gateway")
	w.env["GATEWAY_KEY_SECRET_ID"] = name
	for value, says := range map[string]string{
		"gateway-key\n1": "no header can hold", "gateway-key 1": "no header can hold", "gateway-schlüssel": "no header can hold",
		"\ufeffgateway-key": "no header can hold", "gateway\x7fkey": "no header can hold", "gateway-key\x001": "no header can hold",
		`{"key":"gateway-key-1"}`: "is JSON", `{ "gateway-key-1" : "" }`: "is JSON", `["gateway-key-1"]`: "is JSON", `"gateway-key-1"`: "is JSON",
	} {
		harness.Backends.Secrets.Put(name, value)
		w.start()
		a := w.post(hello, "idempotency-key", "idem-bad-key")
		responds(t, value, a, 503, "SVC_001")
		if !strings.Contains(a.Body, says) || strings.Contains(a.Body, value) || !strings.Contains(a.Body, "put-secret-value --secret-id "+name+" ") || !strings.Contains(w.logs.String(), "put-secret-value --secret-id "+name+" ") {
			t.Errorf("returned %s", a.Body)
		}
		if n := len(harness.Items(t, w.table)); n != 0 || !strings.Contains(w.logs.String(), `"SecretUnavailable":1`) {
			t.Errorf("%d items, logged %s", n, w.logs.String())
		}
	}
	w.env["GATEWAY_KEY_SECRET_ID"] = good
	w.start()
	responds(t, "fixed", w.post(hello, "idempotency-key", "idem-bad-key"), 200, "")
	if w.posted() != 1 {
		t.Errorf("posted %d", w.posted())
	}
}

func TestAnAPIKeyThatTheGatewayRefusesIsReadAgainOnceAMinute(t *testing.T) {
	w := newWorld(t)
	w.handler.senders.now = w.now
	name := w.env["GATEWAY_KEY_SECRET_ID"]
	responds(t, "first", w.post(hello), 200, "")
	before := fetched(name)

	harness.Backends.Secrets.Put(name, "gateway-key-2") // the Gateway accepts this one only
	a := w.post(hello, "idempotency-key", "idem-rotated")
	responds(t, "rotated", a, 200, "")
	if s := w.lookUp(a.Headers["message-id"]); s.Attempts != 1 || w.posted() != 2 || fetched(name) != before+1 {
		t.Errorf("look-up shows %+v, posted %d, read %d times", s, w.posted(), fetched(name)-before)
	}

	harness.Backends.Secrets.Put(name, "gateway-key-3")
	for range 3 {
		a := w.post(hello, "idempotency-key", "idem-rotated-again")
		responds(t, "within the minute", a, 503, "SVC_003")
		if a.Headers["retry-after"] == "" || w.posted() != 2 || fetched(name) != before+1 {
			t.Errorf("returned %+v, posted %d, read %d times", a, w.posted(), fetched(name)-before)
		}
	}
	w.pass(time.Minute)
	responds(t, "a minute later", w.post(hello, "idempotency-key", "idem-rotated-again"), 200, "")
	if w.posted() != 3 || fetched(name) != before+2 {
		t.Errorf("posted %d, read %d times", w.posted(), fetched(name)-before)
	}

	// A WhatsApp account's credentials are not a key of ours.
	w.pass(time.Hour)
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 401, Body: refusedAs("WABA_001")})
	responds(t, "account", w.post(hello), 401, "WABA_001")
	w.spoil(connexease.Fault{Kind: connexease.Answer, Status: 401, Body: refusedAs("AUTH_001")})
	responds(t, "unchanged", w.post(hello), 503, "SVC_003")
	responds(t, "unchanged", w.post(`{"messaging_product":"whatsapp","status":"read","message_id":"wamid.A"}`), 503, "SVC_003")
	if fetched(name) != before+3 {
		t.Errorf("read %d times", fetched(name)-before)
	}
}
