package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// CheckClients returns ErrClients for a value of the secret that cannot be used.
func CheckClients(text string) error {
	_, err := readClients(text)
	return err
}

// FirstKey returns the first key of a client in the secret's value; empty where it has none.
func FirstKey(text, client string) string {
	members, _ := api.Members([]byte(text))
	if members[client] == nil {
		return ""
	}
	e, err := readEntry(members[client])
	if err != nil || len(e.keys) == 0 {
		return ""
	}
	first, _ := e.keys[0].(string)
	return first
}

func readClients(text string) ([]Credential, error) {
	members, repeated := api.Members([]byte(text))
	if members == nil {
		return nil, ErrClients
	}
	var all []Credential
	keys := map[string]bool{}
	for name, value := range members {
		if !ValidClient(name) || len(repeated) > 0 {
			return nil, fmt.Errorf("%w: a name is not valid, or appears twice", ErrClients)
		}
		e, err := readEntry(value)
		if err != nil {
			return nil, err
		}
		for _, one := range e.keys {
			key, ok := one.(string)
			if !ok || keys[key] || secret.CheckBare(key) != nil {
				return nil, fmt.Errorf("%w: a key cannot be sent in a header, or appears twice", ErrClients)
			}
			keys[key] = true
			c, err := NewCredential(name, secret.NewValue(key), time.Time{})
			if err != nil {
				return nil, fmt.Errorf("%w: a key is empty", ErrClients)
			}
			c.Sender, c.ReadAll = e.sender, e.readAll
			all = append(all, c)
		}
	}
	return all, nil
}

// entry is what the secret has of a client.
type entry struct {
	keys    []any
	sender  string // that it sends from; empty: any
	readAll bool   // it may read every conversation
}

// readEntry reads a client's entry: a key, several, or an object of keys and choices: the sender
// that the client sends from, and read, which conversations it may read: all, or own, none but what
// the look-up shows of its own messages.
func readEntry(value json.RawMessage) (e entry, err error) {
	members, repeated := api.Members(value)
	keys := value
	if members != nil {
		for name, value := range members {
			var err error
			switch name {
			case "keys":
			case "sender":
				if err = json.Unmarshal(value, &e.sender); err == nil && !ValidClient(e.sender) {
					err = ErrClients
				}
			case "read":
				if e.readAll = api.IsText(value, "all"); !e.readAll && !api.IsText(value, "own") {
					err = ErrClients
				}
			default:
				err = ErrClients
			}
			if err != nil {
				return entry{}, fmt.Errorf("%w: an entry has keys, sender and read alone", ErrClients)
			}
		}
		if keys = members["keys"]; len(repeated) > 0 || keys == nil {
			return entry{}, fmt.Errorf("%w: an entry has no keys, or a member twice", ErrClients)
		}
	}
	var one any
	if err := json.Unmarshal(keys, &one); err != nil {
		return entry{}, ErrClients
	}
	if list, ok := one.([]any); ok {
		e.keys = list
	} else {
		e.keys = []any{one}
	}
	return e, nil
}
