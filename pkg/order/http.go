package order

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/ledger"
)

// FromHTTP reads a client's request, whose body is the message itself or an envelope: a message
// never has a member message. It returns a response instead where the request is refused.
func FromHTTP(r api.Request, client string) (Order, *api.Response) {
	o := Order{Client: client, RequestID: r.ID, Scope: ClientScope(client), Async: prefersAsync(r.Header("prefer"))}
	body, err := r.Body()
	if errors.Is(err, api.ErrTooLarge) {
		return o, refuse(api.RequestTooLarge, "The message is larger than 256 KiB.")
	}
	if err != nil {
		return o, refuse(api.MalformedRequest, "")
	}
	f := faults{}
	read := o.message
	members, _ := api.Members(body)
	enveloped := members["message"] != nil
	if enveloped {
		read = o.envelope
	}
	if refused := read(body, f); refused != nil {
		return o, refused
	}
	if o.Client != client {
		f.add("reader", "absent, or your own name: over HTTP the client that sends may look the message up")
		o.Client = client
	}
	checkSpelling(r, f)
	// said adds a fault where the query or a header says something else than the envelope.
	said := func(place, member string, same bool) {
		if enveloped && given(members[member]) && !same {
			f.add(place, "the same as the envelope's "+member+", or absent")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		is := strings.EqualFold(r.Query[name], "true")
		if name != "is_fake" && name != "mmlite" {
			continue
		}
		// An empty value is refused too: a caller that writes ?is_fake wants no real message.
		if !is && !strings.EqualFold(r.Query[name], "false") {
			f.add(name, "true or false")
		}
		if name == "is_fake" {
			said(name, "isFake", is == o.IsFake)
			o.IsFake = is
		} else {
			said(name, "mmlite", is == o.MMLite)
			o.MMLite = is
		}
	}
	if sender, chosen := r.HasHeader("sender"); chosen {
		said("Sender", "sender", sender == o.Sender)
		o.setSender(sender, "Sender", f)
	}
	if lane, there := r.HasHeader("lane"); there {
		said("Lane", "lane", o.Bulk == (lane == LaneBulk))
		o.setLane(lane, "Lane", f)
	}
	if choice := strings.ToLower(r.Header("on-unknown")); choice != "" {
		said("On-Unknown", "onUnknown", choice == string(o.OnUnknown))
		o.setOnUnknown(choice, "On-Unknown", f)
	}
	if seconds := r.Header("valid-for"); seconds != "" {
		before := o.ValidFor
		o.setValidFor(seconds, "Valid-For", f)
		said("Valid-For", "validFor", before == o.ValidFor)
	}
	if at, there := r.HasHeader("send-at"); there {
		before := o.SendAt
		o.setSendAt(at, "Send-At", f)
		said("Send-At", "sendAt", before.Equal(o.SendAt))
	}
	closed, unknown := strings.ToLower(r.Header("on-closed-window")), strings.ToLower(r.Header("on-unknown-window"))
	said("On-Closed-Window", "onClosedWindow", closed == "" || closed == o.OnClosedWindow)
	said("On-Unknown-Window", "onUnknownWindow", unknown == "" || unknown == o.OnUnknownWindow)
	o.setWindow(closed, "On-Closed-Window", unknown, "On-Unknown-Window", f)
	if purpose, chosen := r.HasHeader("purpose"); chosen {
		purpose = strings.ToLower(purpose)
		said("Purpose", memberPurpose, purpose == o.Purpose)
		o.setPurpose(purpose, "Purpose", f)
	}
	key, keyed := r.HasHeader("idempotency-key")
	if keyed {
		said("Idempotency-Key", keyMember, key == o.Key)
		o.Key = key
	}
	o.checkTogether(o.Async || !o.SendAt.IsZero(), f)
	if refused := f.verdict(); refused != nil {
		return o, refused
	}
	if keyed {
		if !ledger.ValidKey(key) {
			return o, refuse(api.MalformedKey, "")
		}
		// API Gateway joins a header that is given twice: "a, a" is not a key of its own.
		if strings.Contains(key, ",") {
			return o, refuse(api.MalformedKey, "An Idempotency-Key header is given once, and has no comma.")
		}
	}
	return o, nil
}

// prefersAsync reads a Prefer header (RFC 7240): preferences with parameters, in a list.
func prefersAsync(header string) bool {
	for preference := range strings.SplitSeq(header, ",") {
		name, _, _ := strings.Cut(preference, ";")
		if strings.EqualFold(strings.TrimSpace(name), "respond-async") {
			return true
		}
	}
	return false
}
