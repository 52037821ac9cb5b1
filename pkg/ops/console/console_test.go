package console_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/browser"
)

func TestEachPageIsForEverybody(t *testing.T) {
	l := newLaptop(t)
	l.life()
	l.unknown("order-lost")
	tab := l.open("/")
	tab.See("#lines", "WhatsApp Message Received")
	paths := map[string]string{"missing": "/no/such/page"}
	for name, path := range l.pages(tab) {
		paths[name] = path
	}
	tab.Expect("404")
	tab.Look(l.url, paths, screens)
}

// pages returns the pages of the navigation, of one event and of one send.
func (l *laptop) pages(tab *browser.Tab) map[string]string {
	l.t.Helper()
	tab.Go(l.url + "/")
	paths := map[string]string{}
	for _, path := range browser.Eval[[]string](tab, `[...document.querySelectorAll("nav a")].map((a) => a.getAttribute("href"))`) {
		name := strings.ReplaceAll(strings.Trim(path, "/"), "/", "-")
		if name == "" {
			name = "overview"
		}
		paths[name] = path
	}
	paths["event"] = linked(tab, "Where is my order")
	paths["send"] = "/sends/item?id=" + ledger.ID("http/default", "order-0")
	return paths
}

// linked waits for the line that has a text, and returns where it leads.
func linked(tab *browser.Tab, text string) string {
	line := fmt.Sprintf(`[...document.querySelectorAll("#lines tr")].find((r) => r.innerText.includes(%q))?.querySelector("a")`, text)
	tab.Until("!!" + line)
	return browser.Eval[string](tab, line+`.getAttribute("href")`)
}

