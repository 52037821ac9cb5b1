package auth_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"connexease-functions/pkg/auth"
	simsecrets "connexease-functions/pkg/local/sim/secretsmanager"
	"connexease-functions/pkg/secret"
)

const secretName, grace = "webhook", 24 * time.Hour

// vault is Secrets Manager with a clock, which denies the stages that a test names.
type vault struct {
	*simsecrets.Server
	source secret.Manager
	ahead  atomic.Int64 // how far its clock is ahead
	denied atomic.Pointer[string]
	aging  atomic.Int64 // how far a denied call moves the clock
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func (v *vault) now() time.Time       { return began.Add(time.Duration(v.ahead.Load())) }
func (v *vault) pass(d time.Duration) { v.ahead.Add(int64(d)) }
func (v *vault) deny(stage string)    { v.denied.Store(&stage) }

func newVault(t *testing.T) *vault {
	t.Helper()
	v := &vault{}
	v.Server = simsecrets.New(v.now)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if stage := v.denied.Load(); stage != nil && bytes.Contains(body, []byte(*stage)) {
			v.pass(time.Duration(v.aging.Load()))
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"AccessDeniedException","message":"no"}`)
			return
		}
		v.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	v.source = secret.Manager{ID: secretName, Client: secretsmanager.New(secretsmanager.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""),
	})}
	return v
}

// stages are the stages that were read, in order.
func (v *vault) stages() (all []string) {
	for _, c := range v.Calls() {
		all = append(all, c.Stage)
	}
	return all
}

// process returns a verifier as a function's process has it: what it has read stays for ttl.
func (v *vault) process(ttl time.Duration) *auth.Verifier {
	limits := secret.DefaultLimits
	limits.TTL = ttl
	return auth.NewVerifier(secret.NewCache(auth.Rotating(v.source, grace, v.now), limits, v.now), v.now)
}

// says is what became of a token: the name of its credential, or why it was refused.
func says(t *testing.T, v *auth.Verifier, token string) string {
	t.Helper()
	r, err := v.Verify(t.Context(), "Bearer "+token)
	switch {
	case errors.Is(err, auth.ErrWrong):
		return "wrong"
	case err != nil:
		return "unreadable"
	}
	return r.Name
}

func TestAPreviousSecretEndsWithItsGraceInAProcessThatKeepsIt(t *testing.T) {
	v := newVault(t)
	v.Put(secretName, "old")
	v.pass(time.Hour)
	v.Put(secretName, "new")
	process := v.process(7 * 24 * time.Hour)
	for _, c := range []struct {
		pass time.Duration
		old  string
	}{{0, auth.NamePrevious}, {grace - time.Second, auth.NamePrevious}, {time.Second, "wrong"}, {time.Hour, "wrong"}} {
		v.pass(c.pass)
		if got := says(t, process, "new"); got != auth.NameCurrent {
			t.Errorf("%v after the rotation the new one is %s", v.now().Sub(began)-time.Hour, got)
		}
		if got := says(t, process, "old"); got != c.old {
			t.Errorf("%v after the rotation the old one is %s, want %s", v.now().Sub(began)-time.Hour, got, c.old)
		}
	}
}

func TestAfterItsGraceThePreviousVersionIsNotRead(t *testing.T) {
	v := newVault(t)
	v.Put(secretName, "old")
	v.Put(secretName, "new")
	v.pass(grace)
	v.deny(secret.Previous)
	if got := says(t, v.process(time.Hour), "new"); got != auth.NameCurrent {
		t.Errorf("the new one is %s", got)
	}
	if got := strings.Join(v.stages(), " "); got != secret.Current {
		t.Errorf("read %s", got)
	}
}

func TestWithinItsGraceAPreviousVersionThatCannotBeReadRefusesNobodyAsWrong(t *testing.T) {
	v := newVault(t)
	v.Put(secretName, "old")
	v.Put(secretName, "new")
	v.deny(secret.Previous)
	process := v.process(time.Hour)
	if got := says(t, process, "old"); got != "unreadable" {
		t.Errorf("the old one is %s", got)
	}
	v.deny("none")
	v.pass(time.Minute)
	if got := says(t, process, "old"); got != auth.NamePrevious {
		t.Errorf("then the old one is %s", got)
	}
}

// What was read before is too old by then: nothing is known about the token.
func TestATokenIsNotWrongWhereTheSecretCouldNotBeReadAgain(t *testing.T) {
	v := newVault(t)
	v.Put(secretName, "only")
	process := v.process(time.Hour)
	if got := says(t, process, "only"); got != auth.NameCurrent {
		t.Fatalf("the only one is %s", got)
	}
	v.deny(secret.Current)
	v.aging.Store(int64(48 * time.Hour))
	if got := says(t, process, "another"); got != "unreadable" {
		t.Errorf("another is %s", got)
	}
}

func TestASecretWithOneVersionHasNoPrevious(t *testing.T) {
	v := newVault(t)
	process := v.process(time.Hour)
	if got := says(t, process, "x"); got != "unreadable" {
		t.Errorf("without a secret: %s", got)
	}
	v.Put(secretName, "only")
	v.pass(time.Minute)
	if got := says(t, process, "only"); got != auth.NameCurrent {
		t.Errorf("the only one is %s", got)
	}
}

// Tokens whose hashes have their first, or their last, six bytes in common.
var alike = [][2]string{{"token-33088795", "token-45819832"}, {"token-24222255", "token-26487418"}}

func TestATokenIsComparedWhole(t *testing.T) {
	for n, pair := range alike {
		a, b := sha256.Sum256([]byte(pair[0])), sha256.Sum256([]byte(pair[1]))
		if from := n * (sha256.Size - 6); a == b || !bytes.Equal(a[from:from+6], b[from:from+6]) {
			t.Fatalf("%s are not alike", pair)
		}
		v := newVault(t)
		v.Put(secretName, pair[0])
		process := v.process(time.Hour)
		if got := says(t, process, pair[1]); got != "wrong" {
			t.Errorf("%s is %s", pair[1], got)
		}
		if got := says(t, process, pair[0]); got != auth.NameCurrent {
			t.Errorf("%s is %s", pair[0], got)
		}
	}
	for _, token := range []string{"secre", "secrett", "Secret", "", " "} {
		v := newVault(t)
		v.Put(secretName, "secret")
		if got := says(t, v.process(time.Hour), token); got == auth.NameCurrent {
			t.Errorf("%q is accepted", token)
		}
	}
}

func TestOneClientsKeyIsNoOthers(t *testing.T) {
	v := newVault(t)
	v.Put(secretName, `{"crm":["new-key","old-key"],"shop":"shop-key"}`)
	process := auth.NewVerifier(secret.NewCache(auth.Clients(v.source), secret.DefaultLimits, v.now), v.now)
	for token, want := range map[string]string{"old-key": "crm", "shop-key": "shop", "crm": "wrong", "old-ke": "wrong"} {
		if got := says(t, process, token); got != want {
			t.Errorf("%s is %s, want %s", token, got, want)
		}
	}
}

func TestAClientsEntryMayBeAnObject(t *testing.T) {
	v := newVault(t)
	v.Put(secretName, `{"crm":["crm-key"],"shop":{"keys":["new-key","old-key"],"sender":"shop","read":"all"},"own":{"read":"own","keys":"own-key"}}`)
	process := auth.NewVerifier(secret.NewCache(auth.Clients(v.source), secret.DefaultLimits, v.now), v.now)
	for token, want := range map[string]string{"crm-key": "crm", "new-key": "shop", "old-key": "shop", "own-key": "own", "shop": "wrong", "all": "wrong"} {
		if got := says(t, process, token); got != want {
			t.Errorf("%s is %s, want %s", token, got, want)
		}
	}
}

func TestClientKeysThatAreNoneRefuseNobodyAsWrong(t *testing.T) {
	for what, text := range map[string]string{
		"not JSON": "x", "a list": `["k"]`, "a number": `{"crm":1}`, "a key twice": `{"crm":"k","shop":"k"}`, "a key twice in a list": `{"crm":["k","k"]}`,
		"a name twice": `{"crm":"k","crm":"l"}`, "an empty key": `{"crm":""}`, "an empty key in a list": `{"crm":["k",""]}`, "white space": `{"crm":" k"}`,
		"no name": `{"":"k"}`, "a name with a space": `{"c r m":"k"}`, "a long name": `{"` + strings.Repeat("n", 65) + `":"k"}`,
		"more than an object": `{"crm":"k"} {}`, "an object that does not end": `{"crm":"k"`, "an object of keys": `{"crm":{"a":"k"}}`,
		"an entry without keys": `{"crm":{"sender":"shop"}}`, "a null for keys": `{"crm":{"keys":null}}`, "keys in keys": `{"crm":{"keys":{"keys":"k"}}}`,
		"a member twice": `{"crm":{"keys":"k","keys":"l"}}`, "a misspelt member": `{"crm":{"keys":"k","senders":"shop"}}`, "a sender that is no name": `{"crm":{"keys":"k","sender":"a b"}}`,
		"a sender that is a number": `{"crm":{"keys":"k","sender":1}}`, "no sender": `{"crm":{"keys":"k","sender":null}}`, "another read": `{"crm":{"keys":"k","read":"some"}}`,
		"a key twice in an entry": `{"crm":{"keys":["k"]},"shop":"k"}`,
	} {
		v := newVault(t)
		v.Put(secretName, text)
		_, err := auth.Clients(v.source)(t.Context())
		if !errors.Is(err, auth.ErrClients) || strings.Contains(err.Error(), "k\"") {
			t.Errorf("%s: %v", what, err)
		}
		process := auth.NewVerifier(secret.NewCache(auth.Clients(v.source), secret.DefaultLimits, v.now), v.now)
		if got := says(t, process, "k"); got != "unreadable" {
			t.Errorf("%s: the key is %s", what, got)
		}
	}
	v := newVault(t)
	v.Put(secretName, `{"`+strings.Repeat("n", 64)+`":"k","a.B-c_9":["l"],"nobody":[]}`)
	if all, err := auth.Clients(v.source)(context.Background()); err != nil || len(all) != 2 {
		t.Errorf("%d credentials, %v", len(all), err)
	}
}

func TestABlankSecretAcceptsNobody(t *testing.T) {
	if _, err := auth.NewCredential("x", secret.NewValue(""), time.Time{}); !errors.Is(err, secret.ErrMissing) {
		t.Errorf("a blank credential: %v", err)
	}
	v := newVault(t)
	v.Put(secretName, " \n")
	if got := says(t, v.process(time.Hour), "x"); got != "unreadable" {
		t.Errorf("a blank secret: %s", got)
	}
}
