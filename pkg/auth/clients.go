package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/secret"
)

// ErrClients says that the secret with the client keys does not have the form that it
// must have. Its content is never quoted.
var ErrClients = errors.New(`client keys are not JSON of the form {"name": "key", "other": ["new key", "old key"], "third": {"keys": ["key"]}}`)

// clientName bounds a client's name: it appears in logs and items.
const clientName = 64

// ValidClient reports whether a name is 1 to 64 letters, digits, dots, hyphens and
// underscores.
func ValidClient(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return name != "" && len(name) <= clientName && strings.Trim(name, letters) == ""
}

// Clients loads the current version of the secret that names each client's keys:
// one, or several during a rotation. Only the current version counts, so that a key
// that is removed is refused once the cache has expired. It returns ErrClients for
// anything but names with keys, and for a key with two names.
func Clients(source secret.Source) func(context.Context) ([]Credential, error) {
	return func(ctx context.Context) ([]Credential, error) {
		v, err := source.Fetch(ctx, secret.Current)
		if err != nil {
			return nil, err
		}
		return readClients(v.Value.Reveal())
	}
}

func readClients(text string) ([]Credential, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, ErrClients
	}
	var all []Credential
	names, keys := map[string]bool{}, map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, ErrClients
		}
		name, _ := token.(string) // an object's members begin with their names
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, ErrClients
		}
		if !ValidClient(name) || names[name] {
			return nil, fmt.Errorf("%w: a name is not valid, or appears twice", ErrClients)
		}
		names[name] = true
		list, err := keysOf(value)
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			key, ok := one.(string)
			if !ok || keys[key] || secret.CheckBare(key) != nil {
				return nil, fmt.Errorf("%w: a key cannot be sent in a header, or appears twice", ErrClients)
			}
			keys[key] = true
			c, err := NewCredential(name, secret.NewValue(key), time.Time{})
			if err != nil {
				return nil, fmt.Errorf("%w: a key is empty", ErrClients)
			}
			all = append(all, c)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return nil, ErrClients
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrClients
	}
	return all, nil
}

// keysOf reads a client's entry: a key, several, or an object of keys and choices. The choices
// sender (which number) and read (which conversations) are checked, so that nothing that is
// written today means something else once they are in use.
func keysOf(entry json.RawMessage) ([]any, error) {
	members, repeated := api.Members(entry)
	keys := entry
	if members != nil {
		var sender, read string
		for name, value := range members {
			var err error
			switch name {
			case "keys":
			case "sender":
				if err = json.Unmarshal(value, &sender); err == nil && !ValidClient(sender) {
					err = ErrClients
				}
			case "read":
				if err = json.Unmarshal(value, &read); err == nil && read != "all" && read != "own" {
					err = ErrClients
				}
			default:
				err = ErrClients
			}
			if err != nil {
				return nil, fmt.Errorf("%w: an entry has keys, sender and read alone", ErrClients)
			}
		}
		if keys = members["keys"]; len(repeated) > 0 || keys == nil {
			return nil, fmt.Errorf("%w: an entry has no keys, or a member twice", ErrClients)
		}
	}
	var value any
	if err := json.Unmarshal(keys, &value); err != nil {
		return nil, ErrClients
	}
	if list, ok := value.([]any); ok {
		return list, nil
	}
	return []any{value}, nil
}
