package whatsapp

import (
	"strings"
	"unicode"
)

// People are known by a phone number (WhatsApp's wa_id is one), by a business-scoped user id,
// or by both. Everything that stores, looks up or addresses a person uses the canonical name.

// Canonical returns the name under which a person is stored: the digits of a phone number in any
// form; anything else unchanged.
func Canonical(name string) string {
	if digits, ok := phone(name); ok {
		return digits
	}
	return name
}

// IsPhone reports whether a canonical name is a phone number.
func IsPhone(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}

const (
	letters        = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	longestUserID  = 128 // letters and digits
	ofParentUserID = "ENT."
)

// IsUserID reports whether a name is a business-scoped user id: a country code, a dot (followed by
// ENT and a second dot for a parent company's), and up to 128 letters and digits (WhatsApp Business
// Platform: Business-scoped user IDs).
func IsUserID(name string) bool {
	country, id, _ := strings.Cut(name, ".")
	id = strings.TrimPrefix(id, ofParentUserID)
	return len(country) == 2 && strings.Trim(country, letters) == "" &&
		id != "" && len(id) <= longestUserID && strings.Trim(id, letters+"0123456789") == ""
}

// phone removes what people write around the digits of a number.
func phone(name string) (digits string, ok bool) {
	if IsPhone(name) {
		return name, true
	}
	digits = strings.Map(func(r rune) rune {
		if strings.ContainsRune("-().", r) || unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, name)
	digits = strings.TrimPrefix(digits, "+")
	return digits, IsPhone(digits)
}

// national is a country in which one number is written in two ways: with a digit and without.
type national struct {
	country string
	digit   string
	at      int // where the digit stands
	length  int // of the number with it
}

// nationals are all that are known. Where WhatsApp has one form and people another:
// "Brazil and Mexico phone numbers" in WhatsApp Business Platform: Phone numbers, and "About
// international phone number format" in WhatsApp's help center (Argentina, Mexico).
var nationals = []national{
	{country: "55", digit: "9", at: 4, length: 13}, // Brazil: a ninth digit behind the area code (Anatel, Resolution 553/2010)
	{country: "52", digit: "1", at: 2, length: 13}, // Mexico: mobile numbers until August 2019
	{country: "54", digit: "9", at: 2, length: 13}, // Argentina: mobile numbers called from abroad
}

// fold returns the form of a canonical number that both ways of writing it have in common.
func fold(number string) string {
	for _, n := range nationals {
		if len(number) == n.length && strings.HasPrefix(number, n.country) && number[n.at:n.at+1] == n.digit {
			return number[:n.at] + number[n.at+1:]
		}
	}
	return number
}

// SameNumber reports whether two names are one phone number, in any of its country's forms.
func SameNumber(a, b string) bool {
	a, isPhone := phone(a)
	b, bothPhones := phone(b)
	return isPhone && bothPhones && fold(a) == fold(b)
}

// Pair is two names of one person, in the order of their bytes.
type Pair [2]string

// pair returns two names of one person; ok is false if they are the same or one is missing.
func pair(a, b string) (p Pair, ok bool) {
	a, b = Canonical(a), Canonical(b)
	if a == "" || b == "" || a == b {
		return p, false
	}
	return Pair{min(a, b), max(a, b)}, true
}

// SentTo returns the two names that a response of the Gateway proves to be one person's: the
// requested recipient, and WhatsApp's name for it. That differs in Brazil, Mexico and Argentina,
// and for user ids.
func SentTo(answer []byte) (Pair, bool) {
	contacts := compacted(answer).get("data").get("contacts")
	var only raw
	for c := range contacts.elements() {
		if only != nil {
			return Pair{}, false
		}
		only = c
	}
	_, input := identifier(only.get("input"), nil)
	_, waID := identifier(only.get("wa_id"), nil)
	_, userID := identifier(only.get("user_id"), nil)
	if p, ok := pair(input, waID); ok {
		return p, true
	}
	return pair(input, userID)
}
