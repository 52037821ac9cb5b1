package docs

import (
	"strings"
	"testing"
)

func TestExchangesPairACommandWithItsResponse(t *testing.T) {
	all := Exchanges(t)
	if len(all) < 8 {
		t.Fatalf("%d commands have responses", len(all))
	}
	for _, x := range all {
		if !strings.Contains(x.Command, "curl") || !x.Response.MatchString(x.Printed) {
			t.Errorf("%s does not match its own response %s", x.Command, x.Printed)
		}
	}
}

func TestBlockFindsTheOneWithAText(t *testing.T) {
	if block := Block(t, "yaml", "AnswerEveryText:"); !strings.Contains(block, "AWS::Events::Rule") {
		t.Errorf("the rule is %s", block)
	}
}
