package whatsapp

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// checkJoin repeats a JSON value n times, as the elements of an array.
func checkJoin(n int, value string) string {
	return strings.TrimSuffix(checkRepeat(value+",", n), ",")
}

func checkTemplate(components string) string {
	return checkTyped("template", `{"name":"n","language":{"code":"en"},"components":[`+components+`]}`)
}

func checkParameter(component, text string) string {
	return checkTemplate(`{"type":"` + component + `","parameters":[{"type":"text","text":` + text + `}]}`)
}

// Each pair is the last body that passes and the first that does not, on the two sides of a limit.
func TestOnBothSidesOfEachLimit(t *testing.T) {
	const filled = "a string that is not empty"
	characters := func(n int) string { return checkRepeat("ş", n) }
	list := func(more string) string {
		return checkInteractive("list", `"body":{"text":"b"},"action":{"button":"b","sections":[{"rows":[{"id":"1","title":"t"}]}]}`+more)
	}
	section := func(title string, rows string) string {
		return checkInteractive("list", `"body":{"text":"b"},"action":{"button":"b","sections":[{"title":"`+title+`","rows":[`+rows+`]}]}`)
	}
	link := func(more, parameters string) string {
		return checkInteractive("cta_url", `"body":{"text":"b"},"action":{"name":"cta_url","parameters":{`+parameters+`}}`+more)
	}
	buttons := func(replies ...string) string {
		return checkInteractive("button", `"body":{"text":"b"},"action":{"buttons":[{"type":"reply","reply":`+strings.Join(replies, `},{"type":"reply","reply":`)+`}]}`)
	}
	products := func(sections ...int) string {
		var all []string
		for i, n := range sections {
			all = append(all, fmt.Sprintf(`{"title":"s%d","product_items":[%s]}`, i, checkJoin(n, `{"product_retailer_id":"1"}`)))
		}
		return checkInteractive("product_list", `"body":{"text":"b"},"header":{"type":"text","text":"h"},"action":{"catalog_id":"1","sections":[`+strings.Join(all, ",")+`]}`)
	}
	cards := func(n int, card string) string {
		return checkInteractive("carousel", `"body":{"text":"b"},"action":{"cards":[`+checkJoin(n, card)+`]}`)
	}
	flow := func(body, parameters string) string {
		return checkInteractive("flow", body+`"action":{"name":"flow","parameters":{"flow_message_version":"3","flow_cta":"Book",`+parameters+`}}`)
	}
	const label = `"display_text":"Open","url":"https://a.b"`
	text := func(kind string, n int) string {
		return `,"` + kind + `":{"type":"text","text":"` + characters(n) + `"}`
	}
	for _, c := range []struct {
		name, passes, fails string
		want                []Fault
	}{
		{"product", checkText(`"to":"905551234567"`), `{"to":"905551234567","text":{"body":"x"}}`, []Fault{{"messaging_product", "whatsapp"}}},
		{"another product", checkText(`"to":"905551234567"`), `{"messaging_product":"WhatsApp","to":"905551234567","text":{"body":"x"}}`, []Fault{{"messaging_product", "whatsapp"}}},
		{"product of no text", checkText(`"to":"905551234567"`), `{"messaging_product":["whatsapp"],"to":"905551234567","text":{"body":"x"}}`, []Fault{{"messaging_product", "whatsapp"}}},
		{"product of a receipt", `{"messaging_product":"whatsapp","status":"read","message_id":"m"}`, `{"status":"read","message_id":"m"}`, []Fault{{"messaging_product", "whatsapp"}}},

		{"a list's header", list(text("header", 60)), list(text("header", 61)), []Fault{{"interactive.header.text", "at most 60 characters, has 61"}}},
		{"a list's footer", list(text("footer", 60)), list(text("footer", 61)), []Fault{{"interactive.footer.text", "at most 60 characters, has 61"}}},
		{"a list's header of a file", list(text("header", 1)), list(`,"header":{"type":"image","image":{"id":"1"}}`), []Fault{{"interactive.header.type", "text: a list allows no other header"}}},
		{"a list's body", list(""), checkInteractive("list", `"action":{"button":"b","sections":[{"rows":[{"id":"1","title":"t"}]}]}`), []Fault{{"interactive.body.text", filled}}},
		{"a list's button", list(""), checkInteractive("list", `"body":{"text":"b"},"action":{"sections":[{"rows":[{"id":"1","title":"t"}]}]}`), []Fault{{"interactive.action.button", filled}}},
		{"a list's rows", list(""), section("s", ""), []Fault{{"interactive.action.sections", "1 to 10 rows in total, has 0"}}},
		{"a list's sections", list(""), checkInteractive("list", `"body":{"text":"b"},"action":{"button":"b"}`), []Fault{{"interactive.action.sections", "1 to 10 rows in total, has 0"}}},
		{"a section's title", section(characters(24), `{"id":"1","title":"t"}`), section(characters(25), `{"id":"1","title":"t"}`), []Fault{{"interactive.action.sections[0].title", "at most 24 characters, has 25"}}},
		{"a row's id", section("s", `{"id":"1","title":"t"}`), section("s", `{"id":"","title":"t"}`), []Fault{{"interactive.action.sections[0].rows[0].id", filled}}},
		{"a row's title", section("s", `{"id":"1","title":"t"}`), section("s", `{"id":"1"}`), []Fault{{"interactive.action.sections[0].rows[0].title", filled}}},
		{"titles of several sections", checkList(2, 1, `{"id":"1","title":"t"}`), checkInteractive("list", `"body":{"text":"b"},"action":{"button":"b","sections":[{"title":"s","rows":[{"id":"1","title":"t"}]},{"rows":[{"id":"2","title":"u"}]}]}`),
			[]Fault{{"interactive.action.sections[1].title", "a string that is not empty, because there are several sections"}}},

		{"a link's header", link(text("header", 60), label), link(text("header", 61), label), []Fault{{"interactive.header.text", "at most 60 characters, has 61"}}},
		{"a link's footer", link(text("footer", 60), label), link(text("footer", 61), label), []Fault{{"interactive.footer.text", "at most 60 characters, has 61"}}},
		{"a link's picture", link(`,"header":{"type":"image","image":{"link":"http://a.b/c.png"}}`, label), link(`,"header":{"type":"image","image":{"link":"c.png"}}`, label), []Fault{{"interactive.header.image.link", "a URL that starts with http:// or https://"}}},
		{"a link's body", link("", label), checkInteractive("cta_url", `"action":{"parameters":{`+label+`}}`), []Fault{{"interactive.body.text", filled}}},
		{"a link's label", link("", label), link("", `"url":"https://a.b"`), []Fault{{"interactive.action.parameters.display_text", filled}}},
		{"a link's URL", link("", `"display_text":"Open","url":"HTTP://a.b:8080/?c=ş#d"`), link("", `"display_text":"Open","url":"a.b"`), []Fault{{"interactive.action.parameters.url", "a URL such as https://example.com/path"}}},
		{"a link without a URL", link("", label), link("", `"display_text":"Open"`), []Fault{{"interactive.action.parameters.url", "a URL such as https://example.com/path"}}},
		{"a link to nowhere", link("", label), link("", `"display_text":"Open","url":"https:///path"`), []Fault{{"interactive.action.parameters.url", "a URL such as https://example.com/path"}}},
		{"a link of another scheme", link("", label), link("", `"display_text":"Open","url":"javascript://a.b/"`), []Fault{{"interactive.action.parameters.url", "a URL such as https://example.com/path"}}},

		{"a button's body", buttons(`{"id":"1","title":"t"}`), checkInteractive("button", `"body":{"text":""},"action":{"buttons":[{"reply":{"id":"1","title":"t"}}]}`), []Fault{{"interactive.body.text", filled}}},
		{"a button's id", buttons(`{"id":"` + characters(256) + `","title":"t"}`), buttons(`{"id":"` + characters(257) + `","title":"t"}`), []Fault{{"interactive.action.buttons[0].reply.id", "at most 256 characters, has 257"}}},
		{"an empty id", buttons(`{"id":"1","title":"t"}`), buttons(`{"id":"","title":"t"}`), []Fault{{"interactive.action.buttons[0].reply.id", filled}}},
		{"an id in blanks", buttons(`{"id":"a b","title":"t"}`), buttons(`{"id":"a ","title":"t"}`), []Fault{{"interactive.action.buttons[0].reply.id", "without blanks at its ends"}}},
		{"an empty title", buttons(`{"id":"1","title":"t"}`), buttons(`{"id":"1","title":""}`), []Fault{{"interactive.action.buttons[0].reply.title", filled}}},
		{"a repeated id", buttons(`{"id":"a","title":"t"}`, `{"id":"A","title":"u"}`), buttons(`{"id":"a","title":"t"}`, `{"id":"a","title":"u"}`), []Fault{{"interactive.action.buttons[1].reply.id", "unique among the buttons"}}},
		{"a repeated title", buttons(`{"id":"1","title":"t"}`, `{"id":"2","title":"T"}`), buttons(`{"id":"1","title":"t"}`, `{"id":"2","title":"t"}`), []Fault{{"interactive.action.buttons[1].reply.title", "unique among the buttons"}}},

		{"products", products(30), products(31), []Fault{{"interactive.action.sections", "1 to 30 products in total, has 31"}}},
		{"products of several sections", products(10, 20), products(11, 20), []Fault{{"interactive.action.sections", "1 to 30 products in total, has 31"}}},
		{"no products", products(1), products(0), []Fault{{"interactive.action.sections", "1 to 30 products in total, has 0"}}},
		{"sections of products", products(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), products(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), []Fault{{"interactive.action.sections", "at most 10 sections, has 11"}}},

		{"few cards", cards(2, `{}`), cards(1, `{}`), []Fault{{"interactive.action.cards", "2 to 10 cards, has 1"}}},
		{"many cards", cards(10, `{}`), cards(11, `{}`), []Fault{{"interactive.action.cards", "2 to 10 cards, has 11"}}},
		{"a carousel's body", cards(2, `{}`), checkInteractive("carousel", `"action":{"cards":[{},{}]}`), []Fault{{"interactive.body.text", filled}}},
		{"a card's text", cards(2, `{"body":{"text":"`+characters(160)+`"}}`), cards(2, `{"body":{"text":"`+characters(161)+`"}}`),
			[]Fault{{"interactive.action.cards[0].body.text", "at most 160 characters, has 161"}, {"interactive.action.cards[1].body.text", "at most 160 characters, has 161"}}},
		{"a card's link", cards(2, `{"action":{"name":"cta_url","parameters":{`+label+`}}}`), checkInteractive("carousel", `"body":{"text":"b"},"action":{"cards":[{},{"action":{"name":"cta_url","parameters":{"display_text":"Open","url":"x"}}}]}`),
			[]Fault{{"interactive.action.cards[1].action.parameters.url", "a URL such as https://example.com/path"}}},

		{"a flow's body", flow(`"body":{"text":"b"},`, `"flow_id":"1"`), flow(``, `"flow_id":"1"`), []Fault{{"interactive.body.text", filled}}},
		{"a flow by its name", flow(`"body":{"text":"b"},`, `"flow_name":"1"`), flow(`"body":{"text":"b"},`, `"flow_name":"1","flow_id":"1"`), []Fault{{"interactive.action.parameters", "one of flow_id and flow_name, not both"}}},
		{"a catalog's footer", checkInteractive("catalog_message", `"body":{"text":"b"}`+text("footer", 60)), checkInteractive("catalog_message", `"body":{"text":"b"}`+text("footer", 61)), []Fault{{"interactive.footer.text", "at most 60 characters, has 61"}}},
		{"a product's body", checkInteractive("product", `"action":{}`), checkInteractive("product", `"body":{"text":"`+characters(1025)+`"}`), []Fault{{"interactive.body.text", "at most 1,024 characters, has 1,025"}}},

		{"a longitude", checkTyped("location", `{"latitude":"37.4","longitude":-122.1}`), checkTyped("location", `{"latitude":"37.4"}`), []Fault{{"location.longitude", filled}}},
		{"a latitude", checkTyped("location", `{"latitude":0,"longitude":0}`), checkTyped("location", `{"latitude":null,"longitude":0}`), []Fault{{"location.latitude", filled}}},
		{"a contact's name", checkTyped("contacts", `[{"name":{"formatted_name":"n"}}]`), checkTyped("contacts", `[{"name":{"formatted_name":"n"}},{"phones":[]}]`), []Fault{{"contacts[1].name.formatted_name", filled}}},
		{"a contact", checkTyped("contacts", `[{"name":{"formatted_name":"n"}}]`), checkTyped("contacts", `[]`), []Fault{{"contacts", "1 to 257 contacts, has 0"}}},

		{"a parameter's blanks", checkParameter("body", `"a    b"`), checkParameter("body", `"a     b"`), []Fault{{"template.components[0].parameters[0].text", "without line breaks, tabs and more than 4 consecutive blanks"}}},
		{"a parameter's line break", checkParameter("BODY", `"a b"`), checkParameter("BODY", `"a\nb"`), []Fault{{"template.components[0].parameters[0].text", "without line breaks, tabs and more than 4 consecutive blanks"}}},
		{"a parameter's carriage return", checkParameter("header", `"a b"`), checkParameter("header", `"a\rb"`), []Fault{{"template.components[0].parameters[0].text", "without line breaks, tabs and more than 4 consecutive blanks"}}},
		{"a parameter's tab", checkParameter("header", `"a\\tb"`), checkParameter("header", `"a\tb"`), []Fault{{"template.components[0].parameters[0].text", "without line breaks, tabs and more than 4 consecutive blanks"}}},
		{"an empty parameter", checkParameter("body", `" "`), checkParameter("body", `""`), []Fault{{"template.components[0].parameters[0].text", filled}}},
		{"an absent parameter", checkParameter("body", `7`), checkParameter("body", `null`), []Fault{{"template.components[0].parameters[0].text", filled}}},
		{"a card's parameter", checkTemplate(`{"type":"carousel","cards":[{"components":[{"type":"body","parameters":[{"type":"text","text":"a"}]}]}]}`), checkTemplate(`{"type":"carousel","cards":[{"components":[{"type":"body","parameters":[{"type":"text","text":""}]}]}]}`),
			[]Fault{{"template.components[0].cards[0].components[0].parameters[0].text", filled}}},
	} {
		if _, got := Check([]byte(c.passes)); got != nil {
			t.Errorf("%s: refused for %q: %.300s", c.name, got, c.passes)
		}
		if _, got := Check([]byte(c.fails)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestUndocumentedBodiesPass(t *testing.T) {
	for _, body := range []string{
		checkTemplate(`{"type":"button","sub_type":"url","index":"0","parameters":[{"type":"text","text":""}]},{"type":"body","parameters":[{"type":"payload"},{"type":"currency"}]}`),
		checkTemplate(`{"type":"body","parameters":[{"type":"text","text":"a\u00a0\u00a0\u00a0\u00a0\u00a0b\u2028"}]}`), checkTyped("template", `{"name":"n","language":{"code":"en"},"components":{}}`),
		checkInteractive("location_request_message", `"action":{"name":"send_location"}`), checkInteractive("voice_call", `"body":{"text":"b"}`), `{"messaging_product":"whatsapp","type":"interactive","to":"905551234567","interactive":{}}`,
		checkInteractive("button", `"body":{"text":"b"},"action":{"buttons":[{"type":"url"},{"type":"url"}]}`), checkInteractive("list", `"body":{"text":"b"},"action":{"button":"b","sections":[{"rows":[{"id":"1","title":"t"},{"id":"1","title":"t"}]}]}`),
		checkTyped("location", `{"latitude":"north","longitude":"1e9"}`), checkTyped("image", `{"link":"http://a"}`),
	} {
		if _, got := Check([]byte(body)); got != nil {
			t.Errorf("refused for %q: %s", got, body)
		}
	}
}

func TestNumbersAreAcceptedInEveryFormAndIDsOnlyInTheirMember(t *testing.T) {
	const userID, group = "a phone number; or recipient with a business-scoped user id", "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD"
	for _, c := range []struct {
		members string // to and others
		contact string
		want    []Fault
	}{
		{`"to":"+1 (555) 017-7001"`, "15550177001", nil},
		{`"to":"(555) 017-7001"`, "5550177001", nil},
		{`"to":"1-555-017-7001"`, "15550177001", nil},
		{`"to":"(+1) 555 0177001"`, "15550177001", nil},
		{`"to":15550177001`, "15550177001", nil},
		{`"to":"1.555.017.7001"`, "15550177001", nil},
		{`"to":"+1 (555)"`, "1555", []Fault{{"to", "7 to 15 digits after a plus, has 4"}}},
		{`"to":"1-2-3-4-5"`, "12345", []Fault{{"to", "6 to 15 digits, has 5"}}},
		{`"to":"1+5550177001"`, "1+5550177001", nil},
		{`"to":"whatsapp-id"`, "whatsapp-id", nil},
		{`"to":"()"`, "()", nil},
		{`"recipient":"US.13491208655302741918"`, "US.13491208655302741918", nil},
		{`"to":"15550177001","recipient":"US.13491208655302741918"`, "15550177001", nil},
		{`"to":"US.13491208655302741918"`, "US.13491208655302741918", []Fault{{"to", userID}}},
		{`"to":"us.a"`, "us.a", []Fault{{"to", userID}}},
		{`"to":"US.ENT.11815799212886844830"`, "US.ENT.11815799212886844830", []Fault{{"to", userID}}},
		{`"to":"US.` + checkRepeat("1", 128) + `"`, "US." + checkRepeat("1", 128), []Fault{{"to", userID}}},
		{`"to":"US.` + checkRepeat("1", 129) + `"`, "US." + checkRepeat("1", 129), nil},
		{`"to":"US.1","recipient":"US.1"`, "US.1", []Fault{{"to", userID}}},
		{`"to":"USA.1"`, "USA.1", nil},
		{`"to":"US.a-b"`, "US.a-b", nil},
		{`"to":"US.1","recipient_type":"group"`, "US.1", nil},
		{`"to":"` + group + `","recipient_type":"group"`, group, nil},
		{`"to":"` + group + `"`, group, []Fault{{"recipient_type", "group, because to has the id of a group"}}},
		{`"to":"` + group + `","recipient_type":"individual"`, group, []Fault{{"recipient_type", "group, because to has the id of a group"}}},
	} {
		summary, got := Check([]byte(checkText(c.members)))
		if !reflect.DeepEqual(got, c.want) || summary.Contact() != c.contact {
			t.Errorf("%s: got %q for %q, want %q", c.members, got, summary.Contact(), c.want)
		}
	}
}

func TestAMemberGivenTwiceIsAFaultAtEveryLevel(t *testing.T) {
	for body, want := range map[string][]string{
		checkText(`"to":"905551234567","to":"905551234568"`):                                                                  {"to"},
		checkText(`"to":"905551234567","\u0074o":null,"status":"read"`):                                                       {"to"},
		checkTyped("text", `{"body":"a","body":"a"}`):                                                                         {"text.body"},
		checkTyped("hologram", `{"a":[{"b":1,"b":1}],"905551234567":1,"905551234567":2}`):                                     {"hologram.a[0].b", "hologram.*"},
		checkInteractive("button", `"body":{"text":"b"},"action":{"buttons":[{"reply":{"id":"1","title":"t","title":"u"}}]}`): {"interactive.action.buttons[0].reply.title"},
		`{"messaging_product":"whatsapp","messaging_product":"whatsapp","status":"read","message_id":"m"}`:                    {"messaging_product"},
		checkText(`"to":"905551234567","To":"905551234568"`):                                                                  nil,
	} {
		_, faults := Check([]byte(body))
		var got []string
		for _, f := range faults {
			if f.Rule == RuleOnce {
				got = append(got, f.Path)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", body, faults, want)
		}
	}
}
