package whatsapp

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func checkRepeat(s string, n int) string { return strings.Repeat(s, n) }

func checkInteractive(kind, rest string) string {
	return `{"messaging_product":"whatsapp","to":"905551234567","type":"interactive","interactive":{"type":"` + kind + `",` + rest + `}}`
}

func checkButtons(n int, title string) string {
	var all []string
	for i := range n { // titles of the same length, each with a number as its end
		runes := []rune(title)
		all = append(all, fmt.Sprintf(`{"type":"reply","reply":{"id":"%d","title":"%s%d"}}`, i, string(runes[:len(runes)-1]), i))
	}
	return checkInteractive("button", `"body":{"text":"b"},"action":{"buttons":[`+strings.Join(all, ",")+`]}`)
}

func checkList(sections, rows int, row string) string {
	s := `{"title":"s","rows":[` + strings.TrimSuffix(checkRepeat(row+",", rows), ",") + `]}`
	return checkInteractive("list", `"body":{"text":"b"},"action":{"button":"b","sections":[`+strings.TrimSuffix(checkRepeat(s+",", sections), ",")+`]}`)
}

func checkText(rest string) string {
	return `{"messaging_product":"whatsapp","type":"text","text":{"body":"x"},` + rest + `}`
}

func checkTyped(kind, object string) string {
	return fmt.Sprintf(`{"messaging_product":"whatsapp","to":"905551234567","type":%q,%q:%s}`, kind, kind, object)
}

