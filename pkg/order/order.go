// Package order reads what a caller asks to have sent: over HTTP, in a queue record, or in an
// envelope. It does no I/O, so that every rule about a request can be tested by its JSON alone.
package order

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// longestType bounds the type of a message in the table, in bytes; existing types have up to 20.
const longestType = 64

// Order is a message to be sent, and how.
type Order struct {
	Scope, Key     string // of the message's id; Key is empty where the caller has none
	Client         string // that may look it up; empty: nobody over HTTP
	RequestID      string // API Gateway's, of an HTTP request
	Body           []byte // the message as it is posted, compacted
	Summary        whatsapp.Summary
	Sender         string // that the request names; empty: none
	Campaign       string // that the message is sent for; empty: none. A choice about it, not part of the request
	Purpose        string // one of the purposes; empty: none. Like Campaign not part of the request
	Bulk           bool   // it waits in the bulk lane
	IsFake, MMLite bool
	Async          bool          // the caller waits only until it is queued
	OnUnknown      ledger.Choice // empty: the default
	ValidFor       time.Duration // 0: the default
	SendAt         time.Time     // when it is to leave, in whole seconds; zero: at once
	After          string        // id of the message that must have left or ended before; empty: none
	// OnClosedWindow says what is to be done with free text outside of the customer service window;
	// OnUnknownWindow is WindowClosed where nothing stored counts as outside.
	OnClosedWindow, OnUnknownWindow string
	Fallback                        []byte // the template that leaves instead, compacted; nil: none
}

// The envelope's members that a gate is about.
const memberClosed, memberUnknown, memberPurpose = "onClosedWindow", "onUnknownWindow", "purpose"

// purposeMarketing is the one purpose for which the person's consent is looked at.
const purposeMarketing = "marketing"

// purposes are what a message may be for: the categories of WhatsApp's templates, and service, which
// is what it calls replies to a customer (WhatsApp Business Platform: Pricing).
var purposes = []string{purposeMarketing, "utility", "authentication", "service"}

// What a caller may choose about the customer service window; the first of each is the default.
const (
	WindowSend, WindowRefuse, WindowFallback = "send", "refuse", "fallback"

	WindowOpen, WindowClosed = "open", "closed"
)

// IsMarketing reports whether the person's consent decides about this message: a group has none.
func (o *Order) IsMarketing() bool {
	return (o.Purpose == purposeMarketing || o.MMLite) && !o.Summary.Receipt && o.About().Contact != ""
}

// AsksForWindow reports whether the window decides about this message: a template is delivered at
// any time, and a group has none.
func (o *Order) AsksForWindow() bool {
	return o.OnClosedWindow != "" && o.OnClosedWindow != WindowSend && !o.Summary.Receipt && o.Summary.Type != "template" && o.About().Contact != ""
}

// Gate returns what is to be looked at before each attempt, under the envelope's names; nil:
// nothing.
func (o *Order) Gate() map[string]string {
	gate := map[string]string{}
	if o.IsMarketing() {
		gate[memberPurpose] = purposeMarketing
	}
	if o.AsksForWindow() {
		gate[memberClosed] = o.OnClosedWindow
		if o.OnUnknownWindow != "" {
			gate[memberUnknown] = o.OnUnknownWindow
		}
	}
	if len(gate) == 0 {
		return nil
	}
	return gate
}

// Stored returns the order of a row that only its id named.
func Stored(s *ledger.Send) Order {
	o := Order{
		Client: s.Client, RequestID: s.RequestID, Body: s.Payload, Fallback: s.Fallback,
		Purpose: s.Gate[memberPurpose], OnClosedWindow: s.Gate[memberClosed], OnUnknownWindow: s.Gate[memberUnknown],
	}
	o.Summary, _ = whatsapp.Check(s.Payload)
	return o
}

// About describes the message for its row.
func (o *Order) About() table.About { return o.describe(o.Body, o.Summary) }

// AboutFallback describes the fallback for its row.
func (o *Order) AboutFallback() table.About {
	summary, _ := whatsapp.Check(o.Fallback)
	return o.describe(o.Fallback, summary)
}

func (o *Order) describe(body []byte, s whatsapp.Summary) table.About {
	kind := s.Type
	if len(kind) > longestType {
		kind = ""
	}
	d := whatsapp.Describe(body, s)
	return table.About{Type: kind, Contact: d.Contact, UserID: d.UserID, GroupID: d.GroupID, Text: d.Text, ReplyTo: d.ReplyTo, MediaID: d.MediaID, Campaign: o.Campaign}
}

// message checks a message's body, and adds what is wrong to f. Where the body cannot be read at
// all, it returns the response that says so.
func (o *Order) message(body []byte, f faults) *api.Response {
	if len(body) > table.MaxSend {
		return refuse(api.RequestTooLarge, "The message is larger than 256 KiB.")
	}
	read, summary, found := whatsapp.Read(body)
	for _, one := range found {
		if one.Malformed() {
			return refuse(api.MalformedRequest, "The message is not "+one.Rule+".")
		}
		f.add(one.Path, one.Rule)
	}
	if _, _, ours := ledger.ParseOpaque(summary.Opaque); ours {
		f.add("biz_opaque_callback_data", ruleOpaque)
	}
	checkMembers(read, "", f)
	o.Body, o.Summary = compacted(body), summary
	return nil
}

