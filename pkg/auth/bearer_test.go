package auth

import (
	"errors"
	"strings"
	"testing"
)

func FuzzParseBearer(f *testing.F) {
	for _, s := range []string{"", "Bearer", "Bearer x", "bearer  x ", "Basic x", "Bearer a b", "Bearer \x00", "Bearer a,Bearer b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		token, err := ParseBearer(header)
		if err != nil {
			if token != "" || (!errors.Is(err, ErrMissing) && !errors.Is(err, ErrMalformed)) {
				t.Fatalf("%q: %q, %v", header, token, err)
			}
			if errors.Is(err, ErrMissing) && strings.Trim(header, " \t") != "" {
				t.Fatalf("%q is not missing", header)
			}
			return
		}
		if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%q gave the token %q", header, token)
		}
		trimmed := strings.Trim(header, " \t")
		if !strings.EqualFold(trimmed[:7], "bearer ") || strings.TrimLeft(trimmed[7:], " ") != token {
			t.Fatalf("%q gave the token %q", header, token)
		}
		if again, err := ParseBearer("Bearer " + token); err != nil || again != token {
			t.Fatalf("%q does not stay itself: %q, %v", token, again, err)
		}
	})
}
