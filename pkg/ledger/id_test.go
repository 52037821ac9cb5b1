package ledger

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAnIDIsTheSameForTheSameScopeAndKeyOnly(t *testing.T) {
	seen := map[string][2]string{}
	for _, pair := range [][2]string{{"http/crm", "a"}, {"http/crma", ""}, {"http/cr", "ma"}, {"", "http/crma"}, {"sqs", "a"}, {"sqs", "b"}} {
		id := ID(pair[0], pair[1])
		if !ValidID(id) || id != ID(pair[0], pair[1]) {
			t.Errorf("ID(%q) = %q is no stable id", pair, id)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q share %q", pair, other, id)
		}
		seen[id] = pair
	}
	// Stored ids depend on it: the rule must never change.
	if got, want := ID("http/crm", "order-1"), "msg_kqqozdwjikmozg37huanyesxlj"; got != want {
		t.Errorf("ID = %q, want %q", got, want)
	}
}

func TestRandomNamesUseEveryByteTheyRead(t *testing.T) {
	zeros, ones := make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)
	for _, tt := range []struct{ random, id, token string }{
		{string(zeros), "msg_" + strings.Repeat("a", 26), strings.Repeat("a", 16)},
		{string(ones), "msg_" + strings.Repeat("7", 26), strings.Repeat("7", 16)},
	} {
		id, err := RandomID(strings.NewReader(tt.random))
		if err != nil || id != tt.id {
			t.Errorf("RandomID = %q, %v, want %q", id, err, tt.id)
		}
		token, err := NewToken(strings.NewReader(tt.random))
		if err != nil || token != tt.token {
			t.Errorf("NewToken = %q, %v, want %q", token, err, tt.token)
		}
	}
}

func TestWithoutRandomnessThereIsNoName(t *testing.T) {
	if token, err := NewToken(strings.NewReader("short")); !errors.Is(err, io.ErrUnexpectedEOF) || token != "" {
		t.Errorf("NewToken = %q, %v", token, err)
	}
	broken := errors.New("broken")
	if _, err := RandomID(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("RandomID: %v", err)
	}
}

func TestOnlyTheExactFormIsOurs(t *testing.T) {
	id, token := "msg_"+strings.Repeat("a2", 13), strings.Repeat("z7", 8)
	gotID, gotToken, ok := ParseOpaque(Opaque(id, token))
	if !ok || gotID != id || gotToken != token {
		t.Fatalf("ParseOpaque(Opaque) = %q, %q, %t", gotID, gotToken, ok)
	}
	for _, s := range []string{
		"", ".", id, id + ".", "." + token, id + "." + token + ".", id + "." + token + "a", id + "." + token[1:], id + "." + token + "\n",
		" " + id + "." + token, strings.ToUpper(id) + "." + token, id + "." + strings.ToUpper(token), id[1:] + "." + token,
		id + "1." + token, id[:29] + "1." + token, id[:29] + "." + token + "a", id + ":" + token, id + ".é" + token[2:],
	} {
		if _, _, ok := ParseOpaque(s); ok {
			t.Errorf("ParseOpaque(%q) took it for ours", s)
		}
	}
}

func FuzzWhatIsTakenForOursIsWrittenTheSameWay(f *testing.F) {
	f.Add("msg_" + strings.Repeat("a", 26) + "." + strings.Repeat("b", 16))
	f.Add("msg_.")
	f.Add("customer-4711")
	f.Fuzz(func(t *testing.T, s string) {
		id, token, ok := ParseOpaque(s)
		switch {
		case ok && Opaque(id, token) != s:
			t.Errorf("%q became %q", s, Opaque(id, token))
		case ok && (!ValidID(id) || len(s) != 47):
			t.Errorf("%q has an id %q that is none", s, id)
		case !ok && id+token != "":
			t.Errorf("%q is not ours, but gave %q, %q", s, id, token)
		}
	})
}

func TestAKeyIsOneTo255VisibleCharacters(t *testing.T) {
	for key, want := range map[string]bool{
		"": false, "a": true, "!~": true, strings.Repeat("k", 255): true, strings.Repeat("k", 256): false,
		"a b": false, "a\t": false, "a\x7f": false, "é": false, "\x00": false,
	} {
		if got := ValidKey(key); got != want {
			t.Errorf("ValidKey(%q) = %t", key, got)
		}
	}
}

