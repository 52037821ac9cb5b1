package whatsapp

import "strings"

// groupIDStart is the start of group ids: base64 of "capi_group:".
const groupIDStart = "Y2FwaV9ncm91cDo"

// phoneDigits returns the digits of a phone number in one of the forms that Meta documents:
// digits with an optional plus before them, and blanks, hyphens and parentheses anywhere (Phone
// number formats). ok is false for anything else.
func phoneDigits(s string) (digits string, plus, ok bool) {
	digits, plus = strings.CutPrefix(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -()", r) {
			return -1
		}
		return r
	}, s), "+")
	return digits, plus, digits != "" && strings.Trim(digits, "0123456789") == ""
}

// Contact returns the message's recipient in the same form as events: a phone number's digits, else
// the id as given. To takes precedence over Recipient.
func (s Summary) Contact() string {
	if s.To == "" {
		return s.Recipient
	}
	return Canonical(s.To)
}
