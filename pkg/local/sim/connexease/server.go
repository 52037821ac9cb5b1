// Package connexease simulates the Connexease Gateway on a laptop: its contract as a client sees
// it, its callbacks, and its failures on demand.
package connexease

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	path        = "/v1/wa/message"
	maxBody     = 1 << 20 // maximum size of a request, in bytes
	maxMessages = 10_000  // kept in memory; the oldest are dropped first
)

// Limits are the rate limits of each API key, over sliding windows. 0 means the Gateway's own: 80 a
// second, 4,800 a minute.
type Limits struct {
	PerSecond int `json:"per_second"`
	PerMinute int `json:"per_minute"`
	// Numbers are those of the keys of single numbers, by their phone_number_id.
	Numbers map[string]Limits `json:"numbers,omitempty"`
}

// Number is one number of the business: an app of the Gateway's dashboard.
type Number struct {
	Key           string
	PhoneNumberID string // empty: the Config's
}

// Config configures a Server. Only Numbers is required.
type Config struct {
	Numbers       func() []Number // returns those whose keys are accepted now
	WebhookURL    string          // where callbacks are posted; empty: nowhere
	WebhookSecret func() string   // their bearer token
	Now           func() time.Time
	Rand          *rand.Rand // draws shares, ids and order; give a seeded one for repeatable runs
	Limits        Limits
	Callbacks     Callbacks

	AccountID, PhoneNumberID, DisplayPhone string // as in callbacks
}

// Message is an accepted request: it was sent to WhatsApp, or to the sandbox, whether or not the
// client could read the response.
type Message struct {
	Time  time.Time       `json:"time"`
	Wamid string          `json:"wamid,omitempty"` // empty for a receipt
	Body  json.RawMessage `json:"body"`
	// PhoneNumberID is the number that it was sent from, that of the request's key.
	PhoneNumberID string     `json:"phone_number_id"`
	IsFake        bool       `json:"is_fake"`
	MMLite        bool       `json:"mmlite"`
	Receipt       bool       `json:"receipt"`   // read receipt or typing indicator: no message
	Times         int        `json:"times"`     // how often this message was accepted so far
	Callbacks     []Callback `json:"callbacks"` // sent so far
	// Undelivered says why an accepted message never arrives; else empty.
	Undelivered string `json:"undelivered,omitempty"`
}

// Callback is one status that was sent to the webhook.
type Callback struct {
	Status string `json:"status"`
	Answer int    `json:"answer"` // HTTP status; 0: no response
}

type taken struct {
	Message
	key string // equal for the same message
}

// Server is the simulated Gateway, an http.Handler. Listen gives it an address of its own, which
// refused connections need.
type Server struct {
	config Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
	client *http.Client

	mu        sync.Mutex
	messages  []*taken
	times     map[string]int
	windows   map[string][]time.Time // requests of the last minute, by API key
	faults    Faults
	callbacks Callbacks
	webhook   string
	closed    bool

	listening sync.Mutex // serialises opening and closing the address
	address   string
	server    *http.Server
	reopen    *time.Timer
}

// New returns a Gateway. Close it after use.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	c.Limits.PerSecond = cmp.Or(c.Limits.PerSecond, 80)
	c.Limits.PerMinute = cmp.Or(c.Limits.PerMinute, 4800)
	c.AccountID = cmp.Or(c.AccountID, "102290129340398")
	c.PhoneNumberID = cmp.Or(c.PhoneNumberID, "106540352242922")
	c.DisplayPhone = cmp.Or(c.DisplayPhone, "15550783881")
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{
		config: c, ctx: ctx, cancel: cancel, client: &http.Client{Timeout: webhookTimeout, Transport: &http.Transport{}},
		times: map[string]int{}, windows: map[string][]time.Time{}, callbacks: c.Callbacks, webhook: c.WebhookURL,
	}
}

// Close closes the address, ends callbacks and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.closeAddress()
	s.work.Wait()
	s.client.CloseIdleConnections()
}

// Messages returns the accepted messages in order: at most the newest 10,000.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Message, len(s.messages))
	for i, m := range s.messages {
		all[i] = m.Message
		all[i].Times = s.times[m.key]
		all[i].Callbacks = append([]Callback{}, m.Callbacks...)
	}
	return all
}

// SetWebhookURL sets where callbacks of later messages are posted.
func (s *Server) SetWebhookURL(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhook = url
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != path {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	fault := s.draw(s.number(r))
	switch fault.Kind {
	case ResetBefore:
		reset(w)
	case ResetDuring:
		_, _ = io.CopyN(io.Discard, r.Body, max(r.ContentLength/2, 1))
		reset(w)
	default:
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			refuse(http.StatusRequestEntityTooLarge, "TOO_LARGE", "PAYLOAD_TOO_LARGE", "The request is larger than 1 MiB.", nil).write(w)
			return
		}
		s.distort(w, r, fault, body)
	}
}

// answer is a whole response, so that a fault can distort any part of it.
type answer struct {
	status int
	header http.Header
	body   []byte
	taken  *taken
}

