// Package console shows a stack in a browser: what comes, what is stored, what waits, and what
// went wrong. It serves 127.0.0.1 only, loads nothing from elsewhere and never shows a secret.
package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"embed"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/table"
)

//go:embed pages static
var files embed.FS

const (
	// assets is the path of what pages load; no page is below it.
	assets = "/console/"
	// patience is how long a page may read before it fails.
	patience = 15 * time.Second
	// sendLimit is how long a message may take: longer than the API gives it (AWS: HTTP API quotas, 30 s).
	sendLimit = 35 * time.Second
	// maxForm is the largest form, in bytes: a message of WhatsApp's largest size, and room.
	maxForm = 1 << 20
)

// Operator reads and changes a stack, as the operator's commands do. Each page's file has the part
// that it needs.
type Operator interface {
	// Name is local, or the name of a deployed stack.
	Name() string
	// Table is for reading.
	Table() *table.Table

	overviewOperator
	eventOperator
	sendOperator
	troubleOperator
}

// Config says what a console shows. Only Operator and Feed are required.
type Config struct {
	Operator Operator
	Feed     *Feed
	// Follow adds to the feed what comes, until ctx ends, and calls trouble with what keeps it from
	// that. It runs while somebody looks; nil: the feed is filled by its owner.
	Follow func(ctx context.Context, feed *Feed, trouble func(error)) error
	// Series returns the values of metrics; see Metric.
	Series func(ctx context.Context, wanted []Metric, since time.Time, minutes int) ([][]float64, error)
	// Laptop is the running stack of make run; nil for a deployed one.
	Laptop Laptop
	// Token is what the first address must have; empty on the laptop.
	Token string
	// Write allows actions on a deployed stack.
	Write bool
}

// Laptop is what only the stack of make run can show and do. Each page's file has the part that it
// needs.
type Laptop interface {
	overviewLaptop
	rulesLaptop
	controlLaptop
}

// Console is an http.Handler.
type Console struct {
	Config
	pages    []page
	mux      *http.ServeMux
	handler  http.Handler
	sessions sessions
	seals    sealer
	started  time.Time
	open     context.Context // until the console ends
	end      context.CancelFunc
	jobs     sync.WaitGroup

	mu        sync.Mutex
	redriven  *job // the last, of any session: it hides messages from others
	watchers  int
	leaving   *time.Timer
	stop      context.CancelFunc
	trouble   error // of Follow
	troubleAt time.Time
}

// New returns a console, to be closed.
func New(c Config) (*Console, error) {
	s := &Console{Config: c, mux: http.NewServeMux(), started: time.Now()}
	s.open, s.end = context.WithCancel(context.Background())
	var err error
	if s.seals, err = newSealer(); err != nil {
		return nil, err
	}
	for _, p := range ordered() {
		if p.laptop && c.Laptop == nil {
			continue
		}
		s.pages = append(s.pages, p)
		s.mux.HandleFunc("GET "+p.path, s.page(p))
		for path, a := range p.actions {
			s.mux.HandleFunc("POST "+path, s.action(a))
		}
	}
	s.mux.HandleFunc("GET "+assets+"live", s.live)
	s.mux.HandleFunc("POST "+assets+"mask", s.action(action{do: setMask, reads: true}))
	s.mux.Handle("GET "+assets, http.StripPrefix(assets, http.FileServerFS(static())))
	s.handler = loopback.Only(http.HandlerFunc(s.serve))
	return s, nil
}

// Deployed reports whether the stack is in AWS.
func (c *Console) Deployed() bool { return c.Laptop == nil }

// Wants reports whether a request is for the console, where its address serves JSON too; served
// says that there is JSON under the request's path.
func (c *Console) Wants(r *http.Request, served bool) bool {
	if strings.HasPrefix(r.URL.Path, assets) {
		return true
	}
	_, pattern := c.mux.Handler(r)
	return (pattern != "" || !served) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// ServeHTTP refuses other sites, and without a session everything but the first address.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

func (c *Console) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // without any, a form's Origin would be null
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept")
	// Servers on other ports of this machine are the same site, but not the same origin.
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" && r.Method != http.MethodGet {
		http.Error(w, "requests from other sites are refused", http.StatusForbidden)
		return
	}
	if strings.HasPrefix(r.URL.Path, assets) && r.URL.Path != assets+"live" && r.Method == http.MethodGet {
		c.mux.ServeHTTP(w, r) // no secrets, and a page that refuses needs its looks
		return
	}
	s := c.sessions.of(r)
	if s == nil {
		if c.Token != "" && !same(r.URL.Query().Get("token"), c.Token) {
			c.fail(w, nil, http.StatusForbidden, errNoSession)
			return
		}
		s = c.sessions.begin(w, r, c.Deployed())
	}
	if r.URL.Query().Has("token") { // it stays out of the history and of what is copied
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if _, pattern := c.mux.Handler(r); pattern == "" {
		c.fail(w, s, http.StatusNotFound, errNoPage)
		return
	}
	c.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// NewToken returns a random token for an address.
func NewToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
