package connexease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"connexease-functions/pkg/local/pause"
)

// Kinds of faults.
const (
	Answer      = "answer"       // Status and Body instead of the right response
	RateLimit   = "rate_limit"   // 429 with RetryAfter and LimitType
	MetaLimit   = "meta_limit"   // 502 GW_001 with MetaCode, with which Meta says "not now": not accepted
	Slow        = "slow"         // the message is accepted at once, the response comes after DelayMS
	Refuse      = "refuse"       // the port is closed until the faults are set again or DelayMS has passed
	ResetBefore = "reset_before" // the connection is reset before the body was read: not accepted
	ResetDuring = "reset_during" // after half of it: not accepted
	ResetAfter  = "reset_after"  // accepted, then reset without a response
	Cut         = "cut"          // accepted, the response breaks off halfway
	InvalidJSON = "invalid_json" // accepted, the response ends halfway as if it were complete
	ContentType = "content_type" // accepted, the right response with the type ContentType
)

// FaultKinds are all kinds.
var FaultKinds = []string{Answer, RateLimit, MetaLimit, Slow, Refuse, ResetBefore, ResetDuring, ResetAfter, Cut, InvalidJSON, ContentType}

const maxDelay = 10 * time.Minute

// Fault applies to the next Times requests, or to a Share of them (0 to 1), or, with neither, to
// all of them; with Number, of those from that number.
type Fault struct {
	Kind        string  `json:"kind"`
	Number      string  `json:"number,omitempty"`       // phone_number_id
	Times       int     `json:"times,omitempty"`        // remaining requests
	Share       float64 `json:"share,omitempty"`        // drawn for each request
	DelayMS     int     `json:"delay_ms,omitempty"`     // before the response, for any kind but resets before the message is accepted
	Status      int     `json:"status,omitempty"`       // of an answer: 200 to 599
	Body        string  `json:"body,omitempty"`         // of an answer
	Taken       bool    `json:"taken,omitempty"`        // of an answer: the message was accepted all the same
	RetryAfter  string  `json:"retry_after,omitempty"`  // of a rate limit, as written in the response; default 1s
	LimitType   string  `json:"limit_type,omitempty"`   // of a rate limit: sec (default) or min
	ContentType string  `json:"content_type,omitempty"` // default text/html
	MetaCode    int     `json:"meta_code,omitempty"`    // of a Meta limit: default 130429
	InParams    bool    `json:"in_params,omitempty"`    // of a Meta limit: the code is in params instead of the description
}

// Faults are tried in order; a request meets the first that applies.
type Faults []Fault

// Validate returns an error that names every problem; nil if there is none.
func (f Faults) Validate() error {
	var all []error
	for i, x := range f {
		bad := func(what string) { all = append(all, fmt.Errorf("fault %d: %s", i, what)) }
		if !slices.Contains(FaultKinds, x.Kind) {
			bad(fmt.Sprintf("kind must be one of %v", FaultKinds))
		}
		if x.Times < 0 || x.Share < 0 || x.Share > 1 || x.Times > 0 && x.Share > 0 {
			bad("times must be at least 1, or share between 0 and 1, or neither")
		}
		if x.Kind == Refuse && (x.Times > 0 || x.Share > 0 || x.Number != "") {
			bad("refuse accepts neither times, share nor number, because refused connections are not counted; delay_ms may end it")
		}
		if x.DelayMS < 0 || x.DelayMS > int(maxDelay.Milliseconds()) {
			bad("delay_ms must be between 0 and 600000")
		}
		if x.Kind == Answer && (x.Status < 200 || x.Status > 599) {
			bad("status must be between 200 and 599")
		}
		if x.MetaCode < 0 || x.Kind != MetaLimit && (x.MetaCode != 0 || x.InParams) {
			bad("meta_code must be above 0, and only meta_limit has it and in_params")
		}
		if x.Kind == Slow && x.DelayMS == 0 {
			bad("slow needs delay_ms")
		}
	}
	return errors.Join(all...)
}

// Faults returns the faults in force, with the times that remain.
func (s *Server) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(Faults{}, s.faults...)
}

// SetFaults replaces all faults. The error names their problems, or says that the address could not
// be reopened after a refusal.
func (s *Server) SetFaults(f Faults) error {
	if err := f.Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	s.faults = append(Faults{}, f...)
	s.mu.Unlock()
	return s.applyRefusal()
}

// draw returns the fault that the next request meets; the zero Fault means none.
func (s *Server) draw(from Number) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.faults {
		f := s.faults[i]
		if f.Kind == Refuse || f.Number != "" && f.Number != from.PhoneNumberID || f.Share > 0 && s.config.Rand.Float64() >= f.Share {
			continue
		}
		switch f.Times {
		case 0:
		case 1:
			s.faults = slices.Delete(s.faults, i, i+1)
		default:
			s.faults[i].Times--
		}
		return f
	}
	return Fault{}
}

// distort writes the response as the fault says.
func (s *Server) distort(w http.ResponseWriter, r *http.Request, f Fault, body []byte) {
	var a answer
	switch f.Kind {
	case Answer:
		if f.Taken {
			s.process(r, body)
		}
		a = answer{status: f.Status, header: jsonHeader(), body: []byte(f.Body)}
		if f.ContentType != "" {
			a.header.Set("Content-Type", f.ContentType)
		}
	case RateLimit:
		a = refuse(http.StatusTooManyRequests, "RATE_001", "TOO_MANY_REQUESTS", "Rate limit exceeded.",
			map[string]any{"limit_type": cmp.Or(f.LimitType, "sec"), "retry_after": cmp.Or(f.RetryAfter, "1s")})
	case MetaLimit:
		code := cmp.Or(f.MetaCode, 130429)
		if f.InParams {
			a = refuse(http.StatusBadGateway, "GW_001", "BAD_GATEWAY", "The message was refused upstream.", map[string]any{"error": map[string]any{"code": code}})
		} else {
			a = refuse(http.StatusBadGateway, "GW_001", "BAD_GATEWAY", fmt.Sprintf("(#%d) Rate limit hit", code), nil)
		}
	default:
		a = s.process(r, body)
	}
	if !s.wait(r, time.Duration(f.DelayMS)*time.Millisecond) {
		panic(http.ErrAbortHandler) // the client or the server has gone
	}
	switch f.Kind {
	case ResetAfter:
		reset(w)
		return
	case Cut:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // closes the connection
	case InvalidJSON:
		a.body = a.body[:len(a.body)/2]
	case ContentType:
		a.header.Set("Content-Type", cmp.Or(f.ContentType, "text/html; charset=utf-8"))
	}
	a.write(w)
}

func (s *Server) wait(r *http.Request, d time.Duration) bool {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	return d <= 0 || pause.For(ctx, d) == nil
}

// reset ends a connection with RST instead of FIN.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
