package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// show prints one item whole. That includes what a customer wrote, because the user asked for it.
func (r *redrive) show(ctx context.Context, key string) error {
	sk := headKey
	if strings.HasPrefix(key, "msg_") {
		sk = sendKey
	}
	head, payload, err := r.read(ctx, key, sk)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	delete(head, "payload")
	r.printf("%s\nPayload, %d bytes:\n%s\n", plainJSON(head.Plain(printable), "  "), len(payload), printable(payload))
	return nil
}

// printable returns a text unchanged, unless it has control characters for a terminal: then it is
// quoted as in Go.
func printable(text []byte) string {
	s := string(text)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		return strconv.Quote(s)
	}
	return s
}
