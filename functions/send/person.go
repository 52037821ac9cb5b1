package main

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"connexease-functions/pkg/gateway"
	"connexease-functions/pkg/whatsapp"
)

// aliasLimit bounds the writing of another name of a customer. It is not waited for longer:
// the next answer that names both proves it again.
const aliasLimit = time.Second

// ruleContact is what an envelope's contact must be: nothing is sent to other names.
const ruleContact = "a phone number or a business-scoped user id"

// addressed puts whom an envelope is for into its message: a number becomes to, a user id
// recipient, a group to with its recipient_type. ok is false where that is not possible.
func addressed(message json.RawMessage, contact, group string, f faults) (out json.RawMessage, ok bool) {
	said := members(message)
	if said == nil {
		return message, true // read says what is wrong with it
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
			message = withMember(message, "recipient_type", "group")
		case !isText(kind, "group"):
			f.add("recipient_type", "group, or absent")
		}
		return withMember(message, "to", group), true
	case whatsapp.IsPhone(name):
		return withMember(message, "to", name), true
	case whatsapp.IsUserID(name):
		return withMember(message, "recipient", name), true
	default:
		f.add("contact", ruleContact)
	}
	return message, false
}

// withMember puts a member that an object does not have before its others.
func withMember(object json.RawMessage, name, value string) json.RawMessage {
	text, _ := json.Marshal(value) // a string always marshals
	rest := bytes.TrimSpace(bytes.TrimSpace(object)[1:])
	out := append([]byte(`{"`+name+`":`), text...)
	if rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, rest...)
}

// alias remembers the name that WhatsApp has for whom a message was sent to, where it is
// another one than the caller's. The message has left: a failure changes nothing of that.
func (h *handler) alias(ctx context.Context, v *visit) {
	if v.result == nil || v.result.State != gateway.Accepted || v.about.GroupID != "" {
		return
	}
	names, ok := whatsapp.SentTo(v.result.Body)
	if !ok {
		return
	}
	writing, cancel := context.WithDeadline(ctx, h.until(v, aliasLimit))
	defer cancel()
	_ = h.table.PutAlias(writing, names, h.now())
}
