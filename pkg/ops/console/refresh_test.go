package console_test

import (
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/browser"
)

// stand makes the page's time stand. The script looks whether the page is hidden each time that it
// might ask for parts.
const stand = `(() => {
	window.now = Date.now(); window.looks = 0;
	Date.now = () => now;
	Object.defineProperty(document, "hidden", {get: () => { looks++; return false; }});
	return true; })()`

// due moves a standing time on until an expression holds.
func due(tab *browser.Tab, expression string) {
	tab.Until(expression + ` || (now += 60000, false)`)
}

// TestAPartThatIsUsedIsNotReplaced holds back the first response with parts that are read again, until
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
			if (asked.length > 1) return response;
			await new Promise((done) => { window.go = done; });
			return response;
		};
		return true; })()`)
	browser.Eval[bool](tab, stand)
	tab.Until(`looks > 0`)
	browser.Eval[int](tab, `now += 10000`) // less than a minute, as which secrets are due
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
	browser.Eval[bool](tab, `(() => { document.activeElement.blur(); window.fetch = async () => ({ok: false}); return true; })()`)
	due(tab, `document.getElementById("gone").checkVisibility()`)
	tab.See("#gone", "what is here may be old")
}

// TestWhatIsRefusedIsReadAgainWhenItIsDue counts how often parts are asked for while time stands.
func TestWhatIsRefusedIsReadAgainWhenItIsDue(t *testing.T) {
	tab := newLaptop(t).open("/")
	browser.Eval[bool](tab, stand)
	browser.Eval[bool](tab, `(() => { window.asked = 0; window.fetch = async () => { asked++; return {ok: false}; }; return true; })()`)
	due(tab, `asked > 0`)
	tab.See("#gone", "what is here may be old")
	browser.Eval[int](tab, `looks = 0`)
	tab.Until(`looks > 2`)
	if n := browser.Eval[int](tab, `asked`); n != 1 {
		t.Errorf("asked %d times at once", n)
	}
	due(tab, `asked > 1`)
}
