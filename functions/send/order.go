package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// order is a message that is to be sent, and how.
type order struct {
	scope, key     string // key: empty without one
	client         string // who may look it up
	body           []byte // compacted
	summary        whatsapp.Summary
	isFake, mmlite bool
	onUnknown      ledger.Choice
	validFor       time.Duration // 0: the standard
}

// longestType is in bytes; types that exist have up to 20.
const longestType = 64

func (o *order) about() table.About {
	kind := o.summary.Type
	if len(kind) > longestType {
		kind = ""
	}
	d := whatsapp.Describe(o.body, o.summary)
	return table.About{Type: kind, Contact: d.Contact, UserID: d.UserID, GroupID: d.GroupID, Text: d.Text, ReplyTo: d.ReplyTo, MediaID: d.MediaID}
}

func (o *order) fingerprint() string { return ledger.Fingerprint(o.isFake, o.mmlite, o.body) }

// faults are what is wrong with a request: where, and what would be right.
type faults map[string]any

func (f faults) add(path, rule string) {
	if before, ok := f[path].(string); ok {
		rule = before + "; " + rule
	}
	f[path] = rule
}

// read checks a message's body, and puts what is wrong into f. Where the body cannot
// be read at all, it returns the answer to that.
func (o *order) read(body []byte, f faults) *api.Answer {
	if len(body) > table.MaxSend {
		a := api.Fail(api.RequestTooLarge, "The message is larger than 256 KiB.", nil)
		return &a
	}
	summary, found := whatsapp.Check(body)
	for _, one := range found {
		if one.Malformed() {
			a := api.Fail(api.MalformedRequest, "The message is not "+one.Rule+".", nil)
			return &a
		}
		f.add(one.Path, one.Rule)
	}
	if _, _, ours := ledger.ParseOpaque(summary.Opaque); ours {
		f.add("biz_opaque_callback_data", "not of the form msg_<id>.<attempt>, by which this product knows its own receipts")
	}
	checkMembers(body, f)
	var compact bytes.Buffer
	compact.Grow(len(body))
	_ = json.Compact(&compact, body) // valid JSON: it was read
	o.body, o.summary = compact.Bytes(), summary
	return nil
}

// keyMember is the idempotency key's member of an envelope, keyRule what its value is.
const (
	keyMember = "idempotencyKey"
	keyRule   = "1 to 255 visible ASCII characters"
)

// verdict is the answer to all faults at once; nil without any.
func (f faults) verdict() *api.Answer {
	if len(f) == 0 {
		return nil
	}
	code := api.BrokenLimits
	if rule, malformed := f[keyMember].(string); len(f) == 1 && malformed && strings.HasSuffix(rule, keyRule) && !strings.HasPrefix(rule, whatsapp.RuleOnce) {
		code = api.MalformedKey
	}
	a := api.Fail(code, "", f)
	return &a
}

func (o *order) setOnUnknown(value string, path string, f faults) {
	switch c := ledger.Choice(value); c {
	case "", ledger.Hold, ledger.Resend:
		o.onUnknown = c
	default:
		f.add(path, "hold or resend")
	}
}

func (o *order) setValidFor(seconds string, path string, f faults) {
	if seconds == "" {
		return
	}
	most := int(ledger.MaxValidFor / time.Second)
	n, err := strconv.Atoi(seconds)
	if err != nil || n < 1 || n > most {
		f.add(path, "a whole number of seconds from 1 to "+strconv.Itoa(most)+" (12 days)")
		return
	}
	o.validFor = time.Duration(n) * time.Second
}

const mostUnknown = 10

// memberForm is that of a misspelt name, but of no phone number.
var memberForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,39}$`)

// envelope is what queue records, EventBridge details and direct invocations wrap a
// message in. A member of another name is a fault: it may be a misspelt key. So is one that is
// there twice: readers differ about which of them counts.
func (o *order) envelope(body []byte, f faults) *api.Answer {
	members, repeated := readMembers(body)
	f.repeated(repeated)
	text := func(name string) string {
		var s string
		if v, there := members[name]; there && json.Unmarshal(v, &s) != nil {
			f.add(name, "a string")
		}
		return s
	}
	flag := func(name string) (is bool) {
		if v, there := members[name]; there && json.Unmarshal(v, &is) != nil {
			f.add(name, "true or false")
		}
		return is
	}
	for name := range members {
		switch name {
		case "message", keyMember, "validFor", "onUnknown", "reader", "isFake", "mmlite", "contact", "group":
		default:
			const known = "absent: an envelope has message, idempotencyKey, validFor, onUnknown, reader, contact, group, isFake, mmlite"
			if len(f) < mostUnknown && memberForm.MatchString(name) {
				f.add(name, known)
			} else { // it may be anything, of any length
				f["envelope"] = "without other members: " + known[len("absent: "):]
			}
		}
	}
	key := text(keyMember)
	if key != "" || members[keyMember] != nil && string(members[keyMember]) != "null" {
		if !ledger.ValidKey(key) {
			f.add(keyMember, keyRule)
		}
		o.key = key
	}
	if reader := text("reader"); reader != "" {
		if !auth.ValidClient(reader) {
			f.add("reader", "the name of a client: 1 to 64 letters, digits, dots, hyphens and underscores")
		} else {
			o.client = reader
		}
	}
	if v := members["validFor"]; v != nil && string(v) != "null" {
		o.setValidFor(string(v), "validFor", f)
	}
	o.setOnUnknown(text("onUnknown"), "onUnknown", f)
	o.isFake, o.mmlite = flag("isFake"), flag("mmlite")
	message := members["message"]
	contact, group := text("contact"), text("group")
	if given(members["contact"]) || given(members["group"]) {
		var ok bool
		if message, ok = addressed(message, contact, group, f); !ok {
			to := f["to"]
			defer func() { // what is wrong is said already
				if delete(f, "to"); to != nil {
					f["to"] = to
				}
			}()
		}
	}
	return o.read(message, f)
}

// repeated says which members of an object are there more than once.
func (f faults) repeated(names []string) {
	for _, name := range names {
		if len(f) < mostUnknown && memberForm.MatchString(name) {
			f.add(name, whatsapp.RuleOnce)
		} else {
			f["envelope"] = whatsapp.RuleOnce
		}
	}
}

// given reports whether a member is there and not null.
func given(value json.RawMessage) bool { return value != nil && string(value) != "null" }

// members reads an object by its exact names; nil for anything else.
func members(b []byte) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	return m
}
