package console_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"connexease-functions/pkg/proof/browser"
)

// TestEachPageIsForEverybody looks at each page as different people do: in both themes, on a phone,
// and with axe-core's rules. It leaves a picture of each for people to look at.
func TestEachPageIsForEverybody(t *testing.T) {
	l := newLaptop(t)
	l.life()
	tab := l.open("/")
	tab.See("#lines", "WhatsApp Message Received")
	paths := map[string]string{}
	for _, path := range browser.Eval[[]string](tab, `[...document.querySelectorAll("nav a")].map((a) => a.getAttribute("href"))`) {
		paths[strings.Trim(path, "/")] = path
	}
	paths["event"] = browser.Eval[string](tab, `document.querySelector("#lines a").getAttribute("href")`)
	paths["missing"] = "/no/such/page"
	tab.Expect("404")
	lookAt(t, tab, l.url, paths, "")
}

// lookAt checks pages, and writes their pictures.
func lookAt(t *testing.T, tab *browser.Tab, url string, paths map[string]string, suffix string) {
	t.Helper()
	for name, path := range paths {
		if name == "" {
			name = "overview"
		}
		for _, theme := range []string{"light", "dark"} {
			tab.Dark(theme == "dark")
			tab.Size(1280, 900)
			tab.Go(url + path)
			for _, v := range tab.Axe() {
				t.Errorf("%s, %s: %s", path, theme, v)
			}
			tab.Screenshot(filepath.Join(screens, fmt.Sprintf("%s%s-%s.png", name, suffix, theme)), true)
			tab.Size(360, 740)
			if n := tab.Overflow(); n > 0 {
				t.Errorf("%s is %d pixels wider than a phone's window", path, n)
			}
			if theme == "light" {
				tab.Screenshot(filepath.Join(screens, name+suffix+"-phone.png"), true)
			}
		}
		tab.Size(1920, 1000)
		if n := tab.Overflow(); n > 0 {
			t.Errorf("%s is %d pixels wider than a wide window", path, n)
		}
	}
}