func TestAFingerprintTellsRequestsApart(t *testing.T) {
	seen := map[string]bool{}
	for _, fake := range []bool{false, true} {
		for _, lite := range []bool{false, true} {
			for _, body := range []string{`{}`, `{"a":1}`} {
				seen[Fingerprint(fake, lite, "", []byte(body), nil)] = true
			}
		}
	}
	if len(seen) != 8 {
		t.Errorf("8 requests have %d fingerprints", len(seen))
	}
	first := Fingerprint(true, false, "", []byte("x"), nil)
	if again := Fingerprint(true, false, "", []byte("x"), nil); again != first {
		t.Error("one request has two fingerprints")
	}
}

func TestAFingerprintIsOfTheContentAndNamesItsVersion(t *testing.T) {
	const body = `{"to":"+15550100001","text":{"body":"caf\u00e9"},"n":1.0}`
	want := "2:a97da4005f86cabea466b0668337ec8a5e6bc01127014b124ff91e4a90b89437"
	for _, same := range []string{
		body, `{"n":1,"text":{"body":"café"},"to":"+15550100001"}`, ` {"to":"\u002b15550100001", "n":10e-1,"text":{"body":"\u0063af\u00E9"}} `,
	} {
		if got := Fingerprint(false, true, "", []byte(same), nil); got != want {
			t.Errorf("%s has %s, want %s", same, got, want)
		}
	}
	with := Fingerprint(false, true, "", []byte(body), []byte(`{"type":"template","n":1.0}`))
	if again := Fingerprint(false, true, "", []byte(body), []byte(` {"n":1, "type":"template"}`)); with == want || again != with {
		t.Errorf("with a fallback it is %s, then %s", with, again)
	}
	if other := Fingerprint(false, true, "", []byte(body), []byte(`{"type":"template","n":2}`)); other == with || other == want {
		t.Errorf("another fallback has %s", other)
	}
	for _, other := range []string{
		`{"to":"+15550100001","text":{"body":"cafe"},"n":1.0}`, `{"to":"+15550100001","text":{"body":"café"},"n":"1"}`, `{"to":"+15550100001","text":{"body":"café"}}`,
		`{"to":"+15550100001","text":{"body":"café "},"n":1}`, `{"to":"15550100001","text":{"body":"café"},"n":1}`, `{"to":"+15550100001","text":{"body":"cafe\u0301"},"n":1}`,
	} {
		if Fingerprint(false, true, "", []byte(other), nil) == want {
			t.Errorf("%s has the same", other)
		}
	}
}

func TestARowOfAnOlderVersionIsComparedByTheBytesOfItsBody(t *testing.T) {
	// SHA-256 of "is_fake=false&mmlite=false\n" and the compacted body.
	old := &Send{Fingerprint: "6993fdab1698fb60e0a3899872bbed1e5542ccbc26240d086a54621a645ed5f2"}
	for _, c := range []struct {
		body     string
		isFake   bool
		fallback []byte
		want     bool
	}{
		{`{"messaging_product":"whatsapp","to":"+15550100001","type":"text","text":{"body":"Hello"}}`, false, nil, true},
		{`{"messaging_product":"whatsapp","to":"+15550100001","type":"text","text":{"body":"Hello"}}`, false, []byte("{}"), false},
		{`{"messaging_product":"whatsapp","to":"+15550100001","type":"text","text":{"body":"Hello"}}`, true, nil, false},
		{`{"messaging_product":"whatsapp","to":"+15550100001","type":"text","text":{"body":"hello"}}`, false, nil, false},
	} {
		r := &Request{Fingerprint: Fingerprint(c.isFake, false, "", []byte(c.body), c.fallback), Payload: []byte(c.body), IsFake: c.isFake, Fallback: c.fallback}
		if got := r.fits(old); got != c.want {
			t.Errorf("%s, sandbox %t: %t", c.body, c.isFake, got)
		}
	}
}
