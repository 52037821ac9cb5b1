package lambda

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"connexease-functions/pkg/local/pause"
	"connexease-functions/pkg/local/sim/uuid"
)

// maxAsyncBytes is the limit of an asynchronous invocation's payload (AWS: Lambda quotas).
const maxAsyncBytes = 1 << 20

// DefaultRetryDelays are Lambda's one and two minutes (AWS: How Lambda handles errors and retries
// with asynchronous invocation), shortened for a developer who watches.
var DefaultRetryDelays = []time.Duration{time.Second, 2 * time.Second}

// Target is a function that can be invoked by name, with its EventInvokeConfig.
type Target struct {
	Function *Function
	// Retries is how often an asynchronous invocation is repeated after a function error.
	Retries int
	// OnFailure receives the destination record of an asynchronous invocation whose last attempt
	// failed. If nil, the record is lost, as in AWS.
	OnFailure func(record []byte)
}

// Invocation is one attempt to run a function through the Invoke API, for the line that the stack
// prints and for tests.
type Invocation struct {
	Time     time.Time
	Function string
	Attempt  int // from 1 for an asynchronous invocation; 0 for a synchronous one
	Duration time.Duration
	Result   Result
}

// InvokeAPI serves the part of Lambda's API that the stack needs: Invoke (AWS: Lambda API
// Reference, Invoke), the configuration update that makes every later invocation run in a new
// process, and event source mappings, which can be disabled and enabled.
type InvokeAPI struct {
	targets map[string]Target
	delays  []time.Duration
	observe func(Invocation)
	handler http.Handler
	maps    mappings

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
}

// NewInvokeAPI serves targets. delays are the waits before each repeat, the last of which applies
// to all further ones; none means DefaultRetryDelays. observe may be nil.
func NewInvokeAPI(targets []Target, delays []time.Duration, observe func(Invocation)) *InvokeAPI {
	if len(delays) == 0 {
		delays = DefaultRetryDelays
	}
	if observe == nil {
		observe = func(Invocation) {}
	}
	a := &InvokeAPI{targets: map[string]Target{}, delays: delays, observe: observe}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for _, t := range targets {
		a.targets[t.Function.Name()] = t
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{name}/invocations", a.serve)
	mux.HandleFunc("PUT /2015-03-31/functions/{name}/configuration", a.updateConfiguration)
	mux.HandleFunc("GET /2015-03-31/functions/{name}/configuration", a.showConfiguration)
	const mappingsPath = "/2015-03-31/event-source-mappings"
	mux.HandleFunc("GET "+mappingsPath, a.listMappings)
	mux.HandleFunc("GET "+mappingsPath+"/{$}", a.listMappings)
	mux.HandleFunc("PUT "+mappingsPath+"/{id}", a.updateMapping)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuseInvoke(w, http.StatusNotFound, "UnknownOperationException", "Only Invoke, GetFunctionConfiguration, UpdateFunctionConfiguration, ListEventSourceMappings and UpdateEventSourceMapping are served here.")
	})
	// A web page must not be able to invoke a function.
	a.handler = http.NewCrossOriginProtection().Handler(mux)
	return a
}

// Close refuses further invocations and returns when all accepted ones have ended. Pending repeats
// run at once, so that none is lost. Close the functions after it.
func (a *InvokeAPI) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.work.Wait()
}

// begin registers work that Close waits for; it reports false after Close.
func (a *InvokeAPI) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.work.Add(1)
	}
	return !a.closed
}

// ServeHTTP implements http.Handler.
func (a *InvokeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Amzn-Requestid", uuid.New())
	if !a.begin() {
		refuseInvoke(w, http.StatusServiceUnavailable, "ServiceException", "Lambda is shutting down.")
		return
	}
	defer a.work.Done()
	a.handler.ServeHTTP(w, r)
}

