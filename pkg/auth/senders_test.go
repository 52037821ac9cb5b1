package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"connexease-functions/pkg/secret"
)

func TestSendersOfAnyOtherFormAreNone(t *testing.T) {
	for _, value := range []string{
		`{}`, `{"shop":{"key":"gateway-key-a"}`, `{"shop":{"key":"gateway-key-a"},}`, `{"shop":{"key":"gateway-key-a"}} x`, `{"shop":"gateway-key-a"}`, `{"shop":null}`,
		`{"shop":{}}`, `{"shop":{"key":""}}`, `{"shop":{"key":" gateway-key-a"}}`, `{"shop":{"key":7}}`, `{"shop":{"key":null}}`, `{"shop":{"key":["gateway-key-a"]}}`,
		`{"shop":{"key":"gateway-key-a","phone_number_id":""}}`, `{"shop":{"key":"gateway-key-a","phone_number_id":207}}`, `{"shop":{"key":"gateway-key-a","name":"x"}}`,
		`{"shop":{"key":"gateway-key-a","key":"gateway-key-b"}}`, `{"shop":{"key":"gateway-key-a"},"shop":{"key":"gateway-key-b"}}`,
		`{"shop":{"key":"gateway-key-a"},"default":{"key":"gateway-key-a"}}`, `{"":{"key":"gateway-key-a"}}`, `{"a b":{"key":"gateway-key-a"}}`,
		`{"shop":{"key":"gateway-key-a","phone_number_id":"1"},"default":{"key":"gateway-key-b","phone_number_id":"1"}}`,
	} {
		if _, err := ReadSenders(value); !errors.Is(err, ErrSenders) || strings.Contains(err.Error(), "gateway-key") {
			t.Errorf("%s: %v", value, err)
		}
	}
	for _, value := range []string{"", "gateway key", "[1]", `"gateway-key"`} {
		if _, err := ReadSenders(value); err == nil || errors.Is(err, ErrSenders) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestASenderIsFoundByItsNameOrAsTheDefault(t *testing.T) {
	for value, want := range map[string]map[string]string{ // the keys by name
		"bare":                                   {"": "bare", "default": "bare", "shop": ""},
		`{"shop":{"key":"a"}}`:                   {"": "a", "shop": "a", "default": ""},
		`{"shop":{"key":"a"},"crm":{"key":"b"}}`: {"": "", "shop": "a", "crm": "b", "default": ""},
		`{"shop":{"key":"a"},"default":{"key":"b"}}`: {"": "b", "shop": "a", "default": "b", "crm": ""},
	} {
		senders, err := ReadSenders(value)
		if err != nil || senders.Named() != strings.HasPrefix(value, "{") {
			t.Errorf("%s: %v %v", value, senders.Named(), err)
		}
		for name, key := range want {
			one, ok := senders.Find(name)
			if ok != (key != "") || one.Key != secret.NewValue(key) && ok {
				t.Errorf("%s: %q is found as %t", value, name, ok)
			}
		}
		if text := fmt.Sprintf("%v %+v %#v", senders, senders, senders); strings.Contains(text, `"a"`) || strings.Contains(text, "bare") {
			t.Errorf("printed as %s", text)
		}
	}
}

func TestTheFirstKeyOfAClient(t *testing.T) {
	const clients = `{"one":"a","two":["b","c"],"three":{"keys":["d"],"sender":"shop"},"none":[],"other":7}`
	for name, want := range map[string]string{"one": "a", "two": "b", "three": "d", "none": "", "other": "", "nobody": ""} {
		if got := FirstKey(clients, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
