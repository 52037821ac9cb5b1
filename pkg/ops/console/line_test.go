package console_test

import (
	"net/http"
	"strings"
	"testing"

	"connexease-functions/pkg/ledger"
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
