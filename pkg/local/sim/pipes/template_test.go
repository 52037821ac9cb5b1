package pipes

import (
	"strings"
	"testing"

	"connexease-functions/pkg/local/sim/eventpattern"
)

const sample = `{"s":"text","n":5,"b":true,"o":{"k":"v"},"l":["a",{"x":1}],"big":12345678901234567890.10,"html":{"k":"<&>"},"quote":"a\"b","break":"a\nb","empty":""}`

func render(t *testing.T, template string) (string, error) {
	t.Helper()
	v, err := eventpattern.Decode([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseTemplate(template, known)
	if err != nil {
		t.Fatal(err)
	}
	out, err := parsed.Render(func(name string) (any, bool) { return At(name, v) })
	return string(out), err
}

func TestATemplateIsFilledInAsDocumented(t *testing.T) {
	for template, want := range map[string]string{
		`{"a": "<$.s>"}`:             `{"a":"text"}`,
		`{"a": <$.s>}`:               `{"a":"text"}`, // quotes are added
		`{"a": "x <$.s>-<$.n> y"}`:   `{"a":"x text-5 y"}`,
		`{"a": <$.n>, "b": "<$.n>"}`: `{"a":5,"b":"5"}`,
		`{"a": <$.b>, "b": "<$.b>"}`: `{"a":true,"b":"true"}`,
		`{"a": <$.o>}`:               `{"a":{"k":"v"}}`,
		`{"a": "<$.o>"}`:             `{"a":"{k:v}"}`, // its quotes are removed
		`{"a": <$.l[1].x>}`:          `{"a":1}`,
		`{"a": "<$.gone>"}`:          `{"a":""}`, // left out
		`{"a": "<$.gone><$.s>"}`:     `{"a":"text"}`,
		`{"a": "<$.s.deeper>"}`:      `{"a":""}`,
		`{"a": "\"<$.s>\" < 5"}`:     `{"a":"\"text\" < 5"}`,
		`"<$.s>"`:                    `"text"`,
		// Numbers keep their digits, even beyond what a double holds.
		`{"a": <$.big>, "b": "<$.big>"}`:  `{"a":12345678901234567890.10,"b":"12345678901234567890.10"}`,
		`{"a": [<$.html>, {"b": <$.o>}]}`: `{"a":[{"k":"<&>"},{"b":{"k":"v"}}]}`,
		// A wildcard makes a list of all values.
		`{"a": <$.l[*].x>}`:      `{"a":[1]}`,
		`{"a": <$.l[*]>}`:        `{"a":["a",{"x":1}]}`,
		`{"a": <$.o.*>}`:         `{"a":["v"]}`,
		`{"a": <$.l[*].gone>}`:   `{"a":[]}`,
		`{"a": "all: <$.l[*]>"}`: `{"a":"all: [a,{x:1}]"}`,
		// Strings one per line stay lines.
		"\"one <$.s>\"\n \"two <$.n>\"\n": "\"one text\"\n\"two 5\"",
		`{"a": "<$.l[7]><$.empty>"}`:      `{"a":""}`,
	} {
		if got, err := render(t, template); err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", template, got, err, want)
		}
	}
}

// Where AWS's documentation is ambiguous, a template must not depend on the lenient reading.
func TestATemplateThatDependsOnEscapesOrOnAbsenceFails(t *testing.T) {
	for _, template := range []string{`{"a": "<$.quote>"}`, `{"a": <$.quote>}`, `{"a": "<$.break>"}`, `{"a": <$.gone>}`, `<$.s> and more`, "\"one\"\n\"<$.quote>\"", "\"one\"\ntwo"} {
		if got, err := render(t, template); err == nil {
			t.Errorf("%s made %s", template, got)
		}
	}
}

func TestAnUnavailableVariableIsRefused(t *testing.T) {
	for _, template := range []string{`{"a": "<$.l[?(@.x)]>"}`, `{"a": "<$..x>"}`, `{"a": <aws.pipes.enrichment-arn>}`, `{"a": <name>}`, ""} {
		if _, err := ParseTemplate(template, known); err == nil || !strings.Contains(err.Error(), "template") {
			t.Errorf("%s: %v", template, err)
		}
	}
}
