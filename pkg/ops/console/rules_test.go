package console_test

import (
	"fmt"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/browser"
)

func TestARuleIsTriedAndSwitchedOn(t *testing.T) {
	l := newLaptop(t)
	l.trigger("text", "&from=15550100042&text=Hello")
	l.trigger("image", "&from=15550100043")
	l.shows("/rules", "of 2 match")
	tab := l.open("/rules")
	tab.See("main", "1 of 2 match")
	tab.See("article pre", `"contact": "15550100042"`)
	// What the send function would refuse is said before anybody switches it on.
	fill := func(name, text string) {
		browser.Eval[string](tab, fmt.Sprintf(`document.querySelector("textarea[name=%s]").value = %q`, name, text))
	}
	fill("template", `{"message":{"type":"text"},"contact":"<contact>"}`)
	tab.Submit("#rule button")
	tab.See("article", "The send function refuses it")
	tab.See("article", "MSG_001")
	fill("pattern", `{"detail":{"type":[{"nothing":1}]}}`)
	tab.Submit("#rule button")
	tab.See(".failure", "nothing")
	if tab.Text("#on") == "" || strings.Contains(tab.Text("main"), "Switch it on") {
		t.Error("a rule that is not valid can be switched on")
	}
	tab.Go(l.url + "/rules")
	tab.Type(`input[name=contact]`, "+1 555 010 0043")
	tab.Submit("#rule button")
	tab.See("main", "0 of 1 match, of the stored events of +1 555 010 0043")
	tab.Submit(`form[action="/rules/on"] button`)
	tab.See(".notice", "The rule answer is on")
	l.trigger("text", "&from=15550100044&text=Hello")
	await.Until(t, "the reply is sent", func() bool { return len(l.stack.Gateway.Messages()) == 1 })
	if to := string(l.stack.Gateway.Messages()[0].Body); !strings.Contains(to, "15550100044") {
		t.Errorf("answered %s", to)
	}
	tab.Submit(`button[aria-label="Switch answer off"]`)
	tab.See("#on", "None.")
}
