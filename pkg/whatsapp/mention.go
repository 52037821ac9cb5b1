package whatsapp

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Mentions reports whether a payload contains one of a person's canonical names anywhere, in any
// form, and whether it names other people too.
func Mentions(payload []byte, person []string) (mentioned, others bool) {
	body := compacted(payload)
	if body == nil {
		return mentionedIn(string(payload), person), false
	}
	var walk func(key string, r raw)
	walk = func(key string, r raw) {
		switch {
		case r.isObject():
			for m := range r.members() {
				mentioned = mentioned || mentionedIn(m.key, person)
				walk(m.key, m.value)
			}
		case r.isArray():
			for e := range r.elements() {
				walk(key, e)
			}
		default:
			text := string(r)
			if r.isString() {
				_ = json.Unmarshal(r, &text) // values that are not text are searched in their original form
			}
			mentioned = mentioned || mentionedIn(text, person)
			if name := Canonical(text); isNameKey(key) && (IsPhone(name) || IsUserID(name)) && !slices.ContainsFunc(person, func(p string) bool { return p == name || SameNumber(p, name) }) {
				others = true
			}
		}
	}
	walk("", body)
	return mentioned, others
}

// isNameKey reports whether a member of a body holds a person's name. The business's own is in
// others.
func isNameKey(key string) bool {
	switch key {
	case "from", "to", "recipient_id", "wa_id", "phone_number", "phone", "input", "user_id", "from_user_id", "to_user_id", "recipient_user_id",
		"recipient_participant_id", "recipient_participant_user_id":
		return true
	}
	return false
}

// mentionedIn looks for names in a text: of a number, its digits with whatever people write
// between them.
func mentionedIn(text string, person []string) bool {
	if plain := unescaped(text); plain != text && mentionedIn(plain, person) {
		return true
	}
	for _, name := range person {
		if IsPhone(name) && hasNumber(text, name) || !IsPhone(name) && name != "" && hasWord(text, name) {
			return true
		}
	}
	return false
}

// unescaped replaces JSON's escapes of characters by their numbers: a body that is not JSON, and
// JSON inside a string, have them.
func unescaped(text string) string {
	const escape = len(`\u002b`)
	if !strings.Contains(text, `\u`) {
		return text
	}
	var b strings.Builder
	for at := 0; at < len(text); {
		if strings.HasPrefix(text[at:], `\u`) && len(text)-at >= escape {
			if code, err := strconv.ParseUint(text[at+2:at+escape], 16, 32); err == nil {
				b.WriteRune(rune(code)) // #nosec G115 -- four hex digits
				at += escape
				continue
			}
		}
		b.WriteByte(text[at])
		at++
	}
	return b.String()
}

// hasNumber reports whether groups of digits, next to each other but for separators, are the
// number.
func hasNumber(text, number string) bool {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	for start := 0; start < len(text); start++ {
		if !isDigit(text[start]) || start > 0 && isDigit(text[start-1]) {
			continue
		}
		at, rest := start, number
		for at < len(text) && rest != "" {
			if isDigit(text[at]) {
				if text[at] != rest[0] {
					break
				}
				rest = rest[1:]
				at++
				continue
			}
			n := len(text[at:]) - len(strings.TrimLeft(text[at:], "-(). \u00a0\u2010\u2011\u2012\u2013"))
			if n == 0 || n > 8 {
				break
			}
			at += n
		}
		if rest == "" && (at == len(text) || !isDigit(text[at])) {
			return true
		}
	}
	return false
}

// hasWord reports whether a name is in a text with nothing around it that would make it longer.
func hasWord(text, name string) bool {
	part := func(c byte) bool { return strings.IndexByte(letters+"0123456789.", c) >= 0 }
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(name)
		if (start == 0 || !part(text[start-1])) && (end == len(text) || !part(text[end]) || text[end] == '.' && (end+1 == len(text) || !part(text[end+1]))) {
			return true
		}
		from = start + 1
	}
}
