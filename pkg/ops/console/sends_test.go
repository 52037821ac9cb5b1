package console_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/proof/browser"
)

// unknown makes a send of which nobody can tell whether it left, and no callback comes.
func (l *laptop) unknown(key string) (id string) {
	l.t.Helper()
	if err := l.stack.Gateway.SetCallbacks(connexease.Callbacks{Off: true}); err != nil {
		l.t.Fatal(err)
	}
	if err := l.stack.Gateway.SetFaults(connexease.Faults{{Kind: connexease.ResetAfter}}); err != nil {
		l.t.Fatal(err)
	}
	if status, text := l.send(key, hello, nil); status != 504 {
		l.t.Fatalf("send: %d %s", status, text)
	}
	if err := l.stack.Gateway.SetFaults(nil); err != nil {
		l.t.Fatal(err)
	}
	return ledger.ID("http/default", key)
}

func TestASendIsFoundByEachOfItsIDs(t *testing.T) {
	l := newLaptop(t)
	l.life()
	sent := l.stack.Gateway.Messages()[0]
	id := ledger.ID("http/default", "order-0")
	tab := l.open("/sends")
	for _, by := range []string{id, sent.Wamid, "order-0"} {
		tab.Go(l.url + "/sends")
		tab.Type(`input[name=id]`, by)
		tab.Submit(`form[action="/sends/find"] button`)
		tab.See("#state", id)
		tab.See("#story", "First claimed")
		tab.See("#ledger", "fingerprint")
		tab.See("pre", "Your order has shipped.")
		if strings.Contains(browser.Eval[string](tab, `location.href`), "wamid") {
			t.Errorf("the address has a person's number: %s", browser.Eval[string](tab, `location.href`))
		}
	}
	tab.Until(`document.querySelector("#story").innerText.includes("WhatsApp: delivered")`)
	tab.Go(l.url + "/sends")
	tab.Expect("400")
	tab.Type(`input[name=id]`, "order-0")
	tab.Type(`input[name=scope]`, "sqs")
	tab.Submit(`form[action="/sends/find"] button`)
	tab.See(".failure", "The table has no such message")
}

// An unknown send is listed, explained, and seen settling; repeating it with its key sends nothing.
func TestAnUnknownSendIsSeenSettling(t *testing.T) {
	l := newLaptop(t)
	id := l.unknown("order-lost")
	tab := l.open("/sends?state=unknown")
	tab.See(".sends", "connection lost")
	tab.Submit(`.sends tbody a`)
	tab.See("#state", id)
	tab.See("#state", "Nobody can tell yet whether it was sent")
	tab.See("#story", "unknown")
	before := len(l.stack.Gateway.Messages())
	tab.Type(`input[name=key]`, "another-key")
	tab.Expect("400")
	tab.Submit(`form[action="/sends/repeat"] button`)
	tab.See(".failure", "That is not the key")
	tab.Go(l.url + "/sends/item?id=" + id)
	tab.Type(`input[name=key]`, "order-lost")
	tab.Submit(`form[action="/sends/repeat"] button`)
	tab.See(".notice", "The send endpoint responds 504")
	tab.See(".notice", "SEND_001")
	if n := len(l.stack.Gateway.Messages()); n != before {
		t.Errorf("%d messages left, %d before", n, before)
	}
	opaque := l.stack.Gateway.Messages()[before-1]
	var body struct {
		Opaque string `json:"biz_opaque_callback_data"`
	}
	unmarshal(t, opaque.Body, &body)
	l.deliver(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",`+
		`"metadata":{"phone_number_id":"1"},"statuses":[{"id":%q,"status":"sent","timestamp":"%d","recipient_id":"15550100001","biz_opaque_callback_data":%q}]}}]}]}`,
		opaque.Wamid, time.Now().Unix(), body.Opaque))
	tab.See("#story", "WhatsApp: sent") // without a reload
	tab.See("#state", "accepted")
	tab.Go(l.url + "/sends?state=unknown")
	tab.See(".empty", "No message of default is unknown")
}

func TestAScheduledSendIsListedAndCancelledByAClick(t *testing.T) {
	l := newLaptop(t)
	at := time.Now().Add(time.Hour).Format(time.RFC3339)
	if status, text := l.send("order-later", hello, map[string]string{"Send-At": at}); status != 202 {
		t.Fatalf("send: %d %s", status, text)
	}
	tab := l.open("/sends?state=scheduled")
	tab.Submit(`.sends tbody a`)
	tab.See("#story", "Its time comes")
	tab.Submit(`form[action="/sends/cancel"] button`)
	tab.See(".notice", "is cancelled")
	tab.See("#story", "by operator")
	if browser.Eval[bool](tab, `document.querySelector('form[action="/sends/cancel"]') !== null`) {
		t.Error("it can be cancelled again")
	}
	tab.Type(`input[name=key]`, "order-later")
	tab.Submit(`form[action="/sends/repeat"] button`)
	tab.See(".notice", "The send endpoint responds 410")
	// Exactly, over all clients: what it costs is said first.
	l.unknown("order-lost")
	tab.Go(l.url + "/sends?state=unknown")
	tab.See("#search", "reads the whole table")
	tab.Submit(`form[action="/sends/search"] button`)
	tab.Until(`document.querySelector("#search .sends")?.innerText.includes("connection lost")`)
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
