// Package whatsapp parses WhatsApp Cloud API bodies: it splits a webhook notification into
// self-contained events, checks messages to send, and folds statuses into the state of a message.
package whatsapp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is the kind of an event's item.
type Kind string

// The kinds of events. A body that is not a notification is quarantined whole.
const (
	KindMessage    Kind = "message"
	KindStatus     Kind = "status"
	KindEvent      Kind = "event"
	KindQuarantine Kind = "quarantine"
)

// Direction of a message, seen from the business.
type Direction string

// In is from the customer, Out to the customer.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// What a person says about marketing messages, in WhatsApp's words.
const (
	Stop   = "stop"
	Resume = "resume"
)

// Reasons of a quarantine.
const (
	ReasonNotJSON         = "not_json"
	ReasonNotNotification = "not_notification"
	ReasonRefused         = "refused_by_table"
	ReasonTooMany         = "too_many_updates"
)

const (
	// maxIdentifier is the longest identifier, in bytes, that is used as it is;
	// the WhatsApp Cloud API's own are 38 to 128 characters long.
	maxIdentifier = 512
	// maxText is the longest text attribute, in bytes.
	maxText = 512
	// maxBeside is the largest contact, in bytes, that is stored alongside an event. A larger one
	// becomes an event of its own.
	maxBeside = 4096
	// maxEvents bounds what one body is split into. WhatsApp sends at most 1,000 updates; a body of
	// far more would need more memory and time than a request has.
	maxEvents = 10_000
	// maxNodes bounds the members and elements above the updates that one body may have.
	maxNodes = 50_000
)

// Fields of keys that are no field's own.
const (
	keyQuarantine = "quarantine"
	keyUnknown    = "unknown" // of a change without a field
)

// FieldStandby is the field of conversations that a different app of the business handles.
const FieldStandby = "standby"

// Event is one update of a delivery: flat facts to search by, and the original update. Facts that
// are missing or of an unexpected JSON type are empty; Payload has them all the same.
type Event struct {
	Kind      Kind
	Direction Direction
	Type      string // message type, list name or account event
	Field     string // the change's field
	Reason    string // of a quarantine

	Contact            string // canonical name of the one person that it is about
	UserID             string // business-scoped user id, where Contact is a number
	GroupID            string
	PhoneNumberID      string
	DisplayPhoneNumber string
	WABAID             string
	WAMID              string
	Status             string
	ErrorCode          string
	Text               string // what a person would read; at most 512 bytes, cut at a character
	ReplyTo            string // id of the message that this one replies to, reacts to, edits or revokes
	MediaID            string
	Referral           string // what kind of advertisement or post it came from
	Opaque             string // a status's biz_opaque_callback_data

	Time      int64 // Unix milliseconds of the update; 0 where it has none
	EntryTime int64 // the entry's own time as it came; 0 where it has none

	Pricing Pricing `json:",omitzero"` // of a status

	Thread string // id of the history thread that the message was in

	Aliases []Pair `json:",omitempty"` // names that it proves to be one person's

	// Consent is what its person says about marketing messages: Stop, Resume, or empty for nothing.
	Consent string `json:",omitempty"`

	ContactPayload []byte // the contacts[] element that belongs to the event
	Payload        []byte // the update itself, without insignificant whitespace

	Key Key

	borrowed bool // only its neighbours say whom it is about
}

// Key holds an event's identifiers as used in table keys: the identifier where it is a string of 1
// to 512 bytes, else a hash.
type Key struct {
	Message string // wamid
	Number  string // phone_number_id
	Status  string
	Field   string
	Hash    string // of the event itself
}

// hash returns the first 16 hex digits of a SHA-256.
func hash(parts ...[]byte) string {
	h := sha256.New()
	for i, p := range parts {
		if i > 0 {
			h.Write([]byte{'\n'}) // compact JSON holds no raw line break
		}
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// identifier returns an identifier for keys, and the identifier itself where it
// can be used as it is. Where there is nothing to identify by, the fallback is
// hashed, so that such items do not pile up under one key.
func identifier(r raw, fallback []byte) (key, value string) {
	if s, ok := r.text(); ok && !lossy(r, s) {
		if s != "" && len(s) <= maxIdentifier && plain(s) {
			return s, s
		}
		if s == "" {
			return hash(fallback), ""
		}
	}
	if len(r) == 0 || string(r) == "null" {
		return hash(fallback), ""
	}
	return hash(r), ""
}

// plain reports whether an identifier can stand between quotes in JSON as it is: what
// makes events of items escapes nothing. WhatsApp's own identifiers all can.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == '"' || r == '\\' || unicode.IsControl(r) })
}

// lossy reports whether decoding replaced something, a lone surrogate, so that the
// text no longer tells what came.
func lossy(r raw, decoded string) bool {
	const replacement = "\uFFFD"
	return strings.Contains(decoded, replacement) && !bytes.Contains(r, []byte(replacement)) &&
		!bytes.Contains(bytes.ToLower(r), []byte(`\ufffd`))
}

// milliseconds reads a timestamp: epoch seconds as a string (WhatsApp Cloud API)
// or a number (seen in the wild), or epoch milliseconds.
func milliseconds(r raw) int64 {
	s, ok := r.text()
	if !ok {
		s = string(r)
	}
	if whole, fraction, ok := strings.Cut(s, "."); ok && fraction != "" && strings.Trim(fraction, "0") == "" {
		s = whole // a whole number from what has floating point alone
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return Milliseconds(n)
}

// Milliseconds returns a time in Unix milliseconds that came as epoch seconds or milliseconds;
// 0 for what is neither.
func Milliseconds(n int64) int64 {
	const (
		year2286  = 1e10 // seconds; the first second with 11 digits
		asMillis  = 1e11
		endMillis = year2286 * 1000
	)
	switch {
	case n <= 0 || n >= endMillis:
		return 0
	case n >= asMillis:
		return n
	case n >= year2286:
		return 0
	}
	return n * 1000
}

// short cuts a text to at most 512 bytes at a character's boundary.
func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}
