package eventbridge

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"connexease-functions/pkg/local/sim/pipes"
)

const (
	target      = "AWSEvents."
	contentType = "application/x-amz-json-1.1"
	maxRequest  = 4 << 20 // ten entries of 256 KB, and what JSON adds
	mostEntries = 10
)

type input struct {
	Name    string
	Entries []struct {
		Source, DetailType, Detail, EventBusName string
		Time                                     *float64
		Resources                                []string
	}
}

// ServeHTTP speaks AWS JSON 1.1, as the SDKs and the CLI do. The header that names the
// action keeps pages in a browser from putting events.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), target)
	if !ok || r.Method != http.MethodPost {
		fail(w, "UnknownOperationException", "The action is not known.")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var in input
	if err != nil || json.Unmarshal(body, &in) != nil {
		fail(w, "SerializationException", "The request cannot be read.")
		return
	}
	switch action {
	case "PutEvents":
		s.putEvents(w, in)
	case "DescribeEventBus":
		if in.Name != "" && in.Name != s.name && in.Name != ARN(s.name) {
			fail(w, "ResourceNotFoundException", "Event bus "+in.Name+" does not exist.")
			return
		}
		answer(w, http.StatusOK, map[string]any{"Name": s.name, "Arn": ARN(s.name)})
	case "ListEventBuses":
		answer(w, http.StatusOK, map[string]any{"EventBuses": []any{map[string]any{"Name": s.name, "Arn": ARN(s.name)}}})
	default:
		fail(w, "UnsupportedOperation", "Not served here: "+action)
	}
}

func (s *Server) putEvents(w http.ResponseWriter, in input) {
	if len(in.Entries) == 0 || len(in.Entries) > mostEntries {
		fail(w, "ValidationException", "Entries must have 1 to 10 members.")
		return
	}
	type result struct {
		EventID      string `json:"EventId,omitempty"`
		ErrorCode    string `json:",omitempty"`
		ErrorMessage string `json:",omitempty"`
	}
	var all []result
	failed := 0
	for _, one := range in.Entries {
		e := pipes.Entry{Source: one.Source, DetailType: one.DetailType, Detail: one.Detail, EventBusName: one.EventBusName, Resources: one.Resources}
		if one.Time != nil {
			e.Time = time.UnixMilli(int64(*one.Time * 1000))
		}
		// An entry that names no bus is for the account's default bus, which nothing listens to here.
		if e.EventBusName != s.name && e.EventBusName != ARN(s.name) {
			failed++
			all = append(all, result{ErrorCode: "ResourceNotFoundException", ErrorMessage: "Event bus " + e.EventBusName + " does not exist; there is " + s.name + "."})
			continue
		}
		ids, errs := s.put([]pipes.Entry{e})
		var f *Failure
		switch {
		case errors.As(errs[0], &f):
			failed++
			all = append(all, result{ErrorCode: f.Code, ErrorMessage: f.Message})
		case errs[0] != nil:
			failed++
			all = append(all, result{ErrorCode: "InternalException", ErrorMessage: errs[0].Error()})
		default:
			all = append(all, result{EventID: ids[0]})
		}
	}
	answer(w, http.StatusOK, map[string]any{"FailedEntryCount": failed, "Entries": all})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-RequestId", newID())
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func fail(w http.ResponseWriter, code, message string) {
	answer(w, http.StatusBadRequest, map[string]string{"__type": code, "message": message})
}
