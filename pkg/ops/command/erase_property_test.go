package command

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/local/fixtures"
)

// Forms of one number, as they stand in JSON; a send accepts the first ones.
var (
	formsOfSends = []string{"15550103002", "+15550103002", "+1 555 010 3002", "+1 (555) 010-3002", "1-555-010-3002"}
	formsOfData  = append([]string{"1.555.010.3002", `155501\u00303002`, `\u002b1 555\u00a0010\u00a03002`, "+1 (555) 010‑3002"}, formsOfSends...)
)

const userOfAll = "US.3002"

// ofOnePerson writes the fixtures' person in another form at each place.
func ofOnePerson(random *rand.Rand, body []byte, forms []string) string {
	text := regexp.MustCompile(`US\.1(234567890123456789|555010000100001)\b`).ReplaceAllString(string(body), userOfAll)
	return regexp.MustCompile(`15550100001\b`).ReplaceAllStringFunc(text, func(string) string { return forms[random.IntN(len(forms))] })
}

// TestAfterAnErasureNoByteNamesThePerson delivers every fixture and sends every body, in a
// random order and with the person in random forms.
func TestAfterAnErasureNoByteNamesThePerson(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a test's
	t.Logf("seed %d", seed)
	r := start(t)
	sent := deliverAll(r, random)
	r.Until("each send is read", func() bool {
		read := map[any]bool{}
		for _, it := range r.Items("?kind=status").Items {
			if it["status"] == "read" && it["message_id"] != nil {
				read[it["message_id"]] = true
			}
		}
		return len(read) >= sent
	})
	digits := regexp.MustCompile(`(?i)1[-(). \x{a0}‑]*555[-(). \x{a0}‑]*010[-(). \x{a0}‑]*3002|155501\\+u00303002|3002\b.*\\u00a03002|US\.3002`)
	named := func() (all []string) {
		for _, it := range r.Items("?limit=100000").Items {
			if text := fmt.Sprint(it); digits.MatchString(text) {
				all = append(all, text)
			}
		}
		return all
	}
	before, total := len(named()), r.Items("").Count
	if before < 100 {
		t.Fatalf("only %d items name the person", before)
	}
	name := append(slices.Clone(formsOfSends), userOfAll)[random.IntN(len(formsOfSends)+1)]
	out, err := r.ops("", "erase", "-contact", name, "-yes")
	if err != nil {
		t.Fatal(err, out)
	}
	var stay int
	if at := strings.Index(out, ", and "); at >= 0 {
		_, _ = fmt.Sscanf(out[at:], ", and %d that name other people too", &stay)
	}
	left := named()
	if len(left) != stay || stay == 0 || stay > 10 {
		t.Errorf("%s: %s %d items name the person: %.3000q", name, out, len(left), left)
	}
	// The items that lead from one name to the others are gone: what is left is found by its own.
	if out, err := r.ops("", "erase", "-contact", formsOfSends[0], "-others", "-yes"); err != nil {
		t.Fatal(err, out)
	}
	if left := named(); len(left) > 0 {
		t.Errorf("%s: %d items name the person: %.3000q", name, len(left), left)
	}
	// Nothing of other people is gone.
	if now := r.Items("").Count; now == 0 || r.Items("?contact=15550100002").Count == 0 || total-now > before+10 {
		t.Errorf("%d of %d items are left, %d named the person", now, total, before)
	}
}

// deliverAll returns how many messages were sent.
func deliverAll(r *running, random *rand.Rand) (sent int) {
	r.t.Helper()
	type one struct{ path, body, token string }
	webhook := func(body string) one { return one{"/webhook", body, r.Env["WEBHOOK_SECRET"]} }
	all := []one{
		webhook(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messages":[{"from":"15550103002","from_user_id":"US.3002","id":"wamid.both","type":"text","text":{"body":"a"}}]}}]}]}`),
		webhook(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"group_participants_update","value":{"metadata":{"phone_number_id":"2"},"groups":[{"group_id":"G","added_participants":[{"wa_id":"15550103002"},{"wa_id":"15550100002"}]}]}}]}]}`),
		webhook(`not JSON, from +1 555 010 3002`),
		webhook(`{"object":"page","of":"US.3002"}`),
	}
	for n, name := range fixtures.Names() {
		body, err := fixtures.Body(name)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, webhook(string(fixtures.Unique([]byte(ofOnePerson(random, body, formsOfData)), n+1))))
	}
	for _, name := range fixtures.Sends() {
		body, err := fixtures.Send(name)
		if err != nil {
			r.t.Fatal(err)
		}
		if !strings.HasPrefix(name, "mark-as-read") {
			sent++
		}
		all = append(all, one{"/v1/wa/message", ofOnePerson(random, body, formsOfSends), r.Env["CLIENT_KEY"]})
	}
	sent++ // to a different person; the fallback, which does not leave, names this one
	all = append(all, one{"/v1/wa/message", `{"onClosedWindow":"fallback","message":{"messaging_product":"whatsapp","to":"15550100002","type":"text","text":{"body":"a"}},` +
		`"fallback":{"messaging_product":"whatsapp","type":"template","template":{"name":"a","language":{"code":"en"},"components":[{"type":"body","parameters":` +
		`[{"type":"text","text":"Call +1 (555) 010-3002"}]}]}}}`, r.Env["CLIENT_KEY"]})
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, o := range all {
		request, err := http.NewRequest(http.MethodPost, r.Env["API_URL"]+o.path, strings.NewReader(o.body))
		if err != nil {
			r.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+o.token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			r.t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			r.t.Fatalf("%s %s: %s", o.path, o.body, response.Status)
		}
	}
	return sent
}
