package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/browser"
)

func TestAnEventIsFoundOpenedAndReplayed(t *testing.T) {
	l := newLaptop(t)
	l.life()
	tab := l.open("/events")
	tab.See("main", "Where is my order?")
	tab.Type(`input[name=contact]`, "+1 555 010 0042")
	tab.Submit(`.filter button`)
	tab.Until(`!location.href.includes("010-0042") && !location.href.includes("0100042")`)
	if n := browser.Eval[int](tab, `document.querySelectorAll(".events tbody tr").length`); n != 1 {
		t.Fatalf("%d rows of one contact with one message: %s", n, tab.Text("main"))
	}
	tab.Submit(`.events tbody a`)
	tab.See("h1", "WhatsApp Message Received")
	tab.See("pre", `"body": "Where is my order?"`)
	tab.Submit(`form[action="/events/replay"] button`)
	tab.See(".notice", "It is on the bus again, marked detail.replay = replay-")
	if all := l.replays(); len(all) != 1 || !strings.Contains(all[0], `"contact":"15550100042"`) {
		t.Errorf("replayed: %q", all)
	}
}

// TestAFixtureIsStoredAsTheSameItem delivers what the page offers to be copied.
func TestAFixtureIsStoredAsTheSameItem(t *testing.T) {
	l := newLaptop(t)
	for _, name := range []string{"image", "status-failed", "echo"} {
		l.trigger(name, "")
	}
	count := func() (n int) {
		var list struct{ Count int }
		_, text := l.do(http.MethodGet, l.url+"/items", "", nil)
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err)
		}
		return list.Count
	}
	tab := l.open("/events")
	tab.Until(`document.querySelectorAll(".events tbody tr").length === 3`)
	stored := count()
	for _, path := range browser.Eval[[]string](tab, `[...document.querySelectorAll(".events tbody a")].map((a) => a.getAttribute("href"))`) {
		tab.Go(l.url + path)
		l.deliver(browser.Eval[string](tab, `document.getElementById("fixture").textContent`))
		if n := count(); n != stored {
			t.Errorf("%s: %d items became %d", tab.Text("h1"), stored, n)
		}
	}
}
