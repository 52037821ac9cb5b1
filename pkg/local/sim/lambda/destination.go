package lambda

import (
	"encoding/json"
	"net/http"
	"time"
)

// destinationRecord is what Lambda sends to an OnFailure destination (AWS: Capturing records of
// Lambda asynchronous invocations).
func destinationRecord(arn, id string, attempts int, request []byte, result Result, now time.Time) []byte {
	type requestContext struct {
		RequestID string `json:"requestId"`
		ARN       string `json:"functionArn"`
		Condition string `json:"condition"`
		Attempts  int    `json:"approximateInvokeCount"`
	}
	type responseContext struct {
		Status  int    `json:"statusCode"`
		Version string `json:"executedVersion"`
		Error   string `json:"functionError"`
	}
	answered := responseContext{http.StatusOK, latest, unhandled}
	if result.FunctionError == notRun {
		answered.Status = http.StatusInternalServerError
	}
	record, _ := json.Marshal(struct { // both payloads are JSON
		Version         string          `json:"version"`
		Timestamp       string          `json:"timestamp"`
		RequestContext  requestContext  `json:"requestContext"`
		RequestPayload  json.RawMessage `json:"requestPayload"`
		ResponseContext responseContext `json:"responseContext"`
		ResponsePayload json.RawMessage `json:"responsePayload"`
	}{
		"1.0", now.UTC().Format("2006-01-02T15:04:05.000Z"), requestContext{id, arn + ":" + latest, "RetriesExhausted", attempts},
		request, answered, jsonOrText(result.Payload),
	})
	return record
}

// jsonOrText returns JSON as it is, and anything else as a JSON string.
func jsonOrText(b []byte) json.RawMessage {
	if json.Valid(b) {
		return b
	}
	text, _ := json.Marshal(string(b)) // a string always marshals
	return text
}
