package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrUnusable says that a secret can never be sent in a header as it is. Its content is
// never quoted.
var ErrUnusable = errors.New("secret cannot be used")

// Why a secret is unusable. Both are ErrUnusable.
var (
	ErrCharacters = fmt.Errorf("%w: it has characters that no header can hold, such as a blank, a line break, a byte order mark or a letter outside of ASCII", ErrUnusable)
	ErrJSON       = fmt.Errorf("%w: it is JSON, as the console's key/value form makes it, where the bare value is wanted", ErrUnusable)
)

// CheckBare returns nil for a string that can be sent in a header as a token: visible ASCII,
// and not a JSON object, array or string. It returns ErrMissing, ErrCharacters or ErrJSON.
func CheckBare(text string) error {
	if text == "" {
		return ErrMissing
	}
	if (text[0] == '{' || text[0] == '[' || text[0] == '"') && json.Valid([]byte(text)) {
		return ErrJSON
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return ErrCharacters
		}
	}
	return nil
}

// FetchBare reads a version whose value is a token. Its errors are Source's and CheckBare's.
func FetchBare(ctx context.Context, source Source, stage string) (Version, error) {
	v, err := source.Fetch(ctx, stage)
	if err != nil {
		return Version{}, err
	}
	if err := CheckBare(v.Value.text); err != nil {
		return Version{}, fmt.Errorf("%s: %w", stage, err)
	}
	return v, nil
}
