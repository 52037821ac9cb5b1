// Package browser drives Chromium in tests of pages. A tab fails its test where a page loads
// something from another host, logs an error, or opens a dialog.
package browser

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	// patience bounds an action that never succeeds, on a machine much slower than usual ones.
	patience = 3 * time.Minute
	install  = "sudo apt-get install chromium fonts-dejavu-core (Debian, Ubuntu) or brew install --cask chromium (macOS)"
)

// names lists what Chromium is called, in the order of preference; Chrome will do.
var names = []string{"chromium", "chromium-browser", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"}

// Tab is a tab with an empty profile of its own.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	closed   bool
	requests []string
	expected []string // parts of errors that the test causes
}

// shared starts the browser of all tabs.
var shared = sync.OnceValues(func() (context.Context, error) {
	program := ""
	for _, name := range names {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		return nil, errNotInstalled
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("force-color-profile", "srgb"))
	if os.Getuid() == 0 { // Chromium has no sandbox for root
		options = append(options, chromedp.NoSandbox)
	}
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocated)
	closeShared = func() {
		_ = chromedp.Cancel(ctx)
		end()
	}
	return ctx, chromedp.Do(ctx)
})

var (
	errNotInstalled = errors.New("not installed")
	closeShared     = func() {}
)

// Close ends the browser of all tabs, if one runs. TestMain calls it after the tests.
func Close() { closeShared() }

// Open opens a tab until the test ends, in a browser that all tests of a package share. It skips the
// test with -short, or without Chromium.
func Open(t testing.TB) *Tab {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short: it needs Chromium")
	}
	browser, err := shared()
	if errors.Is(err, errNotInstalled) {
		t.Skip("Chromium is not installed. Install it with: " + install)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, _ := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	tab := &Tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		_ = tab.page() // what went wrong until now is heard before its response
		tab.mu.Lock()
		tab.closed = true
		tab.mu.Unlock()
		_ = chromedp.Cancel(ctx)
	})
	if err := chromedp.Listen(ctx, tab.heard); err != nil { // it opens the tab
		t.Fatal(err)
	}
	call(tab, network.Enable, network.EnableParams{})
	call(tab, log.Enable, cdp.Empty{})
	tab.Size(1280, 900)
	return tab
}

// Expect allows logged errors that contain a text, such as of a page that a test asks in vain.
func (b *Tab) Expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expected = append(b.expected, text)
}

func (b *Tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		at, err := url.Parse(e.Request.URL)
		b.requests = append(b.requests, e.Request.URL)
		if err != nil || at.Host != "" && at.Hostname() != "127.0.0.1" {
			b.t.Errorf("a page asked %s", e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		b.t.Errorf("a script failed: %s", e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case *log.EventEntryAdded:
		allowed := slices.ContainsFunc(b.expected, func(part string) bool { return strings.Contains(e.Entry.Text, part) })
		if e.Entry.Level == log.EntryLevelError && !allowed {
			b.t.Errorf("the browser logged: %s (%s)", e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.t.Errorf("a dialog was opened: %s", e.Message)
		go func() { // it waits for an answer that this function's caller reads
			_, _ = chromedp.Call(b.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
		}()
	}
}

// Requests lists the addresses that the tab asked for so far.
func (b *Tab) Requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.requests...)
}

// Do runs chromedp's actions.
func (b *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	Run(b, chromedp.Steps(actions...))
}

// Run runs an action of chromedp's that has a value.
func Run[T any](b *Tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("the browser: %v\n%s", err, b.page())
	}
	return value
}

func call[P, R any](b *Tab, command cdp.Command[P, R], parameters P) R {
	b.t.Helper()
	return Run(b, func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, command, parameters) })
}

// page is the text of the page, for a failure's message.
func (b *Tab) page() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	return text
}

// Go loads a page.
func (b *Tab) Go(address string) { b.t.Helper(); b.Do(chromedp.Navigate(address)) }

// click clicks what a selector finds first, where a person could: it is visible, and nothing covers
// it. In one step, as pages replace and move their parts meanwhile.
const click = `((e) => {
	e?.scrollIntoView({block: "center", behavior: "instant"});
	const box = e?.getClientRects()[0];
	if (!box || e.disabled || !e.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2))) return false;
	e.focus();
	e.click();
	return true;
})(document.querySelector(%q))`

