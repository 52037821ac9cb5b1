package control

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
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
	switch sender := r.URL.Query().Get("sender"); {
	case name == stack.ClientKeysSecret:
		value, err = c.clients(value)
	case name == stack.GatewayKeySecret && (sender != "" || value == ""):
		value, err = c.senders(sender, value)
	default:
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

// senders returns the new value of the Gateway's keys: the present one with a new key for a sender,
// the given one or a random one, or without a sender with a new one for each.
func (c *Control) senders(sender, key string) (string, error) {
	present, _ := c.stack.Secrets.Current(stack.GatewayKeySecret)
	all, _ := auth.ReadSenders(present) // a bare key is given where it cannot be used
	if _, ok := all[sender]; sender != "" && !ok {
		return "", fmt.Errorf("the secret names no sender %q; give it whole instead: {%q: {\"key\": \"…\"}}", sender, sender)
	}
	if !all.Named() || len(all) == 0 {
		return cmp.Or(key, stack.NewSecret(48)), nil
	}
	named := map[string]map[string]string{}
	for name, one := range all {
		named[name] = map[string]string{"key": one.Key.Reveal()}
		if one.PhoneNumberID != "" {
			named[name]["phone_number_id"] = one.PhoneNumberID
		}
		if sender == "" || sender == name {
			named[name]["key"] = cmp.Or(key, stack.NewSecret(48))
		}
	}
	value, err := json.Marshal(named)
	return string(value), err
}

// clients returns the new value of the client keys: the given one if it is valid, or the present
// one with a new key for the client "default".
func (c *Control) clients(given string) (string, error) {
	if given != "" {
		all, _ := api.Members([]byte(given))
		if len(all) == 0 {
			return "", errors.New(`want a JSON object of client name to key or list of keys, such as {"crm": ["new","old"], "shop": {"keys": ["key"], "sender": "shop"}}`)
		}
		for name := range all {
			if auth.FirstKey(given, name) == "" {
				return "", fmt.Errorf("client %q needs a key, or a list of keys, none of them empty", name)
			}
		}
		return given, auth.CheckClients(given)
	}
	all := map[string]json.RawMessage{}
	present, _ := c.stack.Secrets.Current(stack.ClientKeysSecret)
	if json.Unmarshal([]byte(present), &all) != nil || all == nil {
		all = map[string]json.RawMessage{}
	}
	all["default"], _ = json.Marshal(stack.NewSecret(48)) // a string always marshals
	value, err := json.Marshal(all)
	return string(value), err
}
