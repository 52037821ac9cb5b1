package order

import (
	"cmp"
	"encoding/json"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/queue"
	"connexease-functions/pkg/table"
)

// The scopes of keys: nobody can reach into a different source's or client's messages.
const (
	ScopeSQS    = "sqs"
	ScopeDirect = "direct"
)

// ClientScope is the scope of a client's keys over HTTP.
func ClientScope(client string) string { return "http/" + client }

// IsEvent reports whether a record's members are an EventBridge event's.
func IsEvent(members map[string]json.RawMessage) bool {
	return members["detail-type"] != nil && members["source"] != nil && members["detail"] != nil
}

// FromRecord reads a queue record's body: our own {"id"}, of which it returns the id alone, an
// EventBridge event, an envelope, or a bare message. It returns a response where it is refused.
func FromRecord(r *queue.Record) (o Order, id string, refused *api.Response) {
	o.Scope, o.Key = ScopeSQS, r.ID
	m, repeated := api.Members([]byte(r.Body))
	if len(m) == 1 && len(repeated) == 0 && m["id"] != nil {
		if json.Unmarshal(m["id"], &id) == nil && ledger.ValidID(id) {
			return o, id, nil
		}
		id = ""
	}
	f := faults{}
	body := []byte(r.Body)
	if IsEvent(m) {
		var source, event string
		if json.Unmarshal(m["source"], &source) == nil && json.Unmarshal(m["id"], &event) == nil && ledger.ValidKey(event) {
			o.Scope, o.Key = "event/"+source, event
		}
		f.repeated(repeated)
		body = m["detail"]
		m, _ = api.Members(body)
	}
	if m["message"] != nil {
		key := o.Key
		refused = o.envelope(body, f)
		o.Key = cmp.Or(o.Key, key)
	} else {
		refused = o.message(body, f)
	}
	o.checkTogether(true, f)
	if refused == nil {
		refused = f.verdict()
	}
	return o, "", refused
}

// Refused is the order that stands for a record that can never be sent: under the record's own SQS
// message id and never under its key, because a bad record does not spend a key.
func (o Order) Refused(r *queue.Record) Order {
	o.Scope, o.Key, o.Fallback, o.After, o.SendAt = ScopeSQS, r.ID, nil, "", time.Time{}
	if len(o.Body) == 0 {
		o.Body = []byte(r.Body[:min(len(r.Body), table.MaxSend)])
	}
	return o
}