// TestTextsOfPeopleDoNotRun has a person with a hostile name and text. A script that ran would open
// a dialog, which fails the test.
func TestTextsOfPeopleDoNotRun(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/") // it gets them live, too
	l.deliver(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},` +
		`"contacts":[{"wa_id":"15550100077","profile":{"name":` + quoted(hostile) + `}}],` +
		`"messages":[{"from":"15550100077","id":` + quoted(`wamid.a"onfocus=alert(3) autofocus x="`) + `,"timestamp":"1764000000","type":"text","text":{"body":` + quoted(hostile) + `}}]}}]}]}`)
	tab.See("#lines", "onerror=alert(1)")
	if status, text := l.send("hostile", strings.Replace(hello, `"Your order has shipped."`, quoted(hostile), 1), nil); status != 200 {
		t.Fatalf("send: %d %s", status, text)
	}
	event := linked(tab, "onerror")
	tab.Go(l.url + "/conversations")
	tab.Until(`document.querySelectorAll("#people a").length === 2`) // of both, the send's after its outcome
	chats := browser.Eval[[]string](tab, `[...document.querySelectorAll("#people a")].map((a) => a.getAttribute("href"))`)
	paths := []string{"/", "/events", "/conversations", chats[0], chats[1], "/sends/item?id=" + ledger.ID("http/default", "hostile"), event}
	for _, path := range paths {
		tab.Go(l.url + path)
		tab.See("main", "onerror=alert(1)")
		if n := browser.Eval[int](tab, `document.querySelectorAll("main img, main script, main b:not(.legend b)").length`); n != 0 {
			t.Errorf("%s has %d elements of a person's text", path, n)
		}
	}
}

func TestLinesComeLiveAndCanBeHeldBack(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/")
	tab.See("#nothing", "Nothing came yet")
	l.trigger("text", "&text=the+first")
	tab.See("#lines", "the first")
	tab.See("#lines", "POST /webhook")
	tab.Click("#pause")
	l.trigger("text", "&text=the+second")
	tab.See("#pause", "new)")
	if strings.Contains(tab.Text("#lines"), "the second") {
		t.Error("a line came while the stream was held back")
	}
	tab.Click("#pause")
	tab.See("#lines", "the second")
	browser.Eval[bool](tab, stand)
	due(tab, `document.getElementById("plots").innerText.includes("messages 2")`) // without a click
	tab.Expect("ERR_")
	_ = l.server.Listener.Close()
	l.server.CloseClientConnections()
	tab.See("#gone", "does not respond")
}

// TestWhatNeedsTheWholeTableSaysItsCostFirst counts by a click.
func TestWhatNeedsTheWholeTableSaysItsCostFirst(t *testing.T) {
	l := newLaptop(t)
	l.life()
	tab := l.open("/")
	tab.See("#counts small", "reads the whole table: about")
	tab.Submit("#counts button")
	tab.See("#counts", "accepted")
	tab.See("#counts", "bodies in quarantine")
	tab.Go(l.url + "/events?type=image")
	tab.See("#search small", "reads the whole table: about")
	tab.Submit("#search button")
	tab.See("#search", "All 1 for type=image")
	if _, page := l.do(http.MethodGet, l.url+"/events", "", map[string]string{"Accept": "text/html"}); strings.Contains(page, "type=image") {
		t.Error("a different session sees what was searched")
	}
	tab.Submit("#search .events a")
	tab.See("pre", `"mime_type"`)
}

func TestTheConsoleIsUsedByKeyboard(t *testing.T) {
	l := newLaptop(t)
	l.life()
	tab := l.open("/")
	tab.Key(kb.Tab + kb.Enter) // to the page, past the navigation
	tab.Until(`document.activeElement.id === "main"`)
	tab.Go(l.url + "/")
	pages := browser.Eval[[]string](tab, `[...document.querySelectorAll("nav a")].map((a) => a.innerText)`)
	for _, want := range append([]string{"Skip to the page"}, pages[:slices.Index(pages, "Events")+1]...) {
		tab.Key(kb.Tab)
		tab.Until(fmt.Sprintf(`document.activeElement.innerText === %q`, want))
	}
	tab.Key(kb.Enter)
	tab.See("h1", "Events")
	tab.Focus("input[name=type]")
	tab.Key("image" + kb.Enter)
	tab.Until(`location.search.includes("type=image") && document.querySelectorAll(".events tbody tr").length === 1`)
	tab.Focus(".events tbody a")
	tab.Key(kb.Enter)
	tab.See("h1", "WhatsApp Message Received")
	tab.Focus(`form[action="/events/replay"] button`)
	tab.Key(kb.Enter)
	tab.See(".notice", "on the bus again")
	if all := l.replays(); len(all) != 1 {
		t.Errorf("replayed: %q", all)
	}
}

func TestTheThemeIsChosenAndKept(t *testing.T) {
	l := newLaptop(t)
	tab := l.open("/")
	tab.Dark(true)
	background := `getComputedStyle(document.body).backgroundColor`
	dark := browser.Eval[string](tab, background)
	tab.Click("#theme")
	tab.Until(fmt.Sprintf("%s !== %q", background, dark))
	light := browser.Eval[string](tab, background)
	tab.Go(l.url + "/events")
	tab.Until(fmt.Sprintf("%s === %q", background, light))
}

// TestItReadsWithoutItsScript has a browser that runs none.
func TestItReadsWithoutItsScript(t *testing.T) {
	l := newLaptop(t)
	l.life()
	l.shows("/", "Where is my order?")
	tab := browser.Open(t)
	tab.WithoutScripts()
	tab.Go(l.url + "/")
	tab.See("#lines", "Where is my order?")
	tab.Go(l.url + "/events?contact=15550100042")
	tab.See(".events", "Where is my order?")
	tab.Submit(".events tbody a")
	tab.See("pre", "Where is my order?")
	if browser.Eval[bool](tab, `[...document.querySelectorAll(".copy, #theme")].some((e) => e.offsetParent)`) {
		t.Error("a button is shown that does nothing without the script")
	}
}

func TestOnlyItsOwnPagesChangeSomething(t *testing.T) {
	l := newLaptop(t)
	ask := func(method, path, form string, headers map[string]string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, l.url+path, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for header, value := range headers {
			r.Header.Set(header, value)
		}
		r.Host = headers["Host"]
		response, err := http.DefaultTransport.RoundTrip(r) // without following redirects
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	page := ask(http.MethodGet, "/", "", nil)
	text, err := io.ReadAll(page.Body)
	token := regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`).FindSubmatch(text)
	if err != nil || token == nil || len(page.Cookies()) != 1 {
		t.Fatalf("%v, a session of %q: %s", err, page.Cookies(), text)
	}
	session := page.Cookies()[0].Name + "=" + page.Cookies()[0].Value
	for name, headers := range map[string]map[string]string{
		"another host":    {"Host": "evil.example"},
		"another origin":  {"Origin": "https://evil.example"},
		"a frame":         {"Origin": "null"},
		"another port":    {"Sec-Fetch-Site": "same-site"},
		"another site":    {"Sec-Fetch-Site": "cross-site"},
		"no token":        {"csrf": ""},
		"a foreign token": {"csrf": strings.Repeat("0", 32)},
	} {
		form := "csrf=" + string(token[1])
		if wrong, is := headers["csrf"]; is {
			form = "csrf=" + wrong
		}
		headers["Cookie"] = session
		response := ask(http.MethodPost, "/count", form, headers)
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
	}
	again := ask(http.MethodGet, "/", "", map[string]string{"Cookie": session})
	if text, err := io.ReadAll(again.Body); err != nil || strings.Contains(string(text), "Counting") || strings.Contains(string(text), "Counted") {
		t.Errorf("something was counted: %v %s", err, text)
	}
	if own := ask(http.MethodPost, "/count", "csrf="+string(token[1]), map[string]string{"Cookie": session, "Sec-Fetch-Site": "same-origin"}); own.StatusCode != http.StatusSeeOther {
		t.Errorf("its own page: %d", own.StatusCode)
	}
}

// TestNoPageHasASecret looks for the values of all secrets, after each was used.
func TestNoPageHasASecret(t *testing.T) {
	l := newLaptop(t)
	l.life()
	tab := l.open("/")
	for name, path := range l.pages(tab) {
		_, text := l.do(http.MethodGet, l.url+path, "", map[string]string{"Accept": "text/html", "Cookie": l.cookie(tab)})
		if !strings.Contains(text, "</html>") {
			t.Fatalf("%s: %s", name, text)
		}
		for _, secret := range []string{stack.WebhookSecret, stack.GatewayKeySecret} {
			if value, _ := l.stack.Secrets.Current(secret); strings.Contains(text, value) {
				t.Errorf("%s shows %s", name, secret)
			}
		}
		if strings.Contains(text, l.stack.ClientKey()) {
			t.Errorf("%s shows a client's key", name)
		}
	}
}

func TestEveryResponseKeepsItsContentToItself(t *testing.T) {
	l := newLaptop(t)
	for _, path := range []string{"/", "/events", "/console/console.js", "/console/console.css", "/no/such/page"} {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url+path, nil)
		r.Header.Set("Accept", "text/html")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		h := response.Header
		policy := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		for _, c := range response.Cookies() {
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
				t.Errorf("%s: the cookie is %s", path, c)
			}
		}
	}
	for _, name := range []string{"console.js", "console.css", "icon.svg"} {
		text, err := os.ReadFile("static/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if rest := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", ""); strings.Contains(rest, "://") {
			t.Errorf("%s names another site", name)
		}
	}
}
