package auth

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/secret"
)

// ErrSenders says that the secret with the Gateway's API keys begins as JSON, and does not have the
// form that it must have. Its content is never quoted.
var ErrSenders = fmt.Errorf(`%w: it is not JSON of the form {"sender": {"key": "API key", "phone_number_id": "id"}}`, secret.ErrUnusable)

// DefaultSender is the name of the sender that is used where none is named and there are several.
const DefaultSender = "default"

// Sender is one of the business's numbers.
type Sender struct {
	Name          string       // as ValidClient; empty where the secret is a bare key
	Key           secret.Value // the Gateway's API key, which is one number's
	PhoneNumberID string       // WhatsApp's id of the number; empty where the secret does not say
}

// Senders are the numbers that an installation sends from, by name. A bare key is one without a
// name.
type Senders map[string]Sender

// Named reports whether the secret names its senders.
func (s Senders) Named() bool { _, bare := s[""]; return !bare }

// Find returns a sender. Without a name it is the only one, or DefaultSender, which a bare key is
// too.
func (s Senders) Find(name string) (Sender, bool) {
	if name == "" && len(s) == 1 {
		for _, only := range s {
			return only, true
		}
	}
	if name = cmp.Or(name, DefaultSender); name == DefaultSender && !s.Named() {
		name = ""
	}
	one, ok := s[name]
	return one, ok
}

// SendersOf loads the current version of the secret that has the Gateway's API keys. Its errors are
// the source's and ReadSenders'.
func SendersOf(source secret.Source) func(context.Context) (Senders, error) {
	return func(ctx context.Context) (Senders, error) {
		v, err := source.Fetch(ctx, secret.Current)
		if err != nil {
			return nil, err
		}
		return ReadSenders(v.Value.Reveal())
	}
}

// ReadSenders reads a bare API key, or one for each sender. Whatever begins as an object is never
// taken for a key. It returns ErrSenders for names without a key of their own, a key or number under
// two names and members of other names, and secret.CheckBare's errors for a bare key.
func ReadSenders(text string) (Senders, error) {
	if !strings.HasPrefix(text, "{") {
		if err := secret.CheckBare(text); err != nil {
			return nil, err
		}
		return Senders{"": {Key: secret.NewValue(text)}}, nil
	}
	members, repeated := api.Members([]byte(text))
	if len(members) == 0 || len(repeated) > 0 {
		return nil, ErrSenders
	}
	all, seen := Senders{}, map[string]bool{}
	for name, value := range members {
		entry, repeated := api.Members(value)
		var key, number string
		for member, value := range entry {
			into := map[string]*string{"key": &key, "phone_number_id": &number}[member]
			if into == nil || json.Unmarshal(value, into) != nil {
				return nil, fmt.Errorf("%w: a sender has key and phone_number_id alone", ErrSenders)
			}
		}
		_, numbered := entry["phone_number_id"]
		switch {
		case !ValidClient(name) || len(repeated) > 0:
			return nil, fmt.Errorf("%w: a name is not valid, or a member appears twice", ErrSenders)
		case secret.CheckBare(key) != nil || seen["key "+key]:
			return nil, fmt.Errorf("%w: a key is missing, cannot be sent in a header, or appears twice", ErrSenders)
		case numbered && (!ValidClient(number) || seen["number "+number]):
			return nil, fmt.Errorf("%w: a phone_number_id is not valid, or appears twice", ErrSenders)
		}
		seen["key "+key], seen["number "+number] = true, numbered
		all[name] = Sender{Name: name, Key: secret.NewValue(key), PhoneNumberID: number}
	}
	return all, nil
}
