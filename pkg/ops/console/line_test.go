package console_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/proof/browser"
	"connexease-functions/pkg/proof/harness"
)

// TestARequestOpens follows requests of the live view to what they led to.
func TestARequestOpens(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/")
	l.trigger("text", "&from=15550100042&text=Where+is+my+order%3F")
	tab.Go(l.url + linked(tab, "POST /webhook"))
	tab.See("h1", "POST /webhook")
	tab.Submit("#led a")
	tab.See("pre", "Where is my order?")

	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.stack.APIURL+"/v1/wa/message", strings.NewReader(hello))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+l.stack.ClientKey())
	r.Header.Set("Idempotency-Key", "order-1")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	tab.Go(l.url + "/")
	at := linked(tab, "POST /v1/wa/message")
	tab.Go(l.url + at)
	tab.See(".facts", response.Header.Get("Apigw-Requestid"))
	tab.See(".facts", "200")
	tab.Look(l.url, map[string]string{"request": at}, screens)
	tab.Submit("#led a")
	tab.See("#state", ledger.ID("http/default", "order-1"))

	if status, _ := l.do(http.MethodGet, l.stack.APIURL+"/v1/wa/message/msg_none", "", nil); status != 401 {
		t.Fatalf("without a key: %d", status)
	}
	tab.Go(l.url + "/")
	tab.Go(l.url + linked(tab, "GET /v1/wa/message/{id}"))
	tab.See(".facts", "401")
	tab.See("#led", "Nothing that is known: it failed.")
	tab.Expect("400")
	tab.Go(l.url + strings.TrimRight(at, "0123456789") + "1000")
	tab.See(".failure", "does not keep this line any more")
}

// TestALargeDeliveryDoesNotLookWhole has more items than are kept of a request. Later they are gone.
func TestALargeDeliveryDoesNotLookWhole(t *testing.T) {
	l := newLaptop(t)
	var many []string
	for n := range 23 {
		many = append(many, `{"from":"15550100042","id":"wamid.MANY`+strconv.Itoa(n)+`","timestamp":"1764000000","type":"text","text":{"body":"One of many"}}`)
	}
	l.deliver(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"messages":[` + strings.Join(many, ",") + `]}}]}]}`)
	tab := l.open("/")
	tab.Go(l.url + linked(tab, "POST /webhook"))
	tab.See("#led", "and 3 more")
	if n := browser.Eval[int](tab, `document.querySelectorAll("#led a").length`); n != 20 {
		t.Errorf("it has %d links", n)
	}
	for key, it := range harness.Items(t, l.stack.TableName) {
		if strings.Contains(key, "MANY") {
			if err := l.writer().Remove(t.Context(), it); err != nil {
				t.Fatal(err)
			}
		}
	}
	tab.Expect("400")
	tab.Submit("#led a")
	tab.See(".failure", "not in the table: not stored yet, expired, or erased")
}