func TestEachFaultNamesItsPathAndTheRule(t *testing.T) {
	const user = `"recipient":"US.1"`
	for _, c := range []struct {
		name, body string
		want       []Fault
	}{
		{"nothing", `{}`, []Fault{{"messaging_product", "whatsapp"}, {"to", "not empty; or recipient with a business-scoped user id"}, {"text.body", "a string of 1 to 4,096 characters"}}},
		{"plain", checkText(`"to":"905551234567"`), nil},
		{"number with a plus", checkText(`"to":"+1234567"`), nil},
		{"six digits", checkText(`"to":"123456"`), nil},
		{"five digits", checkText(`"to":"12345"`), []Fault{{"to", "6 to 15 digits, has 5"}}},
		{"six digits after a plus", checkText(`"to":"+123456"`), []Fault{{"to", "7 to 15 digits after a plus, has 6"}}},
		{"fifteen digits", checkText(`"to":"123456789012345"`), nil},
		{"sixteen digits", checkText(`"to":"1234567890123456"`), []Fault{{"to", "6 to 15 digits, has 16"}}},
		{"fifteen digits after a plus", checkText(`"to":"+123456789012345"`), nil},
		{"sixteen digits after a plus", checkText(`"to":"+1234567890123456"`), []Fault{{"to", "7 to 15 digits after a plus, has 16"}}},
		{"number as a number", checkText(`"to":905551234567`), nil},
		{"short number as a number", checkText(`"to":90`), []Fault{{"to", "6 to 15 digits, has 2"}}},
		{"group digits", checkText(`"to":"123","recipient_type":"group"`), nil},
		{"placeholder", checkText(`"to":"<TO>"`), nil},
		{"other placeholder", checkText(`"to":"{{Recipient-Phone-Number}}"`), nil},
		{"blank", checkText(`"to":" "`), []Fault{{"to", "not empty; or recipient with a business-scoped user id"}}},
		{"object as to", checkText(`"to":{},` + user), []Fault{{"to", "a string: a phone number or a group id"}}},
		{"user only", checkText(user), nil},
		{"user and null", checkText(`"to":null,` + user), nil},
		{"user, but to wins", checkText(`"to":"12",` + user), []Fault{{"to", "6 to 15 digits, has 2"}}},
		{"user that is not a string", checkText(`"recipient":7`), []Fault{{"recipient", "a string: a business-scoped user id"}}},
		{"4096 characters", checkTyped("text", `{"body":"`+checkRepeat("ş", 4096)+`"}`), nil},
		{"4097 characters", checkTyped("text", `{"body":"`+checkRepeat("ş", 4097)+`"}`), []Fault{{"text.body", "at most 4,096 characters, has 4,097"}}},
		{"empty body", checkTyped("text", `{"body":""}`), []Fault{{"text.body", "a string of 1 to 4,096 characters"}}},
		{"no type is a text", `{"messaging_product":"whatsapp","to":"905551234567","text":{"body":"x"}}`, nil},
		{"caption", checkTyped("image", `{"id":"1","caption":"`+checkRepeat("x", 1025)+`"}`), []Fault{{"image.caption", "at most 1,024 characters, has 1,025"}}},
		{"long caption of an audio, which has none", checkTyped("audio", `{"id":"1","caption":"`+checkRepeat("x", 1025)+`"}`), nil},
		{"no file", checkTyped("sticker", `{}`), []Fault{{"sticker", "exactly one of link and id"}}},
		{"both", checkTyped("video", `{"id":"1","link":"https://a.b/c"}`), []Fault{{"video", "exactly one of link and id"}}},
		{"http", checkTyped("document", `{"link":"http://a.b/c"}`), nil},
		{"ftp", checkTyped("document", `{"link":"ftp://a.b/c"}`), []Fault{{"document.link", "a URL that starts with http:// or https://"}}},
		{"a scheme alone", checkTyped("document", `{"link":"http://"}`), []Fault{{"document.link", "a URL that starts with http:// or https://"}}},
		{"HTTPS", checkTyped("document", `{"link":"HTTPS://a.b/c"}`), nil},
		{"no buttons", checkButtons(0, ""), []Fault{{"interactive.action.buttons", "1 to 3 buttons, has 0"}}},
		{"three buttons of 20", checkButtons(3, checkRepeat("é", 20)), nil},
		{"four buttons", checkButtons(4, "t"), []Fault{{"interactive.action.buttons", "1 to 3 buttons, has 4"}}},
		{"long title", checkButtons(2, checkRepeat("x", 27)), []Fault{
			{"interactive.action.buttons[0].reply.title", "at most 20 characters, has 27"},
			{"interactive.action.buttons[1].reply.title", "at most 20 characters, has 27"},
		}},
		{"all of a button message", checkInteractive("button", `"header":{"type":"text","text":"`+checkRepeat("x", 61)+`"},"body":{"text":"`+checkRepeat("x", 1025)+
			`"},"footer":{"text":"`+checkRepeat("x", 61)+`"},"action":{"buttons":[{"reply":{"id":"`+checkRepeat("x", 257)+`","title":"t"}}]}`), []Fault{
			{"interactive.body.text", "at most 1,024 characters, has 1,025"},
			{"interactive.footer.text", "at most 60 characters, has 61"},
			{"interactive.header.text", "at most 60 characters, has 61"},
			{"interactive.action.buttons[0].reply.id", "at most 256 characters, has 257"},
		}},
		{"header without its file", checkInteractive("button", `"body":{"text":"b"},"header":{"type":"image"},"action":{"buttons":[{"reply":{"id":"1","title":"t"}}]}`), []Fault{{"interactive.header.image", "exactly one of link and id"}}},
		{"ten rows", checkList(2, 5, `{"id":"1","title":"t"}`), nil},
		{"eleven rows", checkList(1, 11, `{"id":"1","title":"t"}`), []Fault{{"interactive.action.sections", "at most 10 rows in total, has 11"}}},
		{"eleven sections", checkList(11, 0, ``), []Fault{{"interactive.action.sections", "1 to 10 rows in total, has 0"}, {"interactive.action.sections", "at most 10 sections, has 11"}}},
		{"a row too long", checkList(1, 1, `{"id":"`+checkRepeat("x", 201)+`","title":"`+checkRepeat("x", 25)+`","description":"`+checkRepeat("x", 73)+`"}`), []Fault{
			{"interactive.action.sections[0].rows[0].id", "at most 200 characters, has 201"},
			{"interactive.action.sections[0].rows[0].title", "at most 24 characters, has 25"},
			{"interactive.action.sections[0].rows[0].description", "at most 72 characters, has 73"},
		}},
		{"a list's own texts", checkInteractive("list", `"body":{"text":"`+checkRepeat("x", 4097)+`"},"action":{"button":"`+checkRepeat("x", 21)+`"}`), []Fault{
			{"interactive.body.text", "at most 4,096 characters, has 4,097"},
			{"interactive.action.button", "at most 20 characters, has 21"},
			{"interactive.action.sections", "1 to 10 rows in total, has 0"},
		}},
		{"cta_url", checkInteractive("cta_url", `"body":{"text":"`+checkRepeat("x", 1025)+`"},"action":{"parameters":{"display_text":"`+checkRepeat("x", 21)+`","url":"https://a.b"}}`), []Fault{
			{"interactive.body.text", "at most 1,024 characters, has 1,025"},
			{"interactive.action.parameters.display_text", "at most 20 characters, has 21"},
		}},
		{"unknown interactive", checkInteractive("carousel2", `"body":{"text":"`+checkRepeat("x", 9000)+`"}`), nil},
		{"unknown type", checkTyped("hologram", `{"link":"http://x"}`), nil},
		{"257 contacts", checkTyped("contacts", `[`+checkRepeat(`{"name":{"formatted_name":"n"}},`, 256)+`{"name":{"formatted_name":"n"}}]`), nil},
		{"258 contacts", checkTyped("contacts", `[`+checkRepeat(`{"name":{"formatted_name":"n"}},`, 257)+`{"name":{"formatted_name":"n"}}]`), []Fault{{"contacts", "at most 257 contacts, has 258"}}},
		{"template", checkTyped("template", `{}`), []Fault{{"template.name", "a string that is not empty"}, {"template.language.code", "a string that is not empty"}}},
		{"reaction removed", checkTyped("reaction", `{"message_id":"m","emoji":""}`), nil},
		{"reaction", checkTyped("reaction", `{}`), []Fault{{"reaction.message_id", "a string that is not empty"}, {"reaction.emoji", "an emoji, or an empty string to remove the reaction"}}},
		{"opaque", checkText(`"to":"905551234567","biz_opaque_callback_data":"` + checkRepeat("x", 513) + `"`), []Fault{{"biz_opaque_callback_data", "at most 512 characters, has 513"}}},
		{"opaque object", checkText(`"to":"905551234567","biz_opaque_callback_data":{}`), []Fault{{"biz_opaque_callback_data", "a string of at most 512 characters"}}},
		{"receipt", `{"messaging_product":"whatsapp","status":"read","message_id":"m"}`, nil},
		{"typing", `{"messaging_product":"whatsapp","typing_indicator":{"type":"text"},"message_id":"m"}`, nil},
		{"receipt of nothing", `{"messaging_product":"whatsapp","status":"read"}`, []Fault{{"message_id", "a string that is not empty"}}},
		{"receipt that is a message too", `{"messaging_product":"whatsapp","status":"read","message_id":"m","to":"905551234567","type":"text","text":{"body":"x"}}`, []Fault{
			{"to", "absent: a read receipt or typing indicator is not a message"}, {"type", "absent: a read receipt or typing indicator is not a message"},
		}},
		{"not JSON", `{"to":`, []Fault{FaultNotJSON}},
		{"two values", `{} {}`, []Fault{FaultNotJSON}},
		{"empty", ``, []Fault{FaultNotJSON}},
		{"array", `[]`, []Fault{FaultNotObject}},
		{"null", `null`, []Fault{FaultNotObject}},
	} {
		if _, got := Check([]byte(c.body)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestASummaryDescribesTheMessage(t *testing.T) {
	for _, c := range []struct {
		body string
		want Summary
	}{
		{`{"messaging_product":"whatsapp","to":"+905551234567","recipient":"US.1","type":"text","text":{"body":"hi"},"biz_opaque_callback_data":"o"}`,
			Summary{Type: "text", To: "+905551234567", Recipient: "US.1", Opaque: "o", HasOpaque: true, Text: "hi"}},
		{`{"messaging_product":"whatsapp","recipient":"US.1","text":{"body":"hi"},"biz_opaque_callback_data":""}`, Summary{Type: "text", Recipient: "US.1", HasOpaque: true, Text: "hi"}},
		{`{"messaging_product":"whatsapp","recipient":"US.1","text":{"body":"hi"},"biz_opaque_callback_data":null}`, Summary{Type: "text", Recipient: "US.1", Text: "hi"}},
		{checkTyped("image", `{"id":"1","caption":"c"}`), Summary{Type: "image", To: "905551234567", Text: "c"}},
		{checkTyped("template", `{"name":"n","language":{"code":"tr"}}`), Summary{Type: "template", To: "905551234567", Text: "n"}},
		{checkTyped("reaction", `{"message_id":"m","emoji":"😀"}`), Summary{Type: "reaction", To: "905551234567", Text: "😀"}},
		{checkTyped("hologram", `{}`), Summary{Type: "hologram", To: "905551234567"}},
		{checkButtons(2, "yes"), Summary{Type: "interactive", To: "905551234567", Text: "b"}},
		{checkTyped("text", `{"body":"x`+checkRepeat("ş", 300)+`"}`), Summary{Type: "text", To: "905551234567", Text: "x" + checkRepeat("ş", 255)}},
		{`{"messaging_product":"whatsapp","status":"read","message_id":"m","typing_indicator":{"type":"text"}}`, Summary{Receipt: true}},
	} {
		got, faults := Check([]byte(c.body))
		if got != c.want || faults != nil {
			t.Errorf("%.80s: got %+v %q", c.body, got, faults)
		}
	}
	if got, _ := Check([]byte(checkInteractive("button", `"action":{"buttons":[{"reply":{"title":"yes"}},{"reply":{"title":"no"}}]}`))); got.Text != "yes" {
		t.Errorf("without a body it shows %q", got.Text)
	}
}

func TestOnlyABodyThatCannotBeReadIsMalformed(t *testing.T) {
	for body, want := range map[string]bool{"": true, "7": true, `{"to":1`: true, `{}`: false} {
		_, faults := Check([]byte(body))
		if len(faults) == 0 || faults[0].Malformed() != want {
			t.Errorf("%q: %q", body, faults)
		}
	}
}

func TestTheNumberOfFaultsIsBounded(t *testing.T) {
	_, faults := Check([]byte(checkList(1, 10000, `{"title":"`+checkRepeat("x", 25)+`"}`)))
	if len(faults) != checkFaultsMost || faults[0].Rule != "at most 10 rows in total, has 10,000" {
		t.Errorf("%d faults, first %q", len(faults), faults[0])
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{`{}`, checkText(`"to":"905551234567"`), checkButtons(3, "t"), checkList(2, 5, `{"id":"1"}`), checkTyped("template", `{"name":1}`),
		checkTyped("image", `{"link":"https://x"}`), `{"messaging_product":"whatsapp","status":"read","message_id":"m"}`, `{"to":{"a":[null]},"text":[]}`, "{\"to\":\"\xff\"}", `[1]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		summary, faults := Check(body)
		if len(summary.Text) > maxText || !utf8.ValidString(summary.Text) {
			t.Fatalf("text of %d bytes, valid %t", len(summary.Text), utf8.ValidString(summary.Text))
		}
		for _, fault := range faults {
			if fault.Rule == "" || fault.Malformed() && len(faults) != 1 {
				t.Fatalf("%q", faults)
			}
		}
		if len(faults) == 1 && faults[0].Malformed() {
			return
		}
		if strings.Contains(string(body), "not_a_member_of_today") {
			return // it would be there twice
		}
		// Unknown members change nothing, at any level.
		at := strings.IndexByte(string(body), '{') + 1
		comma := ","
		if strings.HasPrefix(strings.TrimLeft(string(body[at:]), " \t\r\n"), "}") {
			comma = ""
		}
		more := string(body[:at]) + `"not_a_member_of_today":{"to":[1,{"type":"x"}]}` + comma + string(body[at:])
		s, again := Check([]byte(more))
		if s != summary || !reflect.DeepEqual(again, faults) {
			t.Fatalf("with an unknown member %+v %q, without %+v %q", s, again, summary, faults)
		}
	})
}