const ruleOpaque = "not of the form msg_<id>.<attempt>, by which this product knows its own receipts"

// compacted leaves out the white space of valid JSON.
func compacted(body []byte) []byte {
	var compact bytes.Buffer
	compact.Grow(len(body))
	_ = json.Compact(&compact, body)
	return compact.Bytes()
}

func (o *Order) setSender(name, path string, f faults) {
	if !auth.ValidClient(name) {
		f.add(path, "the name of a sender: "+ruleName)
	}
	o.Sender = name
}

func (o *Order) setPurpose(value, path string, f faults) {
	if !slices.Contains(purposes, value) {
		f.add(path, "marketing, utility, authentication or service")
	}
	o.Purpose = value
}

// setSendAt reads a time. A fraction of a second counts as the whole: nothing leaves early.
func (o *Order) setSendAt(value, path string, f faults) {
	at, err := time.Parse(time.RFC3339, value)
	if err != nil || at.Year() < 1971 {
		f.add(path, RuleSendAt)
		return
	}
	o.SendAt = at.Add(time.Second - 1).Truncate(time.Second).UTC()
	if o.Summary.Receipt {
		f.add(path, "absent: a read receipt or typing indicator is not a message")
	}
}

// RuleSendAt is what a caller's time must be.
const RuleSendAt = "a time 1 minute to 35 days ahead, with its zone (RFC 3339), such as 2026-12-24T09:00:00+01:00"

// setAfter reads what a message waits for: a message's id, or a key of the order's own scope.
func (o *Order) setAfter(value string, f faults) {
	switch {
	case o.Summary.Receipt:
		f.add("after", "absent: a read receipt or typing indicator is not a message")
	case ledger.ValidID(value):
		o.After = value
	case ledger.ValidKey(value):
		o.After = ledger.ID(o.Scope, value)
	default:
		f.add("after", "the id or the idempotency key of a message")
	}
}

// checkTogether refuses what does not go together: a message that waits for itself or cannot wait,
// a fallback where none may leave, or none where one is asked for, and a purpose that mmlite
// contradicts: its messages are marketing (WhatsApp Business Platform: Marketing Messages API).
func (o *Order) checkTogether(waits bool, f faults) {
	if o.MMLite && o.Purpose != "" && o.Purpose != purposeMarketing {
		f.add(memberPurpose, "marketing, or absent, with mmlite")
	}
	if _, said := f["fallback"]; !said && (o.OnClosedWindow == WindowFallback) != (o.Fallback != nil) {
		f.add("fallback", ruleFallback)
	}
	if !o.SendAt.IsZero() && o.ValidFor > 0 && o.ValidFor < leastScheduled {
		f.add("validFor", "at least "+strconv.Itoa(int(leastScheduled/time.Second))+" with sendAt, because a schedule may be late by a minute")
	}
	if o.Bulk && !waits {
		f.add("lane", "absent where the caller waits: a lane is for what is queued or scheduled")
	}
	switch {
	case o.After == "":
	case o.Key != "" && o.After == ledger.ID(o.Scope, o.Key):
		f.add("after", "another message: none is sent before itself")
	case !waits:
		f.add("after", "absent where the caller waits: only what is queued or scheduled can")
	}
}

// leastScheduled is the least validity of a message that leaves later: its schedule may be late by
// as much as it must be ahead.
const leastScheduled = 2 * ledger.MinAhead

// LaneBulk is the lane of a caller's campaigns.
const LaneBulk = "bulk"

func (o *Order) setLane(value, path string, f faults) {
	if o.Bulk = value == LaneBulk; !o.Bulk {
		f.add(path, LaneBulk+", or absent")
	}
}

func (o *Order) setOnUnknown(value string, path string, f faults) {
	switch c := ledger.Choice(value); c {
	case "", ledger.Hold, ledger.Resend:
		o.OnUnknown = c
	default:
		f.add(path, "hold or resend")
	}
}

func (o *Order) setWindow(closed, closedPath, unknown, unknownPath string, f faults) {
	if closed != "" && closed != WindowSend && closed != WindowRefuse && closed != WindowFallback {
		f.add(closedPath, "send, refuse or fallback")
	}
	if unknown != "" && unknown != WindowOpen && unknown != WindowClosed {
		f.add(unknownPath, "open or closed")
	}
	if closed != "" {
		o.OnClosedWindow = closed
	}
	if unknown != "" {
		o.OnUnknownWindow = unknown
	}
}

func (o *Order) setValidFor(seconds string, path string, f faults) {
	if seconds == "" {
		return
	}
	most := int(ledger.MaxValidFor / time.Second)
	n, err := strconv.Atoi(seconds)
	if err != nil || n < 1 || n > most {
		f.add(path, "a whole number of seconds from 1 to "+strconv.Itoa(most)+" (12 days)")
		return
	}
	o.ValidFor = time.Duration(n) * time.Second
}
