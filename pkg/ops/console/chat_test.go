package console_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/browser"
)

// says delivers a value with messages of the business's number.
func (l *laptop) says(contact, messages string) {
	l.t.Helper()
	l.deliver(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"15550100099","phone_number_id":"300000000000001"},"contacts":[` + contact + `],"messages":[` + messages + `]}}]}]}`)
}

// A conversation has both sides, ticks, replies, reactions at their message, and people's names.
func TestAConversationIsReadAndAnswered(t *testing.T) {
	l := newLaptop(t)
	now := func(ago time.Duration) string { return fmt.Sprint(time.Now().Add(-ago).Unix()) }
	ann := `{"wa_id":"15550100042","user_id":"US.4242","profile":{"name":"Ann"}}`
	l.says(ann, `{"from":"15550100042","id":"wamid.one","timestamp":"`+now(time.Minute)+`","type":"text","text":{"body":"Where is my order?"}},`+
		`{"from":"15550100042","id":"wamid.two","timestamp":"`+now(50*time.Second)+`","type":"image","image":{"id":"77","caption":"This one"}},`+
		`{"from":"15550100042","id":"wamid.three","timestamp":"`+now(40*time.Second)+`","type":"reaction","reaction":{"message_id":"wamid.one","emoji":"🙏"}},`+
		`{"from":"15550100042","id":"wamid.four","timestamp":"`+now(30*time.Second)+`","type":"text","text":{"body":"Hello?"},"context":{"id":"wamid.one"}}`)
	tab := l.open("/conversations")
	tab.See("#people", "Hello?")
	tab.Submit("#people a")
	tab.See("h1", "Ann")
	tab.See(".side", "US.4242")
	tab.See("#window", "open")
	tab.Until(`document.querySelectorAll("#chat li.in").length === 3`)
	tab.See("#chat li.in .reactions", "🙏")
	tab.See("#chat li.in blockquote", "Where is my order?")
	tab.See("#chat .tag", "image")

	tab.Type("#write textarea", "It left this morning.")
	tab.Submit("#write button")
	tab.See(".notice", "The send endpoint responded 200.")
	tab.See("#chat li.out", "It left this morning.")
	tab.Until(`document.querySelector("#chat li.out .mark.read")?.title === "read"`) // live
	if all := l.stack.Gateway.Messages(); len(all) != 1 || !strings.Contains(string(all[0].Body), "15550100042") {
		t.Errorf("the Gateway took %d messages", len(all))
	}
	tab.Look(l.url, map[string]string{"chat": browser.Eval[string](tab, `location.pathname + location.search`)}, screens)
	l.says(ann, `{"from":"15550100042","id":"wamid.five","timestamp":"`+now(0)+`","type":"text","text":{"body":"Thank you"}}`)
	tab.See("#chat li.in", "Thank you")
}

func TestAMessageThatFailedSaysWhy(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/laptop")
	tab.Submit(button("The next one fails"))
	tab.Go(l.url + "/conversations")
	tab.Type("input[name=name]", "+1 (555) 010-0042")
	tab.Submit(`form[action="/conversations/find"] button`)
	tab.See("#chat", "Nothing is stored")
	tab.See("#window", "unknown")
	tab.Type("#write textarea", "Hello")
	tab.Submit("#write button")
	tab.See("#chat li.bad .why", "Message undeliverable")
	// Free text after the window has closed is refused, and nothing is paid.
	l.trigger("text", "&from=15550100055&ago=25h")
	await.Until(t, "it is stored", func() bool { return l.items("?contact=15550100055") > 0 })
	tab.Go(l.url + "/conversations")
	tab.Type("input[name=name]", "15550100055")
	tab.Submit(`form[action="/conversations/find"] button`)
	tab.See("#window", "closed")
	tab.Type("#write textarea", "Hello")
	tab.Expect("400")
	tab.Submit("#write button")
	tab.See(".failure", "WINDOW_001")
}

func TestAConversationHasPages(t *testing.T) {
	l := newLaptop(t)
	var all []string
	for n := range 100 {
		all = append(all, fmt.Sprintf(`{"from":"15550100042","id":"wamid.%d","timestamp":"%d","type":"text","text":{"body":"Message %d."}}`, n, 1764000000+n, n))
	}
	l.says(`{"wa_id":"15550100042"}`, strings.Join(all, ","))
	tab := l.open("/conversations")
	tab.Submit("#people a")
	tab.See("#chat", "Message 99.")
	var seen []string
	for range 3 {
		page := browser.Eval[[]string](tab, `[...document.querySelectorAll("#chat li.in .words")].map((w) => w.textContent)`)
		seen = append(page, seen...)
		if browser.Eval[bool](tab, `!!document.querySelector("a[rel=prev]")`) {
			tab.Submit("a[rel=prev]")
		}
	}
	for n := range 100 {
		if len(seen) != 100 || seen[n] != fmt.Sprintf("Message %d.", n) {
			t.Fatalf("%d messages on the pages, in this order: %q", len(seen), seen)
		}
	}
	tab.Submit("a[rel=next]")
	tab.See("#chat", "Message 20.")
}

func TestAGroupHasItsOwnConversation(t *testing.T) {
	l := newLaptop(t)
	l.trigger("text-group", "")
	tab := l.open("/conversations")
	tab.See("#people", "group")
	tab.Submit("#people a")
	tab.See("h1", "group")
	tab.See("#chat li.in .who", "1555")
	tab.Type("#write textarea", "Hello all")
	tab.Submit("#write button")
	tab.See("#chat li.out", "Hello all")
	if all := l.stack.Gateway.Messages(); len(all) != 1 || !strings.Contains(string(all[0].Body), `"recipient_type":"group"`) {
		t.Errorf("the Gateway took %+v", all)
	}
}