func (a *InvokeAPI) serve(w http.ResponseWriter, r *http.Request) {
	target, known := a.named(w, r)
	if !known {
		return
	}
	kind := r.Header.Get("X-Amz-Invocation-Type")
	limit := int64(MaxRequestBytes)
	if kind == "Event" {
		limit = maxAsyncBytes
	}
	payload, err := readBounded(r.Body, limit)
	if errors.Is(err, errTooLarge) {
		refuseInvoke(w, http.StatusRequestEntityTooLarge, "RequestTooLargeException", "The request payload exceeded the Invoke request body JSON input quota.")
		return
	}
	if err == nil && len(payload) == 0 {
		payload = []byte("{}") // the event of an invocation without a payload
	}
	if err != nil || !json.Valid(payload) {
		refuseInvoke(w, http.StatusBadRequest, "InvalidRequestContentException", "Could not parse request body into json.")
		return
	}
	switch kind {
	case "", "RequestResponse":
		a.answer(w, r, target, payload)
	case "Event":
		id := uuid.New()
		if !a.begin() {
			refuseInvoke(w, http.StatusServiceUnavailable, "ServiceException", "Lambda is shutting down.")
			return
		}
		go func() {
			defer a.work.Done()
			a.background(target, id, payload)
		}()
		w.Header().Set("X-Amzn-Requestid", id)
		w.WriteHeader(http.StatusAccepted)
	default:
		refuseInvoke(w, http.StatusBadRequest, "InvalidParameterValueException", "X-Amz-Invocation-Type must be RequestResponse or Event.")
	}
}

func (a *InvokeAPI) answer(w http.ResponseWriter, r *http.Request, target Target, payload []byte) {
	// As in AWS, the function continues after its caller has gone.
	result := a.attempt(context.WithoutCancel(r.Context()), target, uuid.New(), payload, 0)
	if result.FunctionError == notRun {
		refuseInvoke(w, http.StatusInternalServerError, "ServiceException", "The function cannot be started.")
		return
	}
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("X-Amzn-Requestid", result.RequestID)
	h.Set("X-Amz-Executed-Version", latest)
	if result.FunctionError != "" {
		h.Set("X-Amz-Function-Error", result.FunctionError)
	}
	_, _ = w.Write(result.Payload) // the caller may have gone, which does not concern the function
}

// notRun is the function error of an invocation that reached no process: the binary cannot be
// started, or the function is closed.
const notRun = "NotRun"

func (a *InvokeAPI) attempt(ctx context.Context, target Target, id string, payload []byte, number int) Result {
	start := time.Now()
	result, err := target.Function.invoke(ctx, id, payload)
	if err != nil {
		result = Result{RequestID: id, FunctionError: notRun, Payload: errorObject("ServiceException", err.Error())}
	}
	a.observe(Invocation{Time: start, Function: target.Function.Name(), Attempt: number, Duration: time.Since(start), Result: result})
	return result
}

// background runs an asynchronous invocation with its repeats.
func (a *InvokeAPI) background(target Target, id string, payload []byte) {
	for number := 1; ; number++ {
		result := a.attempt(context.Background(), target, id, payload, number)
		switch {
		case result.FunctionError == "":
			return
		case number <= target.Retries:
			_ = pause.For(a.ctx, a.delays[min(number, len(a.delays))-1])
		default:
			if target.OnFailure != nil {
				target.OnFailure(destinationRecord(target.Function.cfg.arn(), id, number, payload, result, time.Now()))
			}
			return
		}
	}
}

// latest is the only version.
const latest = "$LATEST"

// named returns the function named by a request, or responds that there is none. The name may be a
// partial or a full ARN, each with an optional qualifier.
func (a *InvokeAPI) named(w http.ResponseWriter, r *http.Request) (target Target, known bool) {
	id := r.PathValue("name")
	if _, rest, isARN := strings.Cut(id, ":function:"); isARN {
		id = rest
	}
	name, qualifier, _ := strings.Cut(id, ":")
	qualifier = cmp.Or(r.URL.Query().Get("Qualifier"), qualifier, latest)
	target, known = a.targets[name]
	if known = known && qualifier == latest; !known {
		refuseInvoke(w, http.StatusNotFound, "ResourceNotFoundException", "Function not found: "+Config{Name: name}.arn())
	}
	return target, known
}

// refuseInvoke writes an error as Lambda's API does: the SDKs read the error's name from the
// header.
func refuseInvoke(w http.ResponseWriter, status int, kind, message string) {
	who := "User"
	if status >= http.StatusInternalServerError {
		who = "Service"
	}
	w.Header().Set("X-Amzn-Errortype", kind)
	respond(w, status, map[string]string{"Type": who, "Message": message})
}
