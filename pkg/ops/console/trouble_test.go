package console_test

import (
	"context"
	"testing"
	"time"

	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/whatsapp"
)

func TestWhatWasQuarantinedIsPreviewedAndRedriven(t *testing.T) {
	l := newLaptop(t)
	// As an older version would have kept it.
	body, err := fixtures.Body("text")
	if err != nil {
		t.Fatal(err)
	}
	if r := l.writer().Put(t.Context(), []whatsapp.Event{whatsapp.Quarantine(body, whatsapp.ReasonNotNotification)}, time.Now()); r.Err != nil || len(r.Unsaved) > 0 {
		t.Fatalf("%+v", r)
	}
	l.trigger("dashboard-test", "")
	tab := l.open("/trouble")
	tab.Submit(`form[action="/trouble/list"] button`)
	tab.See("#kept", "Quarantined bodies, 2")
	tab.See("#kept", "not notification")
	tab.Submit(`form.filter[action="/trouble/preview"] button`) // all of them
	tab.See("#run pre", "would be written as 1 x message text")
	tab.See("#run pre", "stays: today's code quarantines it as well")
	tab.Look(l.url, map[string]string{"trouble-redrive": "/trouble"}, screens)
	if l.items("?kind=message") != 0 {
		t.Error("a preview wrote something")
	}
	tab.Submit(`form[action="/trouble/redrive"] button`)
	tab.See("#run pre", "1 of 2 quarantined bodies were written")
	if l.items("?kind=message") != 1 {
		t.Error("the message is not in the table")
	}
	tab.Submit(`form[action="/trouble/list"] button`)
	tab.See("#kept", "Quarantined bodies, 1")
}

func TestDeadLettersAreSentAgainOnce(t *testing.T) {
	l := newLaptop(t)
	for range 2 { // the same message twice, as a redrive of a redrive leaves it
		if err := l.stack.Enqueue(context.Background(), "OutboundDeadLetters", []byte(`{"idempotencyKey":"dead","message":`+hello+`}`)); err != nil {
			t.Fatal(err)
		}
	}
	tab := l.open("/trouble")
	tab.See("#dead tr.bad", "OutboundDeadLetters")
	tab.Submit(`button[aria-label="Preview OutboundDeadLetters"]`)
	tab.See("#run pre", "would be put on OutboundQueue")
	tab.Submit(`form[action="/trouble/redrive"] button`)
	tab.See("#run pre", "2 of 2 messages of OutboundDeadLetters were run again and deleted from it.")
	l.settled()
	if n := len(l.stack.Gateway.Messages()); n != 1 {
		t.Errorf("the Gateway took %d messages", n)
	}
	tab.Until(`!document.querySelector("#dead tr.bad")`)
}

func TestAnUnknownOutcomeIsListedWithItsReason(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/laptop")
	for _, label := range []string{"None", "Lose the next response"} {
		tab.Submit(button(label))
		tab.See("#done h2", "200")
	}
	if status, text := l.send("unknown", hello, nil); status != 504 {
		t.Fatalf("%d %s", status, text)
	}
	tab.Go(l.url + "/trouble")
	tab.Submit(`form[action="/trouble/list"] button`)
	tab.See("#kept", "1")
	tab.Until(`[...document.querySelectorAll("#kept tbody .tag")].map((e) => e.textContent).join() === "unknown"`)
}
