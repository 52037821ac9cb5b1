package lambda

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/local/loopback"
)

const (
	apiRoot = "/2018-06-01/runtime/"
	apiNext = apiRoot + "invocation/next"
	apiInit = apiRoot + "init/error"
	apiInv  = apiRoot + "invocation/"

	// unhandled is the only kind of function error that Lambda reports today.
	unhandled = "Unhandled"
	// maxDrain bounds how much of an oversized response is read. A process whose response ends
	// within it learns the status; a longer response is cut off.
	maxDrain = 256 << 20
)

var jsonType = []string{"application/json"}

type connKey struct{}

func newAPIServer(p *process) *http.Server {
	return &http.Server{
		Handler:  loopback.Only(p),
		ErrorLog: log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
}

// ServeHTTP is the Runtime API of this one process (AWS: Using the Lambda runtime API for custom
// runtimes).
func (p *process) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == apiNext && r.Method == http.MethodGet:
		p.next(w, r)
	case path == apiInit && r.Method == http.MethodPost:
		p.initFailed(w, r)
	case strings.HasPrefix(path, apiInv) && r.Method == http.MethodPost:
		id, verb, _ := strings.Cut(path[len(apiInv):], "/")
		switch verb {
		case "response":
			p.response(w, r, id)
		case "error":
			p.failure(w, r, id)
		default:
			refuseCall(w, http.StatusNotFound, "NotFound", "no such call")
		}
	default:
		refuseCall(w, http.StatusNotFound, "NotFound", "no such call")
	}
}

func (p *process) next(w http.ResponseWriter, r *http.Request) {
	f := p.f
	f.mu.Lock()
	inv, ok := p.ready(r)
	f.mu.Unlock()
	if !ok {
		refuseCall(w, http.StatusForbidden, "InvalidStateTransition", "next may only be called once at a time, and after the previous invocation was responded to")
		return
	}
	if inv == nil {
		select {
		case inv = <-p.work:
		case <-r.Context().Done():
		}
		if r.Context().Err() != nil {
			p.withdraw()
			return
		}
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(inv.payload))}
	h["Lambda-Runtime-Aws-Request-Id"] = []string{inv.id}
	h["Lambda-Runtime-Deadline-Ms"] = []string{strconv.FormatInt(inv.taken.Add(f.cfg.Timeout).UnixMilli(), 10)}
	h["Lambda-Runtime-Invoked-Function-Arn"] = []string{f.cfg.arn()}
	h["Lambda-Runtime-Trace-Id"] = []string{NewTraceRoot(inv.taken) + ";Sampled=0"}
	_, _ = w.Write(inv.payload) // the end of the process is noticed elsewhere
}

// ready marks the process as idle, and returns an invocation that already waits. The mutex is held.
func (p *process) ready(r *http.Request) (*invocation, bool) {
	f := p.f
	switch p.state {
	case starting, finishing:
		f.coming--
	default:
		return nil, false
	}
	p.timer.Stop()
	p.inv = nil
	p.conn, _ = r.Context().Value(connKey{}).(*apiConn)
	if p.outdated {
		p.state = dying
		p.terminate()
		f.dispatch()
		return nil, true
	}
	if len(f.pending) > 0 {
		return f.hand(p), true
	}
	p.state = idle
	f.idle = append(f.idle, p)
	return nil, true
}

// withdraw ends a process whose request for work broke off: it is dead or useless, and has not read
// an invocation that it may just have been given.
func (p *process) withdraw() {
	f := p.f
	f.mu.Lock()
	f.unlist(p)
	if p.state == busy {
		p.state = dying
		f.handBack(p)
	}
	f.mu.Unlock()
	p.kill()
}

// open returns the invocation if it is the one that the process is running.
func (p *process) open(id string) *invocation {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.state != busy || p.inv.id != id {
		return nil
	}
	return p.inv
}

