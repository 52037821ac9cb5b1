package table

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/whatsapp"
)

// hostile lists texts that end a JSON string, or make it invalid.
var hostile = []string{`x","pk":"y`, `x\`, `\u0022`, "x\ny", "x\x00y", "x\x7fy", "x\u0085y", "x\xffy", `"`, `\"`}

func TestEveryAttributeOfThePipesTemplateGoesThroughTheGate(t *testing.T) {
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`"[^"]*<\$\.dynamodb\.NewImage\.[^"]*"`).FindAllString(string(text), -1) {
		for _, name := range regexp.MustCompile(`NewImage\.(\w+)\.S>`).FindAllStringSubmatch(m, -1) {
			named = append(named, name[1])
		}
	}
	want := append([]string{"pk", "sk", "sent_wamid"}, interpolated...)
	slices.Sort(named)
	slices.Sort(want)
	if !slices.Equal(slices.Compact(named), want) {
		t.Errorf("the template interpolates %q, the gate knows %q", named, want)
	}
}

func TestNoInterpolatedValueEndsItsString(t *testing.T) {
	check := func(it item) {
		t.Helper()
		for _, name := range append([]string{"sent_wamid"}, interpolated...) {
			v, is := it[name].(*types.AttributeValueMemberS)
			if is && (strings.ContainsAny(v.Value, "\"\\\x00\n\x7f\u0085") || !plain(v.Value)) {
				t.Errorf("%s is %q", name, v.Value)
			}
		}
	}
	table := New(nil, "t", 30)
	for _, h := range hostile {
		check(table.item(row{pk: "pk", sk: "sk"}, &whatsapp.Event{
			Kind: whatsapp.Kind(h), Direction: whatsapp.Direction(h), Type: h, Field: h, Reason: h, Thread: h, Contact: h, PhoneNumberID: h,
			DisplayPhoneNumber: h, WABAID: h, WAMID: h, Status: h, ErrorCode: h, Text: h, UserID: h, GroupID: h, ReplyTo: h, MediaID: h,
		}, time.Now()))
		outcome := &ledger.Outcome{State: ledger.Rejected, Reason: ledger.Reason(h), Wamid: h, Body: []byte(`{"errors":{"code":"x\u0022,\u005c"}}`)}
		send := &ledger.Send{ID: "msg_a", Client: h, Wamid: h, Attempts: map[string]ledger.Attempt{"a": {Outcome: outcome}}}
		check(sendItem(send, About{Type: h, Contact: h, Text: h, UserID: h, GroupID: h, ReplyTo: h, MediaID: h}))
		for _, state := range []ledger.State{ledger.Accepted, ledger.Rejected, ledger.Unknown} {
			outcome.State = state
			e := expression{names: map[string]string{}, values: item{}}
			text := e.update("msg_a", ledger.Update{Token: "a", Outcome: outcome, Wamid: h}, About{})
			if strings.Contains(text, "sent_wamid") {
				t.Errorf("sent_wamid is set to %q", h)
			}
			for _, name := range []string{"outcome", "reason", "error_code"} {
				check(item{name: e.values[":"+name]})
			}
		}
	}
}
