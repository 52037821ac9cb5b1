//go:build oracles

package oracles

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/proof/docs"
)

const root = "../../.."

var block = regexp.MustCompile("(?ms)^```(yaml|json|sh)\n(.*?)^```")

// documents returns the fenced blocks of every README by language.
func documents(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, m := range block.FindAllStringSubmatch(docs.Text(t), -1) {
		all[m[1]] = append(all[m[1]], m[2])
	}
	return all
}

// patternsIn returns the event patterns of a part of a template: strings of a pipe's filters, and
// objects of rules.
func patternsIn(t *testing.T, text string) (all []string) {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(text), &n); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		for i, child := range n.Content {
			walk(child)
			if n.Kind != yaml.MappingNode || i%2 == 0 {
				continue
			}
			switch name := n.Content[i-1].Value; {
			case name == "Pattern" && child.Kind == yaml.ScalarNode:
				all = append(all, child.Value)
			case name == "EventPattern":
				var v any
				if err := child.Decode(&v); err != nil {
					t.Fatal(err)
				}
				text, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, string(text))
			}
		}
	}
	walk(&n)
	return all
}

// streamRecords returns records of the table's stream, of every kind and change.
func streamRecords() (all []string) {
	for _, name := range []string{"INSERT", "MODIFY", "REMOVE"} {
		for _, kind := range []string{"message", "status", "event", "quarantine", "part", "send", "consent"} {
			for _, detailType := range []string{"", "WhatsApp Message Received", "WhatsApp Message Outcome", "WhatsApp Consent Changed", "WhatsApp", "other"} {
				attribute := ""
				if detailType != "" {
					attribute = fmt.Sprintf(`,"detail_type":{"S":%q}`, detailType)
				}
				all = append(all, fmt.Sprintf(`{"eventName":%q,"dynamodb":{"NewImage":{"kind":{"S":%q}%s}}}`, name, kind, attribute))
			}
		}
	}
	return all
}

func TestPatternsOfTheTemplateAndTheDocumentsMatchAsByEventRuler(t *testing.T) {
	template, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	filters := patternsIn(t, string(template))
	blocks := documents(t)
	var rules []string
	for _, text := range blocks["yaml"] {
		rules = append(rules, patternsIn(t, text)...)
	}
	for _, text := range blocks["sh"] {
		if _, after, ok := strings.Cut(text, `"pattern":`); ok {
			var pattern json.RawMessage
			if err := json.NewDecoder(strings.NewReader(after)).Decode(&pattern); err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			rules = append(rules, string(pattern))
		}
	}
	if len(filters) < 2 || len(rules) < 3 {
		t.Fatalf("found %d patterns in the template and %d in the documents", len(filters), len(rules))
	}
	events := append([]string{`{"source":"shop","detail-type":"Order Shipped","detail":{"phone":"15550100001","order":"4711"}}`}, streamRecords()...)
	for _, text := range blocks["json"] {
		if strings.Contains(text, `"detail-type"`) {
			events = append(events, text)
		}
	}
	var cases []rulerCase
	for _, pattern := range append(filters, rules...) {
		cases = append(cases, rulerCase{pattern, events})
	}
	answers := ruler(t, cases)
	for i, c := range cases {
		if !strings.Contains(answers[i], "1") || !strings.Contains(answers[i], "0") {
			t.Errorf("%s: Event Ruler says %s", c.Pattern, answers[i])
		}
		if our := ours(c); our != answers[i] {
			t.Errorf("%s\nEvent Ruler: %s\nhere: %s", c.Pattern, answers[i], our)
		}
	}
}