func (a answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

// unified is the shape of every response, with its members in the Gateway's order.
type unified struct {
	IsSuccess bool     `json:"isSuccess"`
	Data      any      `json:"data,omitempty"`
	Errors    *failure `json:"errors,omitempty"`
}

type failure struct {
	Code        string         `json:"code"`
	Group       string         `json:"group"`
	Description string         `json:"description"`
	Params      map[string]any `json:"params,omitempty"`
}

func success(data any) answer {
	body, _ := json.Marshal(unified{IsSuccess: true, Data: data})
	return answer{status: http.StatusOK, header: jsonHeader(), body: body}
}

func refuse(status int, code, group, description string, params map[string]any) answer {
	body, _ := json.Marshal(unified{Errors: &failure{code, group, description, params}})
	return answer{status: status, header: jsonHeader(), body: body}
}

// process returns the Gateway's right response. It starts callbacks if the message was accepted.
func (s *Server) process(r *http.Request, body []byte) answer {
	if bad := s.authenticate(r); bad != nil {
		return *bad
	}
	number := s.number(r)
	header, bad := s.limit(number)
	a := answer{}
	if bad != nil {
		a = *bad
	} else {
		a = s.accept(r, body, number.PhoneNumberID)
	}
	maps.Copy(a.header, header)
	return a
}

// number returns the number whose key a request has; the zero Number without such a key.
func (s *Server) number(r *http.Request) Number {
	_, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if s.config.Numbers != nil {
		for _, n := range s.config.Numbers() {
			if n.Key == key && key != "" {
				n.PhoneNumberID = cmp.Or(n.PhoneNumberID, s.config.PhoneNumberID)
				return n
			}
		}
	}
	return Number{}
}

func (s *Server) authenticate(r *http.Request) (bad *answer) {
	deny := func(code, description string) *answer {
		a := refuse(http.StatusUnauthorized, code, "UNAUTHORIZED", description, nil)
		return &a
	}
	value := r.Header.Get("Authorization")
	scheme, key, _ := strings.Cut(value, " ")
	switch {
	case value == "":
		return deny("AUTH_002", "Authorization header is missing.")
	case !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(key) == "":
		return deny("AUTH_003", "Authorization header must be Bearer <token>.")
	case s.number(r).Key == "":
		return deny("AUTH_001", "API Key not found, invalid, or expired.")
	}
	return nil
}

// limit counts a request of a number's key, and returns the rate headers. Refused requests do not count.
func (s *Server) limit(number Number) (http.Header, *answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, limits := s.config.Now(), s.limitsOf(number.PhoneNumberID)
	window := s.windows[number.Key]
	window = window[countUntil(window, now.Add(-time.Minute)):]
	inSecond := len(window) - countUntil(window, now.Add(-time.Second))
	var bad *answer
	for _, l := range []struct {
		full                     bool
		kind, retry, description string
	}{
		{inSecond >= limits.PerSecond, "sec", "1s", "Rate limit of a second exceeded."},
		{len(window) >= limits.PerMinute, "min", "60s", "Rate limit of a minute exceeded."},
	} {
		if l.full {
			a := refuse(http.StatusTooManyRequests, "RATE_001", "TOO_MANY_REQUESTS", l.description, map[string]any{"limit_type": l.kind, "retry_after": l.retry})
			bad = &a
		}
	}
	if bad == nil {
		window = append(window, now)
		inSecond++
	}
	s.windows[number.Key] = window
	header := http.Header{}
	for kind, n := range map[string][2]int{"sec": {limits.PerSecond, inSecond}, "min": {limits.PerMinute, len(window)}} {
		header.Set("X-RateLimit-"+kind+"-Limit", strconv.Itoa(n[0]))
		header.Set("X-RateLimit-"+kind+"-Remaining", strconv.Itoa(max(n[0]-n[1], 0)))
	}
	return header, bad
}

func countUntil(window []time.Time, until time.Time) int {
	n, _ := slices.BinarySearchFunc(window, until, func(t, u time.Time) int {
		if t.After(u) {
			return 1
		}
		return -1
	})
	return n
}

func (s *Server) accept(r *http.Request, body []byte, phoneNumberID string) answer {
	var m map[string]any
	if json.Unmarshal(body, &m) != nil || m == nil {
		return refuse(http.StatusBadRequest, "BAD_REQUEST", "BAD_REQUEST", "The body is not a JSON object.", nil)
	}
	isFake, mmlite := r.URL.Query().Get("is_fake") == "true", r.URL.Query().Get("mmlite") == "true"
	if !isFake { // the sandbox does not call Meta
		if why := metaRefuses(m); why != "" {
			return refuse(http.StatusBadGateway, "GW_001", "BAD_GATEWAY", why, nil)
		}
	}
	compact := &bytes.Buffer{}
	_ = json.Compact(compact, body)
	t := &taken{Message: Message{Time: s.config.Now(), Body: compact.Bytes(), PhoneNumberID: phoneNumberID, IsFake: isFake, MMLite: mmlite, Receipt: isReceipt(m)}, key: sameness(m, isFake, mmlite)}
	a := success(map[string]any{"success": true})
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.Receipt {
		t.Wamid = s.wamid(text(m, "to"), isFake)
		a = success(sent(m, t.Wamid, isFake))
	}
	a.taken = t
	s.keep(t)
	if !t.Receipt && !isFake {
		if t.Undelivered = undeliverable(m); t.Undelivered == "" {
			s.call(t, m)
		}
	}
	return a
}

// keep expects the lock to be held.
func (s *Server) keep(t *taken) {
	s.messages = append(s.messages, t)
	s.times[t.key]++
	if len(s.messages) > maxMessages {
		gone := s.messages[0]
		s.messages = s.messages[1:]
		if s.times[gone.key]--; s.times[gone.key] == 0 {
			delete(s.times, gone.key)
		}
	}
}
