package eventbridge

import (
	"errors"
	"net/http"
	"time"

	"connexease-functions/pkg/local/sim/awsjson"
	"connexease-functions/pkg/local/sim/pipes"
)

const (
	mostEntries = 10
	// maxEntries bounds the total size of a request's entries, in bytes (AWS API reference:
	// PutEvents).
	maxEntries = 1 << 20
)

var service = awsjson.Service{
	Target: "AWSEvents.", Version: "1.1",
	MaxRequest: 6*maxEntries + 64<<10, // JSON escapes each byte with at most six
	TooLarge:   invalid("The request is too large."),
}

func invalid(message string) *awsjson.Fault {
	return &awsjson.Fault{Type: "ValidationException", Message: message}
}

type input struct {
	Entries []struct {
		Source, DetailType, Detail, EventBusName string
		Time                                     *float64
		Resources                                []string
	}
}

// ServeHTTP is the endpoint.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	awsjson.Serve(w, r, service, func(action string, in input) (any, *awsjson.Fault) {
		if action != "PutEvents" {
			return nil, service.UnknownOperation(action)
		}
		return s.putEvents(in)
	})
}

func (s *Server) putEvents(in input) (any, *awsjson.Fault) {
	if len(in.Entries) == 0 || len(in.Entries) > mostEntries {
		return nil, invalid("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length between 1 and 10")
	}
	type result struct {
		EventID      string `json:"EventId,omitempty"`
		ErrorCode    string `json:",omitempty"`
		ErrorMessage string `json:",omitempty"`
	}
	var all []result
	var entries []pipes.Entry
	size := 0
	for _, one := range in.Entries {
		e := pipes.Entry{Source: one.Source, DetailType: one.DetailType, Detail: one.Detail, EventBusName: one.EventBusName, Resources: one.Resources}
		if one.Time != nil {
			e.Time = time.UnixMilli(int64(*one.Time * 1000))
		}
		size += entrySize(e)
		entries = append(entries, e)
	}
	if size > maxEntries {
		return nil, invalid("Total size of the entries in the request is over the limit.")
	}
	failed := 0
	for _, e := range entries {
		id, err := "", error(&Failure{"ResourceNotFoundException", "Event bus " + e.EventBusName + " does not exist; there is " + s.name + "."})
		// An entry without a bus is for the account's default bus, which is not simulated.
		if e.EventBusName == s.name || e.EventBusName == ARN(s.name) {
			id, err = s.put(e)
		}
		one := result{EventID: id}
		if err != nil {
			f := &Failure{"InternalException", err.Error()}
			_ = errors.As(err, &f)
			one.ErrorCode, one.ErrorMessage = f.Code, f.Message
			failed++
		}
		all = append(all, one)
	}
	return map[string]any{"FailedEntryCount": failed, "Entries": all}, nil
}

// entrySize returns a size as AWS counts it (Amazon EventBridge: "Calculating PutEvents event entry
// size").
func entrySize(e pipes.Entry) int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if !e.Time.IsZero() {
		n += 14
	}
	for _, one := range e.Resources {
		n += len(one)
	}
	return n
}