// Click clicks what a CSS selector finds, once that can be clicked.
func (b *Tab) Click(selector string) { b.t.Helper(); b.Until(fmt.Sprintf(click, selector)) }

// Submit clicks a button or a link, and waits for the page that follows.
func (b *Tab) Submit(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	clicked := chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		return until(ctx, func() (bool, error) { return chromedp.Evaluate[bool](fmt.Sprintf(click, selector))(ctx, t) })
	})
	if _, err := chromedp.RunResponse(ctx, clicked); err != nil {
		b.t.Fatalf("the browser, clicking %s: %v\n%s", selector, err, b.page())
	}
}

// Focus moves the focus to what a selector finds, once that is there.
func (b *Tab) Focus(selector string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`((e) => { e?.focus(); return !!e && e === document.activeElement; })(document.querySelector(%q))`, selector))
}

// Type types into a field.
func (b *Tab) Type(selector, text string) {
	b.t.Helper()
	b.Do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Key presses keys wherever the focus is, such as kb.Tab.
func (b *Tab) Key(keys string) { b.t.Helper(); b.Do(chromedp.KeyEvent(keys)) }

// Eval evaluates an expression of JavaScript.
func Eval[T any](b *Tab, expression string) T {
	b.t.Helper()
	return Run(b, chromedp.Evaluate[T](expression))
}

// Until waits until an expression of JavaScript is true.
func (b *Tab) Until(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if until(ctx, func() (bool, error) { return chromedp.Run(ctx, chromedp.Evaluate[bool](expression)) }) != nil {
		b.t.Fatalf("it never was: %s\n%s", expression, b.page())
	}
}

// until asks until it is so. While a page loads there may be nothing to ask, which is an error.
func until(ctx context.Context, ask func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if is, err := ask(); err == nil && is {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Text returns the text of what a selector finds first, also if it is hidden; empty where it finds
// nothing.
func (b *Tab) Text(selector string) string {
	b.t.Helper()
	return Eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}

// See waits until something that a selector finds is visible and has a text.
func (b *Tab) See(selector, text string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.innerText.includes(%q))`, selector, text))
}

// Size sets the size of the window, in CSS pixels.
func (b *Tab) Size(width, height int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
}

// Dark sets what the system of the user prefers.
func (b *Tab) Dark(dark bool) {
	b.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// WithoutScripts makes pages that are loaded from now on run no script. Eval and Until still work.
func (b *Tab) WithoutScripts() {
	b.t.Helper()
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// Cookies returns the cookies of the page, as a request's header has them.
func (b *Tab) Cookies() string {
	b.t.Helper()
	var all []string
	for _, c := range call(b, network.GetCookies, network.GetCookiesParams{}).Cookies {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// Screenshot writes what the window shows, or the whole page, to a PNG.
func (b *Tab) Screenshot(path string, whole bool) {
	b.t.Helper()
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	picture := Run(b, take)
	err := os.MkdirAll(filepath.Dir(path), 0o750)
	if err == nil {
		err = os.WriteFile(path, picture, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// Overflow returns by how many pixels the page is wider than the window.
func (b *Tab) Overflow() int {
	b.t.Helper()
	return Eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
}

// Look looks at pages as different people do: in both themes, on a phone and on a wide screen, and
// with axe-core's rules. It leaves pictures of each in a folder, for people to look at. Paths are by
// the names of the pictures.
func (b *Tab) Look(url string, paths map[string]string, folder string) {
	b.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(paths)) {
		for _, theme := range []string{"light", "dark"} {
			b.Dark(theme == "dark")
			b.Size(1280, 900)
			b.Go(url + paths[name])
			for _, v := range b.Axe() {
				b.t.Errorf("%s, %s: %s", name, theme, v)
			}
			b.Screenshot(filepath.Join(folder, name+"-"+theme+".png"), true)
			b.Size(360, 740)
			if n := b.Overflow(); n > 0 {
				b.t.Errorf("%s is %d pixels wider than a phone's window", name, n)
			}
			if theme == "light" {
				b.Screenshot(filepath.Join(folder, name+"-phone.png"), true)
			}
		}
		b.Size(1920, 1000)
		if n := b.Overflow(); n > 0 {
			b.t.Errorf("%s is %d pixels wider than a wide window", name, n)
		}
	}
}
