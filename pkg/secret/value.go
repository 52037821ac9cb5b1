// Package secret holds secrets so that they cannot be printed by accident, and
// reads them from AWS Secrets Manager without a call per request.
package secret

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
)

const mask = "[secret]"

// Value is a secret text. Every way of printing, marshalling or logging it shows
// a mask; only Reveal gives the text.
type Value struct{ text string }

// NewValue wraps a secret text.
func NewValue(text string) Value { return Value{text} }

// Reveal returns the text, for the one place that needs it.
func (v Value) Reveal() string { return v.text }

// Blank reports whether the text is empty.
func (v Value) Blank() bool { return v.text == "" }

// Hash returns the SHA-256 of the text, for comparing in constant time at
// any length.
func (v Value) Hash() [sha256.Size]byte { return sha256.Sum256([]byte(v.text)) }

func (v Value) String() string               { return mask }
func (v Value) GoString() string             { return mask }
func (v Value) Format(s fmt.State, _ rune)   { _, _ = s.Write([]byte(mask)) }
func (v Value) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }
func (v Value) MarshalText() ([]byte, error) { return []byte(mask), nil }
func (v Value) LogValue() slog.Value         { return slog.StringValue(mask) }
