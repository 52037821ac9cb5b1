// Package events names the events that stored items become on the bus, and holds the JSON Schema of
// their details.
package events

import _ "embed"

// Detail types of the events that a pipe makes from the table's stream. Each item names its own in
// the attribute detail_type: a pipe can copy a detail type from the record but not compute one
// (Amazon EventBridge: "Amazon EventBridge Pipes targets", dynamic path parameters).
const (
	// Received is a message that a customer has just written. Reply only to this type: an echo is
	// the business's own message, and history may be months old.
	Received = "WhatsApp Message Received"
	// Echoed is a message that the business sent from its own app.
	Echoed = "WhatsApp Message Echoed"
	// History is an old message, in either direction, delivered when a number was connected.
	History = "WhatsApp Message History"
	// StatusChanged is a delivery status of a message that was sent.
	StatusChanged = "WhatsApp Message Status"
	// AccountEvent is everything else: templates, calls, limits, and fields not known yet.
	AccountEvent = "WhatsApp Account Event"
	// Quarantined is a body, or an update, that could not be stored as what it is.
	Quarantined = "WhatsApp Quarantined"
	// Standby is a message, status or echo, as its kind says, of a conversation that a different
	// app handles and this one only watches.
	Standby = "WhatsApp Standby"
	// ConsentChanged is a newer word of a person, or of an operator, about marketing messages.
	ConsentChanged = "WhatsApp Consent Changed"
	// Outcome is the settled outcome of an attempt to send.
	Outcome = "WhatsApp Message Outcome"
)

// DetailTypes lists them all.
var DetailTypes = []string{Received, Echoed, History, StatusChanged, AccountEvent, Quarantined, Outcome, Standby, ConsentChanged}

// JSON is a JSON Schema with a definition for each detail type, for users' code generators.
//
//go:embed events.json
var JSON []byte
