// Package ledger decides about sends: which message an id names, and, from a
// row's attempts and statuses, whether it may leave. It does no I/O.
package ledger

import "strings"

const (
	idPrefix = "msg_"
	idLength = 26 // base32 characters, 130 bits
)

// ParseOpaque reads a status's biz_opaque_callback_data. It returns the id
// ("msg_" and 26 base32 characters) of the send and the token of the attempt that
// it came from, where the data has the form that our sends give it:
// "msg_<id>.<token>".
func ParseOpaque(data string) (id, token string, ok bool) {
	id, token, ok = strings.Cut(data, ".")
	if !ok || !isID(id) || len(token) != tokenLength || !isBase32(token) {
		return "", "", false
	}
	return id, token, true
}

// tokenLength is an attempt token's length: base32 characters, 80 bits.
const tokenLength = 16

func isID(s string) bool {
	return len(s) == len(idPrefix)+idLength && strings.HasPrefix(s, idPrefix) && isBase32(s[len(idPrefix):])
}

// isBase32 reports whether s is of RFC 4648's base32 alphabet in lower case.
func isBase32(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}
