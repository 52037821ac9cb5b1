// Package events names the events that stored items become on the bus, and has the JSON
// Schema of what is in them.
package events

import _ "embed"

// Detail types of the events that a pipe makes of the table's stream. An item has its own
// in the attribute detail_type: a pipe takes a detail type from the record, it cannot make
// one (Amazon EventBridge: "Amazon EventBridge Pipes targets", dynamic path parameters).
const (
	// Received is what a customer has just written. Reply only to this one: a reply to an
	// echo would be one to oneself, and to history one to last month.
	Received = "WhatsApp Message Received"
	// Echoed is what the business sent from its own app.
	Echoed = "WhatsApp Message Echoed"
	// History is an old message, of either direction, that came when a number was connected.
	History = "WhatsApp Message History"
	// StatusChanged is what became of a message on its way.
	StatusChanged = "WhatsApp Message Status"
	// AccountEvent is everything else: templates, calls, limits, fields of tomorrow.
	AccountEvent = "WhatsApp Account Event"
	// Quarantined is a body, or an update, that could not be stored as what it is.
	Quarantined = "WhatsApp Quarantined"
	// Standby is whatever this app only watches, because another one answers: messages,
	// statuses and echoes, as their kind says.
	Standby = "WhatsApp Standby"
	// Outcome is that an attempt to send was settled.
	Outcome = "WhatsApp Message Outcome"
)

// DetailTypes are all of them.
var DetailTypes = []string{Received, Echoed, History, StatusChanged, AccountEvent, Quarantined, Outcome, Standby}

// JSON is a JSON Schema with a definition for each detail type, for users' code generators.
//
//go:embed events.json
var JSON []byte
