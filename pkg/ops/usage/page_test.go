package usage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"connexease-functions/pkg/ops/usage"
	"connexease-functions/pkg/proof/browser"
)

// screens is where pictures of the page are, for people to look at.
const screens = "../../../.local/screens"

func TestThePageInABrowser(t *testing.T) {
	tab := browser.Open(t)
	m := &month{n: 200, since: october} // the accessibility rules look at each cell
	q := m.query()
	r := read(t, m, q)
	r.Groups = append(r.Groups, usage.Group{Values: []string{hostile, hostile, "", hostile, "2026-10-31"}, Figures: usage.Figures{Sent: 12, Failed: 3}})
	file := filepath.Join(t.TempDir(), "usage.html")
	if err := os.WriteFile(file, []byte(written(t, r, "html")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, theme := range []string{"light", "dark"} {
		tab.Dark(theme == "dark")
		tab.Size(1000, 900)
		tab.Go("file://" + file)
		for _, v := range tab.Axe() {
			t.Errorf("%s: %s", theme, v)
		}
		if dark := browser.Eval[string](tab, `getComputedStyle(document.body).backgroundColor`); (dark == "rgb(21, 24, 28)") != (theme == "dark") {
			t.Errorf("%s: the background is %s", theme, dark)
		}
		tab.Screenshot(filepath.Join(screens, "usage-"+theme+".png"), false)
		tab.Size(360, 740)
		if n := tab.Overflow(); n > 0 {
			t.Errorf("%s: on a phone it is %d pixels too wide", theme, n)
		}
	}
	tab.Screenshot(filepath.Join(screens, "usage-phone.png"), false)
	// What is drawn is what is counted: of each plot, widths and heights in the figures' ratios.
	for i, of := range q.By {
		drawn := browser.Eval[float64](tab, fmt.Sprintf(`[...document.querySelectorAll("svg")[%d].querySelectorAll(".sent")].reduce((n, e) => n + e.getBBox().width * e.getBBox().height, 0)`, i))
		read := browser.Eval[float64](tab, fmt.Sprintf(`[...document.querySelectorAll("svg")[%d].querySelectorAll(".read")].reduce((n, e) => n + e.getBBox().width * e.getBBox().height, 0)`, i))
		if want := float64(r.Total.Read) / float64(r.Total.Sent+12); drawn == 0 || read/drawn < want*.99 || read/drawn > want*1.01 {
			t.Errorf("by %s: %.0f of %.0f are drawn as read, want %.3f", of, read, drawn, want)
		}
	}
	if n := browser.Eval[int](tab, `document.querySelectorAll("script, iframe, img, link").length`); n != 0 {
		t.Errorf("it has %d elements that load something", n)
	}
	if list := tab.Requests(); len(list) != 2 {
		t.Errorf("the browser asked %q", list)
	}
	tab.See("tbody th", "<script>alert(1)</script>")
}
