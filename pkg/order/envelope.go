package order

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// keyMember is the idempotency key's member of an envelope, keyRule what its value is.
const (
	keyMember = "idempotencyKey"
	keyRule   = "1 to 255 visible ASCII characters"
)

// ruleContact is what an envelope's contact must be: nothing is sent to other names.
const ruleContact = "a phone number or a business-scoped user id"

// ruleName is what names of clients, senders and campaigns are.
const ruleName = "1 to 64 letters, digits, dots, hyphens and underscores"

// ruleFallback is what an envelope's fallback must be.
const ruleFallback = "a template's message object in the envelope, where onClosedWindow is fallback, else absent"

// envelopeMembers are all that an envelope may have; any other may be a misspelt one.
var envelopeMembers = []string{
	"message", keyMember, "validFor", "onUnknown", "reader", "contact", "group", "sender", "isFake", "mmlite", memberClosed, memberUnknown,
	"campaign", "sendAt", "after", "fallback", "lane", memberPurpose,
}

// FromEnvelope reads a direct invocation. It returns a response instead where it is refused. A key
// is required of all but receipts, because Lambda and Step Functions repeat a call silently.
func FromEnvelope(payload []byte) (Order, *api.Response) {
	o := Order{Scope: ScopeDirect}
	f := faults{}
	refused := o.envelope(payload, f)
	o.checkTogether(!o.SendAt.IsZero(), f)
	if refused == nil {
		refused = f.verdict()
	}
	if refused == nil && o.Key == "" && !o.Summary.Receipt {
		refused = refuse(api.MalformedKey, "A direct invocation needs an idempotencyKey of 1 to 255 visible ASCII characters, because Lambda and Step Functions repeat silently.")
	}
	return o, refused
}

// envelope reads what queue records, EventBridge details and direct invocations wrap a
// message in. A member of a different name is a fault: it may be a misspelt key. So is one that
// appears twice: readers differ about which of them counts.
func (o *Order) envelope(body []byte, f faults) *api.Response {
	members, repeated := api.Members(body)
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
		if !slices.Contains(envelopeMembers, name) {
			known := "an envelope has " + strings.Join(envelopeMembers, ", ")
			if len(f) < mostUnknown && memberForm.MatchString(name) {
				f.add(name, "absent: "+known)
			} else { // it may be anything, of any length
				f["envelope"] = "without other members: " + known
			}
		}
	}
	key := text(keyMember)
	if key != "" || given(members[keyMember]) {
		if !ledger.ValidKey(key) {
			f.add(keyMember, keyRule)
		}
		o.Key = key
	}
	if reader := text("reader"); reader != "" {
		if !auth.ValidClient(reader) {
			f.add("reader", "the name of a client: "+ruleName)
		} else {
			o.Client = reader
		}
	}
	if v := members["validFor"]; given(v) {
		o.setValidFor(string(v), "validFor", f)
	}
	if given(members["sender"]) {
		o.setSender(text("sender"), "sender", f)
	}
	if given(members["lane"]) {
		o.setLane(text("lane"), "lane", f)
	}
	if given(members["campaign"]) {
		if o.Campaign = text("campaign"); !auth.ValidClient(o.Campaign) {
			f.add("campaign", ruleName)
			o.Campaign = ""
		}
	}
	if given(members[memberPurpose]) {
		o.setPurpose(text(memberPurpose), memberPurpose, f)
	}
	o.setOnUnknown(text("onUnknown"), "onUnknown", f)
	o.setWindow(text("onClosedWindow"), "onClosedWindow", text("onUnknownWindow"), "onUnknownWindow", f)
	o.IsFake, o.MMLite = flag("isFake"), flag("mmlite")
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
	refused := o.message(message, f)
	if given(members["sendAt"]) {
		o.setSendAt(text("sendAt"), "sendAt", f)
	}
	if given(members["after"]) {
		o.setAfter(text("after"), f)
	}
	if refused == nil && given(members["fallback"]) {
		refused = o.readFallback(members["fallback"], message, f)
	}
	return refused
}

// readFallback checks the template that may leave instead of the message, with the same rules. It
// goes to the message's recipient, whom it need not repeat.
func (o *Order) readFallback(body, message json.RawMessage, f faults) *api.Response {
	if len(body)+len(message) > table.MaxSend {
		return refuse(api.RequestTooLarge, "The message and its fallback are together larger than 256 KiB.")
	}
	said, _ := api.Members(body)
	of, _ := api.Members(message)
	inherits := said != nil && said["to"] == nil && said["recipient"] == nil
	for _, name := range []string{"recipient_type", "recipient", "to"} {
		if inherits && said[name] == nil && of[name] != nil {
			body = withMember(body, name, of[name])
		}
	}
	read, summary, found := whatsapp.Read(body)
	for _, one := range found {
		switch {
		case one.Malformed():
			f.add("fallback", ruleFallback)
			return nil
		case !inherits || one.Path != "to" || f["to"] == nil: // else the message says it
			f.add("fallback."+one.Path, one.Rule)
		}
	}
	o.Fallback = compacted(body)
	to, instead := o.About(), o.AboutFallback()
	switch {
	case o.Summary.Receipt:
		f.add("fallback", "absent: a receipt is not a message")
	case summary.Type != "template":
		f.add("fallback.type", "template: nothing else is delivered outside of the window")
	case to.Contact != instead.Contact || to.UserID != instead.UserID || to.GroupID != instead.GroupID:
		f.add("fallback.to", "the message's recipient, or absent")
	}
	if _, _, ours := ledger.ParseOpaque(summary.Opaque); ours {
		f.add("fallback.biz_opaque_callback_data", ruleOpaque)
	}
	checkMembers(read, "fallback.", f)
	return nil
}

// given reports whether a member is there and not null.
func given(value json.RawMessage) bool { return value != nil && string(value) != "null" }

// addressed puts whom an envelope is for into its message: a number becomes to, a user id
// recipient, a group to with its recipient_type. ok is false where that is not possible.
func addressed(message json.RawMessage, contact, group string, f faults) (out json.RawMessage, ok bool) {
	said, _ := api.Members(message)
	if said == nil {
		return message, true // message says what is wrong with it
	}
	for _, name := range []string{"to", "recipient"} {
		if _, there := said[name]; there {
			f.add(name, "absent where the envelope has contact or group")
			return message, false
		}
	}
	name := whatsapp.Canonical(contact)
	switch {
	case contact != "" && group != "":
		f.add("group", "absent where there is a contact")
	case group != "":
		switch kind := said["recipient_type"]; {
		case kind == nil:
			message = withMember(message, "recipient_type", quoted("group"))
		case !api.IsText(kind, "group"):
			f.add("recipient_type", "group, or absent")
		}
		return withMember(message, "to", quoted(group)), true
	case whatsapp.IsPhone(name):
		return withMember(message, "to", quoted(name)), true
	case whatsapp.IsUserID(name):
		return withMember(message, "recipient", quoted(name)), true
	default:
		f.add("contact", ruleContact)
	}
	return message, false
}

func quoted(text string) json.RawMessage {
	value, _ := json.Marshal(text) // a string always marshals
	return value
}

// withMember puts a member that an object does not have before its others.
func withMember(object json.RawMessage, name string, value json.RawMessage) json.RawMessage {
	rest := bytes.TrimSpace(bytes.TrimSpace(object)[1:])
	out := append([]byte(`{"`+name+`":`), value...)
	if rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...)
}