// settle gives the caller its result, unless the invocation timed out first.
func (p *process) settle(w http.ResponseWriter, inv *invocation, payload []byte, functionError string, status int) {
	f := p.f
	f.mu.Lock()
	if p.state != busy || p.inv != inv {
		f.mu.Unlock()
		refuseID(w)
		return
	}
	f.answer(inv, payload, functionError)
	p.state = finishing
	f.coming++
	f.mu.Unlock()
	if status != http.StatusAccepted {
		refuseCall(w, status, "RequestEntityTooLarge", fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", MaxResponseBytes))
		return
	}
	accept(w)
}

func (p *process) response(w http.ResponseWriter, r *http.Request, id string) {
	inv := p.open(id)
	if inv == nil {
		refuseID(w)
		return
	}
	payload, err := readBounded(r.Body, MaxResponseBytes)
	switch {
	case errors.Is(err, errTooLarge):
		rest, _ := io.Copy(io.Discard, io.LimitReader(r.Body, maxDrain))
		p.settle(w, inv, errorObject("Function.ResponseSizeTooLarge", fmt.Sprintf("Response payload size (%d bytes) exceeded maximum allowed payload size (%d bytes).",
			int64(len(payload))+rest, MaxResponseBytes)), unhandled, http.StatusRequestEntityTooLarge)
	case err != nil:
		// The process ended or broke off in the middle of its response: its exit, or else the
		// timeout, settles the invocation.
		refuseCall(w, http.StatusBadRequest, "TruncatedResponse", "the response ended too early")
	default:
		if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
			p.settle(w, inv, trailerError(r, kind), unhandled, http.StatusAccepted)
			return
		}
		p.settle(w, inv, payload, "", http.StatusAccepted)
	}
}

// trailerError is the error of a handler whose stream failed after its first bytes.
func trailerError(r *http.Request, kind string) []byte {
	if body, err := base64.StdEncoding.DecodeString(r.Trailer.Get("Lambda-Runtime-Function-Error-Body")); err == nil && len(body) > 0 {
		return body
	}
	return errorObject(kind, "")
}

func (p *process) failure(w http.ResponseWriter, r *http.Request, id string) {
	inv := p.open(id)
	if inv == nil {
		refuseID(w)
		return
	}
	payload, err := readBounded(r.Body, MaxResponseBytes)
	if err != nil || len(payload) == 0 {
		payload = errorObject(cmp.Or(r.Header.Get("Lambda-Runtime-Function-Error-Type"), "Runtime.Unknown"), "")
	}
	p.settle(w, inv, payload, unhandled, http.StatusAccepted)
}

func (p *process) initFailed(w http.ResponseWriter, r *http.Request) {
	payload, err := readBounded(r.Body, MaxResponseBytes)
	if err != nil || len(payload) == 0 {
		payload = errorObject("Runtime.Unknown", "")
	}
	p.f.mu.Lock()
	ok := p.state == starting
	if ok {
		p.initError = payload
	}
	p.f.mu.Unlock()
	if !ok {
		refuseCall(w, http.StatusForbidden, "InvalidStateTransition", "the init phase has ended")
		return
	}
	accept(w)
}

func accept(w http.ResponseWriter) {
	respond(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header()["Content-Type"] = jsonType
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller may have gone
}

func refuseID(w http.ResponseWriter) {
	refuseCall(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
}

func refuseCall(w http.ResponseWriter, status int, kind, message string) {
	respond(w, status, failed{kind, message})
}

// failed is the payload of a failed invocation.
type failed struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func errorObject(kind, message string) []byte {
	b, _ := json.Marshal(failed{kind, message}) // two strings always marshal
	return b
}

func timedOut(id string, limit time.Duration) []byte {
	return errorObject("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", id, limit.Seconds()))
}

func exitError(id string, cause error) []byte {
	reason := "Runtime exited without providing a reason"
	if cause != nil {
		reason = "Runtime exited with error: " + cause.Error()
	}
	return errorObject("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: %s", id, reason))
}

var errTooLarge = errors.New("too large")

// readBounded reads at most limit bytes; if there are more, it returns what it has with
// errTooLarge.
func readBounded(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = errTooLarge
	}
	return text, err
}
