package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connexease-functions/pkg/local/stack"
)

// secrets maps the control address's names to logical ids, which are accepted as well.
var secrets = map[string]string{
	"webhook": stack.WebhookSecret, stack.WebhookSecret: stack.WebhookSecret,
	"gateway": stack.GatewayKeySecret, stack.GatewayKeySecret: stack.GatewayKeySecret,
	"clients": stack.ClientKeysSecret, stack.ClientKeysSecret: stack.ClientKeysSecret,
}

// putSecret gives a secret a new current version: the body's, or a random one. The simulated
// Gateway accepts a new key of its own at once, and the old one no longer.
func (c *Control) putSecret(w http.ResponseWriter, r *http.Request) {
	name, ok := secrets[r.PathValue("name")]
	if !ok {
		fail(w, http.StatusNotFound, fmt.Errorf("there is no secret %q; there are: webhook, gateway, clients", r.PathValue("name")))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, err)
		return
	}
	value := strings.TrimSpace(string(body))
	if name == stack.ClientKeysSecret {
		value, err = c.clients(value)
	} else {
		var wrapped struct {
			Value *string `json:"value"`
		}
		if json.Unmarshal(body, &wrapped) == nil && wrapped.Value != nil {
			value = *wrapped.Value
		}
		if value == "" {
			value = stack.NewSecret(48)
		}
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	id := c.stack.Secrets.Put(name, value)
	if err := c.rotated(); err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	answer(w, http.StatusOK, map[string]string{"name": name, "versionId": id, "value": value})
}

// clients returns the new value of the client keys: the given one if it is valid, or the present
// one with a new key for the client "default".
func (c *Control) clients(given string) (string, error) {
	all := map[string]json.RawMessage{}
	if given != "" {
		if err := json.Unmarshal([]byte(given), &all); err != nil || len(all) == 0 {
			return "", errors.New(`want a JSON object of client name to key or list of keys, such as {"crm": ["new","old"], "shop": "key"}`)
		}
		for name, keys := range all {
			if !isKeys(keys) {
				return "", fmt.Errorf("client %q needs a key, or a list of keys, none of them empty", name)
			}
		}
		return given, nil
	}
	present, _ := c.stack.Secrets.Current(stack.ClientKeysSecret)
	if json.Unmarshal([]byte(present), &all) != nil || all == nil {
		all = map[string]json.RawMessage{}
	}
	all["default"], _ = json.Marshal(stack.NewSecret(48)) // a string always marshals
	value, err := json.Marshal(all)
	return string(value), err
}

func isKeys(text json.RawMessage) bool {
	var one string
	var many []string
	if json.Unmarshal(text, &one) == nil {
		return one != ""
	}
	if json.Unmarshal(text, &many) != nil || len(many) == 0 {
		return false
	}
	for _, key := range many {
		if key == "" {
			return false
		}
	}
	return true
}
