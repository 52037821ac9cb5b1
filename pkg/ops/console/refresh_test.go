package console_test

import (
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/browser"
)

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
	tab.See("#gone", "what is here may be old")
}

// TestWhatIsRefusedIsReadAgainWhenItIsDue counts how often parts are asked for while time stands: the
// script looks whether the page is hidden each time that it might ask.
func TestWhatIsRefusedIsReadAgainWhenItIsDue(t *testing.T) {
	tab := newLaptop(t).open("/")
	browser.Eval[bool](tab, `(() => {
		window.now = Date.now(); window.asked = 0; window.looks = 0;
		Date.now = () => now;
		Object.defineProperty(document, "hidden", {get: () => { looks++; return false; }});
		window.fetch = async () => { asked++; return {ok: false}; };
		return true; })()`)
	tab.Until(`asked > 0 || (now += 60000, false)`)
	tab.See("#gone", "what is here may be old")
	browser.Eval[int](tab, `looks = 0`)
	tab.Until(`looks > 2`)
	if n := browser.Eval[int](tab, `asked`); n != 1 {
		t.Errorf("asked %d times at once", n)
	}
	tab.Until(`asked > 1 || (now += 60000, false)`)
}
