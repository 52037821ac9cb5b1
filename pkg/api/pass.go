package api

import (
	"encoding/json"
	"net/http"
	"regexp"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"connexease-functions/pkg/gateway"
)

// Pass passes the Gateway's response on as it arrived. One that no client could read gets the
// unified shape. wamid is the message's id, where the body itself was not kept.
func Pass(state gateway.State, status int, body []byte, wamid string) Response {
	members, _ := Members(body)
	readable := members != nil
	switch {
	case state == gateway.Accepted && !readable && wamid == "":
		return Success(map[string]bool{"success": true})
	case state == gateway.Accepted && !readable:
		return Success(map[string]any{"messaging_product": "whatsapp", "messages": []map[string]string{{"id": wamid}}})
	case !readable:
		r := Fail(RefusedUnread, "", nil)
		if status >= http.StatusBadRequest {
			r.Status = status
		}
		r.Failure = failureOf(state, status)
		return r
	}
	r := Response{Status: status, Headers: headers(), Body: string(body), Foreign: true}
	if state != gateway.Accepted {
		r.Code, r.Failure = CodeOf(body), failureOf(state, status)
	}
	return r
}

func failureOf(state gateway.State, status int) Failure {
	switch {
	case status == http.StatusPaymentRequired:
		return PaymentRequired
	case status == http.StatusTooManyRequests:
		return RateLimited
	case state == gateway.Released && status >= http.StatusInternalServerError:
		return GatewayUnavailable
	case state == gateway.Unknown:
		return OutcomeUnknown
	}
	return Rejected
}

var (
	codeForm  = regexp.MustCompile(`^[A-Z]{1,10}_[0-9]{3}$`)
	groupForm = regexp.MustCompile(`^[A-Z_]{1,40}$`)
	waitForm  = regexp.MustCompile(`^[0-9]{1,6} ?[a-z]{0,8}$`)
)

// CodeOf returns the error code of a unified response, for logs; empty for anything else: what is
// not of a code's form stays out of them.
func CodeOf(body []byte) string {
	var r struct {
		Errors struct{ Code string } `json:"errors"`
	}
	if json.Unmarshal(body, &r) != nil || !codeForm.MatchString(r.Errors.Code) {
		return ""
	}
	return r.Errors.Code
}

// LambdaError is the response as the error of a Lambda function: its name for Step Functions, the
// unified response as its text. The runtime logs it and passes it to X-Ray, so the Gateway's own
// words, which may name a customer, stay out of it.
func (r Response) LambdaError() error {
	body := r.Body
	if r.Foreign {
		body = withoutWords(body)
	}
	return messages.InvokeResponse_Error{Type: string(r.Failure), Message: body}
}

// withoutWords keeps of a failure in the Gateway's words only what cannot name anybody: its code,
// its group, and what a rate limit asks for.
func withoutWords(body string) string {
	var r gateway.Response
	_ = json.Unmarshal([]byte(body), &r) // what cannot be read is left out
	if r.Errors == nil {
		r.Errors = &gateway.Error{}
	}
	kept := gateway.Error{Code: string(RefusedUnread), Description: "The Gateway refused the message. Its own words are in the table."}
	if codeForm.MatchString(r.Errors.Code) {
		kept.Code = r.Errors.Code
	}
	if groupForm.MatchString(r.Errors.Group) {
		kept.Group = r.Errors.Group
	}
	for _, name := range []string{"retry_after", "limit_type"} {
		if v, ok := r.Errors.Params[name].(string); ok && (waitForm.MatchString(v) || v == "sec" || v == "min") {
			if kept.Params == nil {
				kept.Params = map[string]any{}
			}
			kept.Params[name] = v
		}
	}
	return marshal(gateway.Response{Errors: &kept})
}
