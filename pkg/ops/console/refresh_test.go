package console_test

import (
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/browser"
)

// TestAPartThatIsUsedIsNotReplaced holds back the response with which parts are read again, until
// somebody uses one of them.
func TestAPartThatIsUsedIsNotReplaced(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/")
	browser.Eval[bool](tab, `(() => {
		const read = window.fetch;
		window.asked = [];
		window.fetch = async (address, options) => {
			const response = await read(address, options);
			asked.push(options.headers.Parts);
			await new Promise((done) => { window.go = done; });
			return response;
		};
		return true; })()`)
	l.trigger("text", "") // what the plots show changes
	tab.Until(`asked.length === 1`)
	parts := strings.Split(browser.Eval[string](tab, `asked[0]`), ",")
	if !slices.Contains(parts, "plots") || !slices.Contains(parts, "waits") || slices.Contains(parts, "secrets") {
		t.Fatalf("asked for %q", parts)
	}
	browser.Eval[bool](tab, `(() => {
		for (const id of ["plots", "waits"]) document.getElementById(id).append("Out of date. ");
		document.getElementById("waits").tabIndex = -1;
		document.getElementById("waits").focus();
		go();
		return true; })()`)
	tab.Until(`!document.getElementById("plots").textContent.includes("Out of date")`)
	if !strings.Contains(tab.Text("#waits"), "Out of date") {
		t.Error("a part was replaced while it was used")
	}
	browser.Eval[bool](tab, `(() => { document.activeElement.blur(); window.fetch = async () => ({ok: false}); go(); return true; })()`)
	tab.See("#gone", "what is here may be old")
}
