package whatsapp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

const (
	own    = `"metadata":{"display_phone_number":"+1 555 010-0099","phone_number_id":"P"},`
	ownMX  = `"metadata":{"display_phone_number":"+52 1 55 5010 0099","phone_number_id":"P"},`
	ownBR  = `"metadata":{"display_phone_number":"55 11 98765-0099","phone_number_id":"P"},`
	ownAR  = `"metadata":{"display_phone_number":"54 9 11 5010-0099","phone_number_id":"P"},`
	person = "15550100001"
)

// facts of an event, without those that are empty.
func factsOf(e Event) map[string]string {
	all := map[string]string{
		"kind": string(e.Kind), "direction": string(e.Direction), "type": e.Type, "field": e.Field, "contact": e.Contact, "user_id": e.UserID, "group_id": e.GroupID,
		"phone_number_id": e.PhoneNumberID, "display": e.DisplayPhoneNumber, "wamid": e.WAMID, "text": e.Text, "reply_to": e.ReplyTo, "media_id": e.MediaID,
		"referral": e.Referral, "error_code": e.ErrorCode, "aliases": strings.ReplaceAll(strings.Trim(fmt.Sprint(e.Aliases), "[]"), "] [", ", "),
	}
	if e.Time != 0 {
		all["time"] = fmt.Sprint(e.Time / 1000)
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

func messages(list string) []byte { return value("messages", `{`+own+`"messages":[`+list+`]}`) }
func said(content string) []byte {
	return messages(`{"from":"15550100001","id":"w","timestamp":"1764000000",` + content + `}`)
}
func statuses(list string) []byte { return value("messages", `{`+own+`"statuses":[`+list+`]}`) }
func history(metadata, thread string) []byte {
	return value("history", `{`+metadata+`"history":[{"threads":[`+thread+`]}]}`)
}
func account(field, v string) []byte { return value(field, `{`+v+`}`) }

// Each body's first event has these facts; a fact of "-" is one that it does not have.
func TestWhomAnUpdateIsAbout(t *testing.T) {
	for rule, c := range map[string]struct {
		body []byte
		want string // fact=value, in any order, divided by |
	}{
		"a number is its digits":                      {messages(`{"from":"+1 (555) 010-00.01","id":"w"}`), "contact=15550100001|direction=in"},
		"a user id alone is the contact":              {messages(`{"from_user_id":"US.77001","id":"w"}`), "contact=US.77001|user_id=-|aliases=-"},
		"an empty from is none":                       {messages(`{"from":"","from_user_id":"US.77001","id":"w"}`), "contact=US.77001"},
		"number and user id":                          {messages(`{"from":"15550100001","from_user_id":"US.77001","id":"w"}`), "contact=15550100001|user_id=US.77001|aliases=15550100001 US.77001"},
		"a user id instead of a number":               {messages(`{"from":"US.1234","from_user_id":"US.1234","id":"w"}`), "contact=US.1234|user_id=-|aliases=-"},
		"another form stays as it came":               {messages(`{"from":"someone@lid","id":"w"}`), "contact=someone@lid"},
		"from wins over contacts":                     {value("messages", `{`+own+`"contacts":[{"wa_id":"1999"}],"messages":[{"from":"15550100001","id":"w"}]}`), "contact=15550100001|aliases=-"},
		"from_user_id wins over contacts":             {value("messages", `{`+own+`"contacts":[{"wa_id":"15550100001","user_id":"US.77001"}],"messages":[{"from_user_id":"US.77001","id":"w"}]}`), "contact=US.77001|user_id=-|aliases=15550100001 US.77001"},
		"the only contact, where nobody is named":     {value("messages", `{`+own+`"contacts":[{"user_id":"US.77002"}],"messages":[{"id":"w"}]}`), "contact=US.77002"},
		"the only contact's number before its id":     {value("messages", `{`+own+`"contacts":[{"wa_id":"+1 555 010 0001","user_id":"US.77002"}],"messages":[{"id":"w"}]}`), "contact=15550100001|user_id=US.77002"},
		"one contact twice is one":                    {value("messages", `{`+own+`"contacts":[{"user_id":"US.77002"},{"user_id":"US.77002"}],"messages":[{"id":"w"}]}`), "contact=US.77002"},
		"of two contacts none, where nobody is named": {value("messages", `{`+own+`"contacts":[{"wa_id":"1"},{"wa_id":"2"}],"messages":[{"id":"w"}]}`), "contact=-"},
		"contacts prove two names":                    {value("messages", `{`+own+`"contacts":[{"wa_id":"15550100001","user_id":"US.77001"}],"messages":[{"from":"15550100001","id":"w"}]}`), "contact=15550100001|user_id=-|aliases=15550100001 US.77001"},
		"contacts in the other form of the country":   {value("messages", `{`+own+`"contacts":[{"wa_id":"551187650001"}],"messages":[{"from":"5511987650001","id":"w"}]}`), "contact=5511987650001|aliases=551187650001 5511987650001"},
		"a message from the business's number is out": {messages(`{"from":"15550100099","to":"15550100001","id":"w"}`), "direction=out|contact=15550100001"},
		"its number in another form":                  {value("messages", `{`+ownBR+`"messages":[{"from":"551187650099","to":"15550100001","id":"w"}]}`), "direction=out|contact=15550100001"},
		"the business is never the contact":           {messages(`{"from":"15550100099","id":"w"}`), "direction=out|contact=-"},
		"an echo's contact is to":                     {value("smb_message_echoes", `{`+own+`"message_echoes":[{"from":"15550100099","to":"+15550100001","id":"w"}]}`), "direction=out|contact=15550100001"},
		"an echo to a user id":                        {value("smb_message_echoes", `{`+own+`"message_echoes":[{"from_user_id":"US.biz","to_user_id":"US.77001","id":"w"}]}`), "direction=out|contact=US.77001"},
		"an echo to both":                             {value("message_echoes", `{`+own+`"messages":[{"from":"1","to":"15550100001","to_user_id":"US.77001","id":"w"}]}`), "direction=out|contact=15550100001|user_id=US.77001"},
		"a group's message":                           {messages(`{"from":"15550100001","group_id":"G1","id":"w"}`), "contact=15550100001|group_id=G1|direction=in"},
		"a message of ours to a group":                {value("smb_message_echoes", `{`+own+`"message_echoes":[{"from":"15550100099","to":"G1","recipient_type":"group","id":"w"}]}`), "group_id=G1|contact=-|direction=out"},
		"a status":                                    {statuses(`{"id":"w","status":"read","recipient_id":"+15550100001"}`), "contact=15550100001|direction=out"},
		"a status of a user id":                       {statuses(`{"id":"w","status":"read","recipient_id":"","recipient_user_id":"US.77001"}`), "contact=US.77001|user_id=-"},
		"a status of both":                            {statuses(`{"id":"w","status":"read","recipient_id":"15550100001","recipient_user_id":"US.77001"}`), "contact=15550100001|user_id=US.77001"},
		"a status in a group":                         {statuses(`{"id":"w","status":"read","recipient_type":"group","recipient_id":"G1","recipient_participant_id":"15550100001"}`), "group_id=G1|contact=15550100001"},
		"a status in a group, by user id":             {statuses(`{"id":"w","status":"read","recipient_type":"group","recipient_id":"G1","recipient_participant_user_id":"US.77001"}`), "group_id=G1|contact=US.77001"},
		"a status in a group of nobody":               {statuses(`{"id":"w","status":"read","recipient_type":"group","recipient_id":"G1"}`), "group_id=G1|contact=-"},
		"a call from a person":                        {value("calls", `{`+own+`"calls":[{"id":"c","from":"15550100001","to":"15550100099","direction":"USER_INITIATED"}]}`), "contact=15550100001|direction=in|type=calls"},
		"a call to a user id":                         {value("calls", `{`+own+`"calls":[{"id":"c","from":"15550100099","to_user_id":"US.77001","direction":"BUSINESS_INITIATED"}]}`), "contact=US.77001|direction=out"},
		"a call to a user id, the business unknown":   {value("calls", `{"metadata":{},"calls":[{"id":"c","from":"15550100099","to_user_id":"US.77001","direction":"BUSINESS_INITIATED"}]}`), "contact=US.77001|direction=out"},
		"a call whose end names the business as from": {value("calls", `{`+own+`"calls":[{"id":"c","from":"15550100099","to":"15550100001","direction":"USER_INITIATED"}]}`), "contact=15550100001|direction=in"},
		"history from the thread's person is in":      {history(own, `{"id":"15550100001","messages":[{"from":"15550100001","id":"w"}]}`), "direction=in|contact=15550100001"},
		"history from anybody else is out":            {history(own, `{"id":"15550100001","messages":[{"from":"15550100098","id":"w"}]}`), "direction=out|contact=15550100001"},
		"Mexico, history of the business":             {history(ownMX, `{"id":"5215550100555","messages":[{"from":"525550100099","to":"5215550100555","id":"w"}]}`), "direction=out|contact=5215550100555"},
		"Mexico, history of the person":               {history(ownMX, `{"id":"5215550100555","messages":[{"from":"525550100555","id":"w"}]}`), "direction=in|contact=525550100555"},
		"Brazil, history of the person":               {history(ownBR, `{"id":"551187650001","messages":[{"from":"5511987650001","id":"w"}]}`), "direction=in|contact=5511987650001"},
		"Argentina, history of the person":            {history(ownAR, `{"id":"541150100001","messages":[{"from":"5491150100001","id":"w"}]}`), "direction=in|contact=5491150100001"},
		"history of a user id":                        {history(own, `{"id":"US.77001","messages":[{"from_user_id":"US.77001","id":"w"}]}`), "direction=in|contact=US.77001"},
		"history whose thread names both":             {history(own, `{"id":"15550100001","context":{"wa_id":"15550100001","user_id":"US.77001"},"messages":[{"from_user_id":"US.77001","id":"w"}]}`), "direction=in|contact=US.77001|aliases=15550100001 US.77001"},
		"history without a thread's id":               {history(ownAR, `{"messages":[{"from":"541150100099","to":"15550100001","id":"w"}]}`), "direction=out|contact=15550100001"},
		"history that says that it is the business's": {history(own, `{"messages":[{"from":"2","to":"15550100001","id":"w","history_context":{"from_me":true}}]}`), "direction=out|contact=15550100001"},
		"standby: a message":                          {value("standby", `{`+own+`"standby":{"contacts":[{"wa_id":"15550100001"}],"messages":[{"from":"15550100001","id":"w","timestamp":"1790000001","type":"text","text":{"body":"hi"}}]}}`), "kind=message|field=standby|contact=15550100001|text=hi|direction=in|wamid=w|time=1790000001"},
		"standby: a status":                           {value("standby", `{`+own+`"standby":{"statuses":[{"id":"w","status":"delivered","timestamp":"1790000002","recipient_id":"15550100001"}]}}`), "kind=status|field=standby|contact=15550100001|wamid=w"},
		"standby: an echo":                            {value("standby", `{`+own+`"standby":{"message_echoes":[{"id":"w","timestamp":"1790000003","message":{"to":"15550100001","type":"text","text":{"body":"echo"}}}]}}`), "kind=message|field=standby|direction=out|contact=15550100001|type=text|text=echo|wamid=w|time=1790000003"},
		"a handover":                                  {account("messaging_handovers", `"sender":{"phone_number":"15550100001","user_id":"US.77001"},"recipient":{"phone_number_id":"P","display_phone_number":"15550100099"},"type":"control_passed","timestamp":"1790000004"`), "kind=event|type=control_passed|time=1790000004|contact=15550100001|user_id=US.77001|phone_number_id=P|display=15550100099|aliases=15550100001 US.77001"},
		"a user id's update":                          {value("user_id_update", `{`+own+`"contacts":[{"wa_id":"15550100001"}],"user_id_update":[{"wa_id":"15550100001","detail":"changed","user_id":{"previous":"US.1","current":"US.2"},"timestamp":"1790000007"}]}`), "contact=15550100001|user_id=US.2|text=changed|time=1790000007|aliases=15550100001 US.2, US.1 US.2"},
		"a parent company's user id":                  {messages(`{"from":"15550100001","from_user_id":"US.1","from_parent_user_id":"US.ENT.9","id":"w"}`), "contact=15550100001|user_id=US.1|aliases=15550100001 US.1, US.1 US.ENT.9"},
		"a parent company's user id of a recipient":   {statuses(`{"id":"w","status":"read","recipient_user_id":"US.1","recipient_parent_user_id":"US.ENT.9"}`), "contact=US.1|aliases=US.1 US.ENT.9"},
		"an update of both user ids":                  {value("user_id_update", `{`+own+`"user_id_update":[{"wa_id":"15550100001","user_id":{"previous":"US.1","current":"US.2"},"parent_user_id":{"previous":"US.ENT.1","current":"US.ENT.2"}}]}`), "contact=15550100001|user_id=US.2|aliases=15550100001 US.2, US.1 US.2, US.2 US.ENT.2, US.ENT.1 US.ENT.2"},
		"history that is not shared":                  {value("history", `{`+own+`"history":[{"errors":[{"code":2593109,"title":"off"}]}]}`), "type=history|error_code=2593109|contact=-"},
		"a user id's update without a number":         {value("user_id_update", `{`+own+`"contacts":[{"user_id":"US.2"}],"user_id_update":[{"detail":"changed","user_id":{"previous":"US.1","current":"US.2"}}]}`), "contact=US.2|aliases=US.1 US.2"},
		"an address book's entry":                     {value("smb_app_state_sync", `{`+own+`"state_sync":[{"type":"contact","contact":{"full_name":"A","phone_number":"+1 555 010 0001","user_id":"US.77001"},"action":"add","metadata":{"timestamp":"1790000009"}}]}`), "contact=15550100001|user_id=US.77001|time=1790000009|type=state_sync|aliases=15550100001 US.77001"},
		"a system message of a changed number":        {said(`"type":"system","system":{"body":"changed","wa_id":"15550100002","user_id":"US.2","previous_user_id":"US.1","type":"user_changed_number"}`), "contact=15550100001|user_id=US.2|text=changed|aliases=15550100002 US.2, 15550100001 15550100002, 15550100001 US.2, US.1 US.2"},
		"a system message of something else":          {said(`"type":"system","system":{"body":"identity","wa_id":"15550100002","type":"customer_identity_changed"}`), "contact=15550100001|aliases=-"},
		"a system message from nobody":                {messages(`{"id":"w","type":"system","system":{"body":"x","wa_id":"15550100002","type":"user_changed_number"}}`), "contact=15550100002"},
		"a preference":                                {value("user_preferences", `{`+own+`"contacts":[{"wa_id":"1"}],"user_preferences":[{"wa_id":"15550100001","user_id":"US.77001","detail":"stop","timestamp":1790000000}]}`), "contact=15550100001|user_id=US.77001|text=stop|time=1790000000"},
		"one participant added":                       {value("group_participants_update", `{`+own+`"groups":[{"group_id":"G1","type":"group_participants_add","added_participants":[{"wa_id":"15550100001"}]}]}`), "contact=15550100001|group_id=G1|type=groups"},
		"one participant removed, by both names":      {value("group_participants_update", `{`+own+`"groups":[{"group_id":"G1","removed_participants":[{"input":"US.77001","wa_id":"15550100001"}]}]}`), "contact=15550100001|user_id=US.77001|aliases=15550100001 US.77001"},
		"several participants are nobody":             {value("group_participants_update", `{`+own+`"groups":[{"group_id":"G1","added_participants":[{"wa_id":"15550100001"},{"wa_id":"15550100002"}]}]}`), "contact=-|group_id=G1"},
		"a group's settings":                          {value("group_settings_update", `{`+own+`"contacts":[{"wa_id":"1"}],"groups":[{"group_id":"G1","timestamp":"1790000000"}]}`), "contact=-|group_id=G1|time=1790000000"},
		"an account's settings":                       {account("account_settings_update", `"timestamp":"1790000013","type":"phone_number_settings","phone_number_settings":{"phone_number_id":"P"}`), "type=phone_number_settings|time=1790000013|phone_number_id=P"},
		"a number's quality":                          {account("phone_number_quality_update", `"display_phone_number":"15550100099","event":"FLAGGED"`), "type=FLAGGED|display=15550100099|contact=-"},
		"a business's username":                       {account("business_username_updates", `"display_phone_number":"15550100099","username":"shop","status":"approved"`), "display=15550100099|contact=-"},
		"an account's number":                         {account("account_update", `"phone_number":"15550100099","event":"VERIFIED_ACCOUNT"`), "type=VERIFIED_ACCOUNT|display=15550100099|contact=-"},
		"a time with a fraction of nothing":           {messages(`{"from":"1","id":"w","timestamp":"1764000000.0"}`), "time=1764000000"},
		"text: a reaction":                            {said(`"type":"reaction","reaction":{"message_id":"x","emoji":"👍"}`), "text=👍|reply_to=x"},
		"text: an edit":                               {said(`"type":"edit","edit":{"original_message_id":"x","message":{"type":"text","text":{"body":"new"}}}`), "text=new|reply_to=x"},
		"text: an edited caption":                     {said(`"type":"edit","edit":{"original_message_id":"x","message":{"type":"image","image":{"caption":"new","id":"m"}}}`), "text=new|reply_to=x|media_id=m"},
		"text: an order's note":                       {said(`"type":"order","order":{"text":"wrap it","product_items":[{}]}`), "text=wrap it"},
		"text: an order's items":                      {said(`"type":"order","order":{"product_items":[{},{}]}`), "text=2 items"},
		"text: a place":                               {said(`"type":"location","location":{"latitude":37.48,"longitude":-122.15,"name":"The shop","address":"1 Main St"}`), "text=The shop, 1 Main St"},
		"text: coordinates":                           {said(`"type":"location","location":{"latitude":37.48,"longitude":-122.15}`), "text=37.48, -122.15"},
		"text: contact cards":                         {said(`"type":"contacts","contacts":[{"name":{"formatted_name":"B C"}},{"name":{"first_name":"D","last_name":"E"}}]`), "text=B C, D E"},
		"text: a document's name":                     {said(`"type":"document","document":{"id":"m","filename":"a.pdf"}`), "text=a.pdf|media_id=m"},
		"text: a document's caption":                  {said(`"type":"document","document":{"id":"m","filename":"a.pdf","caption":"yours"}`), "text=yours"},
		"text: a flow":                                {said(`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"body":"Sent"}}`), "text=Sent"},
		"text: a call permission":                     {said(`"type":"interactive","interactive":{"type":"call_permission_reply","call_permission_reply":{"response":"accept"}}`), "text=accept"},
		"text: a choice":                              {said(`"type":"interactive","interactive":{"type":"list_reply","list_reply":{"title":"Tea"}}`), "text=Tea"},
		"text: an interactive echo":                   {value("smb_message_echoes", `{`+own+`"message_echoes":[{"to":"1555","id":"w","type":"interactive","interactive":{"type":"button","body":{"text":"Choose"}}}]}`), "text=Choose"},
		"text: what cannot be shown":                  {said(`"type":"unsupported","errors":[{"code":131051,"title":"Message type unknown"}]`), "text=Message type unknown|error_code=131051"},
		"text: the content that the type names":       {said(`"image":{"caption":"other"},"type":"text","text":{"body":"this"}`), "text=this"},
		"a reply":                                     {said(`"type":"text","text":{"body":"a"},"context":{"from":"1","id":"x"}`), "reply_to=x"},
		"a revocation":                                {said(`"type":"revoke","revoke":{"original_message_id":"x"}`), "reply_to=x"},
		"media":                                       {said(`"type":"audio","audio":{"id":"m","voice":true}`), "media_id=m"},
		"an advertisement":                            {said(`"type":"text","text":{"body":"a"},"referral":{"source_type":"ad"}`), "referral=ad"},
	} {
		got := factsOf(Split(c.body)[0])
		for one := range strings.SplitSeq(c.want, "|") {
			name, want, _ := strings.Cut(one, "=")
			if want == "-" {
				want = ""
			}
			if got[name] != want {
				t.Errorf("%s: %s is %q, want %q: %v", rule, name, got[name], want, got)
			}
		}
	}
}

func TestWhatStandsBesideOneUpdateIsAboutItsPerson(t *testing.T) {
	one := `"messages":[{"from":"15550100001","group_id":"G1","id":"w","timestamp":"1764000000"}]`
	for _, more := range []string{`"errors":[{"code":1}],` + one, one + `,"errors":[{"code":1}]`, one + `,"conversation_context":{"summary":{"text":"a refund"}}`} {
		events := Split(value("messages", `{`+own+more+`}`))
		if len(events) != 2 {
			t.Fatalf("%s: %d events", more, len(events))
		}
		i := slices.IndexFunc(events, func(e Event) bool { return e.Kind == KindEvent })
		if e := events[i]; e.Contact != person || e.GroupID != "G1" || e.WAMID != "w" || e.Time != 1764000000000 {
			t.Errorf("%s: %v", more, factsOf(e))
		}
	}
	two := `"messages":[{"from":"15550100001","id":"w"},{"from":"15550100002","id":"x"}],"errors":[{"code":1}],"conversation_context":{}`
	for _, e := range Split(value("messages", `{`+own+two+`}`)) {
		if e.Kind == KindEvent && e.Contact != "" {
			t.Errorf("beside two: %v", factsOf(e))
		}
	}
}

// nationalForms are numbers in both forms; made up, in the ranges of WhatsApp's documentation.
var nationalForms = map[string][2]string{
	"Brazil": {"5511987650001", "551187650001"}, "Mexico": {"5215550100555", "525550100555"}, "Argentina": {"5491150100001", "541150100001"},
}

func TestNationalFormsAreOneNumber(t *testing.T) {
	for country, forms := range nationalForms {
		if !SameNumber(forms[0], forms[1]) || !SameNumber("+"+forms[1], forms[0]) || SameNumber(forms[0], forms[1]+"1") {
			t.Errorf("%s: %v", country, forms)
		}
	}
	for _, two := range [][2]string{{"15550100001", "1550100001"}, {"5511887650001", "551187650001"}, {"", ""}, {"US.1", "US.1"}, {"4915510000001", "491551000001"}} {
		if SameNumber(two[0], two[1]) {
			t.Errorf("%v are one number", two)
		}
	}
}

func TestNamesHaveTheirForms(t *testing.T) {
	for name, want := range map[string]string{
		"+1 (555) 010-0001": person, "1.555.010.0001": person, "1\u00a0555\u2011010\u20110001": person, person: person,
		"": "", "+": "+", "US.1349": "US.1349", "someone": "someone", "1555x": "1555x", "1+5": "1+5",
	} {
		if got := Canonical(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	long := "US." + strings.Repeat("a", 128)
	for name, want := range map[string]bool{
		"US.1349Ab": true, long: true, "US.ENT.11": true, long + "a": false, "US.": false, "USA.1": false, "U1.1": false, "US.1-2": false, "15550100001": false, "": false, "12.34": false,
	} {
		if IsUserID(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

func TestAnAnswerProvesWhoASendWentTo(t *testing.T) {
	for answer, want := range map[string]string{
		`{"data":{"contacts":[{"input":"525510017001","wa_id":"5215510017001"}]}}`:                "[5215510017001 525510017001]",
		`{"data":{"contacts":[{"input":"+1 555 010 0001","wa_id":"15550100001"}]}}`:               "",
		`{"data":{"contacts":[{"input":"US.1","wa_id":"15550100001"}]}}`:                          "[15550100001 US.1]",
		`{"data":{"contacts":[{"input":"15550100001","wa_id":"15550100001","user_id":"US.1"}]}}`:  "[15550100001 US.1]",
		`{"data":{"contacts":[{"input":"1555","wa_id":"1666"},{"input":"1777","wa_id":"1888"}]}}`: "",
		`{"data":{"contacts":[]}}`: "", `no JSON`: "", `{}`: "",
	} {
		got := ""
		if p, ok := SentTo([]byte(answer)); ok {
			got = fmt.Sprint(p)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
}
