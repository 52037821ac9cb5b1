package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"connexease-functions/pkg/events"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

// wrote is the body of a message that consists of a text.
func wrote(id, from string, at int, text string) string {
	return about("messages", fmt.Sprintf(`"messages":[{"from":%q,"id":%q,"timestamp":"%d","type":"text","text":{"body":%q}}]`, from, "wamid."+id, at, text))
}

// switched is the body of a preference.
func switched(value string, at int) string {
	return about("user_preferences", fmt.Sprintf(`"contacts":[{"wa_id":"15550100001"}],"user_preferences":[{"wa_id":"15550100001","detail":"x","category":"marketing_messages","value":%q,"timestamp":%d}]`, value, at))
}

// withWords has a function that recognizes words.
func withWords(t testing.TB, stop, resume string) *world {
	w := newWorld(t)
	w.words = [2]string{stop, resume}
	w.build(w.database.URL)
	return w
}

// consents returns the table's consents, keyed by "pk sk".
func (w *world) consents() map[string]harness.Item {
	all := w.items()
	maps.DeleteFunc(all, func(_ string, it harness.Item) bool { return it.Text("kind") != "consent" })
	return all
}

const one = "contact#15550100001 consent"

// orders calls each with every order of n things.
func orders(n int, each func([]int)) {
	var walk func(prefix []int)
	walk = func(prefix []int) {
		if len(prefix) == n {
			each(prefix)
		}
		for i := range n {
			if !slices.Contains(prefix, i) {
				walk(append(slices.Clone(prefix), i))
			}
		}
	}
	walk(nil)
}

func TestAnyOrderAndNumberOfWordsLeavesTheNewest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bodies []string
		want   string // status, reason, timestamp, wamid
	}{
		"the newest wins": {
			[]string{switched("stop", 1764000000), switched("resume", 1764000100), wrote("1", "15550100001", 1764000200, "stop"), wrote("2", "15550100001", 1764000050, "Start")},
			"stop word 1764000200 wamid.1",
		},
		"resume last": {
			[]string{switched("stop", 1764000000), wrote("1", "15550100001", 1764000001, "START"), switched("stop", 1763999999), wrote("2", "15550100001", 1763000000, "START")},
			"resume word 1764000001 wamid.1",
		},
		"stop wins a tie": {
			[]string{switched("resume", 1764000000), switched("stop", 1764000000), wrote("1", "15550100001", 1764000000, "start"), wrote("2", "+1 (555) 010-0001", 1763999999, "start")},
			"stop preference 1764000000 ",
		},
		"equal words of one instant": {
			[]string{switched("stop", 1764000000), wrote("1", "15550100001", 1764000000, "STOP"), wrote("2", "15550100001", 1764000000, "stop"), switched("resume", 1764000000)},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := withWords(t, "STOP", "START")
			db := table.New(harness.Backends.DB, w.table, 365)
			var want harness.Item
			orders(len(c.bodies), func(order []int) {
				repeats := append(slices.Clone(order), order[rand.IntN(len(order))], order[rand.IntN(len(order))])
				for _, i := range repeats {
					w.stored(c.bodies[i], 1)
				}
				got := w.consents()[one]
				if want == nil {
					want = got
				}
				if !reflect.DeepEqual(got, want) || got == nil {
					t.Fatalf("in the order %v it is %v, else %v", repeats, got, want)
				}
				if err := db.Delete(t.Context(), "contact#15550100001", "consent"); err != nil {
					t.Fatal(err)
				}
			})
			if got := strings.Join([]string{want.Text("status"), want.Text("reason"), want.Text("timestamp"), want.Text("wamid")}, " "); c.want != "" && got != c.want {
				t.Errorf("it is %q, want %q", got, c.want)
			}
			if _, expires := want["expires_at"]; expires {
				t.Error("it expires")
			}
		})
	}
}

// The words of one delivery are merged before they are written.
func TestOneDeliveryWithManyWordsLeavesTheNewestOfEachPerson(t *testing.T) {
	w := withWords(t, "STOP", "START")
	var all []string
	for n := range 60 {
		text := "START"
		if n%2 == 0 {
			text = "STOP"
		}
		all = append(all, fmt.Sprintf(`{"from":"1555010%04d","id":"wamid.%d","timestamp":"%d","type":"text","text":{"body":%q}}`, n%20, n, 1764000000+n, text))
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	w.stored(about("messages", `"messages":[`+strings.Join(all, ",")+`]`), len(all))
	got := w.consents()
	for n := range 20 {
		it := got[fmt.Sprintf("contact#1555010%04d consent", n)]
		if want := map[bool]string{true: "stop", false: "resume"}[n%2 == 0]; it.Text("status") != want || it.Number("timestamp") != int64(1764000040+n) {
			t.Errorf("person %d: %v", n, it)
		}
	}
	if len(got) != 20 {
		t.Errorf("%d consents", len(got))
	}
}

func TestOnlyAWholeTextIsAWord(t *testing.T) {
	t.Parallel()
	const stop, resume = " STOP , ,,  Straße, İPTAL,ÇIKIŞ, caf\u00e9 ,Ｈalt,отписаться,ΣΤΟΠ ΌΛΑ,🛑, Abmelden  bitte", "START,\tgroß,"
	w := withWords(t, stop, resume)
	at := 0
	for text, want := range map[string]string{
		"stop": "stop", "STOP": "stop", "sToP": "stop", " \n stop\t ": "stop", "\u00a0stop\u3000": "stop", "\u200bstop\ufeff": "stop", "ＳＴＯＰ": "stop",
		"Stop.": "", "stop it": "", "s top": "", "stopp": "", "": "", " ": "", ",": "", "stop,start": "", "\u200b": "",
		"STRASSE": "stop", "strasse": "stop", "straße": "stop", "STRAẞE": "stop", "STRA\u017f\u017fE": "stop", "strase": "", "GROSS": "resume", "groß": "resume",
		"iptal": "stop", "IPTAL": "stop", "İptal": "stop", "ıptal": "stop", "i\u0307ptal": "stop", "çıkış": "stop", "ÇIKIŞ": "stop", "c\u0327ıkıs\u0327": "stop", "cikis": "",
		"cafe\u0301": "stop", "CAFÉ": "stop", "cafe": "", "halt": "stop", "HALT": "stop",
		"ОТПИСАТЬСЯ": "stop", "στοπ όλα": "stop", "στος": "", "🛑": "stop", "🛑\ufe0f": "stop", "ABMELDEN BITTE": "stop", "abmelden\n\nbitte": "stop", "abmeldenbitte": "",
		"start": "resume", "ſtart": "resume", strings.Repeat("stop ", 400): "", "\\u0073top": "",
	} {
		at++
		contact := fmt.Sprintf("1555010%04d", at)
		w.stored(wrote(contact, contact, 1764000000, text), 1)
		if got := w.consents()["contact#"+contact+" consent"].Text("status"); got != want {
			t.Errorf("%q says %q, want %q", text, got, want)
		}
	}
}

func TestWhatIsNoWordOfAPersonSaysNothing(t *testing.T) {
	t.Parallel()
	text := func(more string) string {
		return `"messages":[{"from":"15550100001","id":"wamid.1","timestamp":"1764000000",` + more + `}]`
	}
	body := `"type":"text","text":{"body":"STOP"}`
	for name, c := range map[string]struct {
		body string
		want bool
	}{
		"a text":                    {about("messages", text(body)), true},
		"a tap on a template":       {about("messages", text(`"type":"button","button":{"text":"Stop","payload":"p"}`)), true},
		"a tap on a button":         {about("messages", text(`"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"1","title":"STOP"}}`)), true},
		"a tap on a row":            {about("messages", text(`"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"1","title":"STOP"}}`)), true},
		"a form":                    {about("messages", text(`"type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"STOP"}}`)), false},
		"a permission of calls":     {about("messages", text(`"type":"interactive","interactive":{"type":"call_permission_reply","call_permission_reply":{"response":"STOP"}}`)), false},
		"a text that goes on":       {about("messages", text(`"type":"text","text":{"body":"STOP`+strings.Repeat(" ", 600)+`no"}`)), false},
		"a text that others handle": {about("standby", `"standby":{`+text(body)+`}`), true},
		"an old text":               {about("history", `"history":[{"threads":[{"id":"15550100001",`+text(body)+`}]}]`), true},
		"a user id alone":           {about("messages", strings.Replace(text(body), `"from"`, `"from_user_id":"US.77001","x"`, 1)), true},
		"a text of nobody":          {about("messages", strings.Replace(text(body), `"from"`, `"x"`, 1)), false},
		"in a group":                {about("messages", text(`"group_id":"G1",`+body)), false},
		"from the business":         {about("smb_message_echoes", strings.Replace(strings.Replace(text(body), `"messages"`, `"message_echoes"`, 1), `"from"`, `"to"`, 1)), false},
		"a caption":                 {about("messages", text(`"type":"image","image":{"id":"1","caption":"STOP"}`)), false},
		"a place":                   {about("messages", text(`"type":"location","location":{"latitude":1,"longitude":2,"name":"STOP"}`)), false},
		"a reaction":                {about("messages", text(`"type":"reaction","reaction":{"message_id":"m","emoji":"STOP"}`)), false},
		"an edit":                   {about("messages", text(`"type":"edit","edit":{"original_message_id":"m","message":{"type":"text","text":{"body":"STOP"}}}`)), false},
		"a preference":              {switched("stop", 1764000000), true},
		"in capitals":               {switched("STOP", 1764000000), true},
		"without a category":        {strings.Replace(switched("stop", 1764000000), `"category"`, `"x"`, 1), true},
		"of another category":       {strings.Replace(switched("stop", 1764000000), `marketing_messages`, `utility_messages`, 1), false},
		"of another value":          {switched("stopped", 1764000000), false},
		"a value in a list":         {strings.Replace(switched("1", 1764000000), `"1"`, `["stop"]`, 1), false},
		"without a time":            {strings.Replace(switched("stop", 1764000000), `"timestamp"`, `"x"`, 1), true},
		"another list":              {strings.Replace(switched("stop", 1764000000), `"user_preferences":[`, `"preferences":[`, 1), false},
	} {
		w := withWords(t, "STOP", "START")
		if a := w.deliver(c.body); a.Status != 200 {
			t.Fatalf("%s: %s", name, a.Body)
		}
		got := w.consents()
		for _, it := range got {
			if it.Text("status") != "stop" {
				t.Errorf("%s: %v", name, it)
			}
		}
		if len(got) > 1 || (len(got) == 1) != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	w := newWorld(t) // without words
	w.stored(fixture(t, "text-stop"), 1)
	if got := w.consents(); len(got) != 0 {
		t.Errorf("without words: %v", got)
	}
}

// A person says stop under one of three names; it holds under each.
func TestAConsentIsOfAllNamesOfItsPerson(t *testing.T) {
	t.Parallel()
	w := withWords(t, "STOP", "START")
	w.stored(about("messages", both), 1)
	w.stored(about("messages", `"messages":[{"from":"15550100001","id":"wamid.n","timestamp":"1764000001","type":"system","system":{"type":"user_changed_number","wa_id":"15550100002","body":"x"}}]`), 1)
	db := table.New(harness.Backends.DB, w.table, 365)
	names := []string{"15550100001", "+1 (555) 010-0002", "US.77001"}
	says := func(name string) string {
		t.Helper()
		c, err := db.Consent(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			return ""
		}
		return c.Says + " " + c.Contact
	}
	each := func(want string) {
		t.Helper()
		for _, name := range append(names, "15550100009") {
			if name == "15550100009" {
				want = "" // a different person
			}
			if got := says(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
	each("")
	for i, c := range []struct{ body, want string }{
		{strings.Replace(wrote("a", "US.77001", 1764000100, "STOP"), `"from"`, `"from_user_id"`, 1), "stop US.77001"},
		{wrote("b", "15550100002", 1764000200, "START"), "resume 15550100002"},
		{wrote("c", "15550100001", 1764000300, "STOP"), "stop 15550100001"},
		{wrote("d", "15550100002", 1764000250, "START"), "stop 15550100001"},
		{wrote("e", "15550100002", 1764000300, "START"), "stop 15550100001"},
		{wrote("f", "15550100002", 1764000301, "START"), "resume 15550100002"},
	} {
		w.stored(c.body, 1)
		if each(c.want); t.Failed() {
			t.Fatalf("step %d", i)
		}
	}
	// As many aliases as are followed at most do not hide it.
	for n := range 40 {
		body := strings.Replace(both, "US.77001", "US.8"+strconv.Itoa(n), 1)
		w.stored(about("messages", strings.Replace(body, "wamid.both", "wamid.x"+strconv.Itoa(n), 1)), 1)
	}
	w.stored(wrote("g", "15550100001", 1764000400, "STOP"), 1)
	if got := says("15550100001"); got != "stop 15550100001" {
		t.Errorf("with 40 aliases: %q", got)
	}
}

// What cannot be written waits in the overflow queue, like the event that says it.
func TestAConsentThatCannotBeWrittenIsNotLost(t *testing.T) {
	t.Parallel()
	w := withWords(t, "STOP", "START")
	for name, body := range map[string]string{
		"a text": wrote("1", "15550100001", 1764000000, "STOP"), "a preference": switched("stop", 1764000000),
		"a large one": strings.Replace(wrote("2", "15550100001", 1764000000, "STOP"), `"type"`, `"more":"`+strings.Repeat("x", 800_000)+`","type"`, 1),
	} {
		w.database.Set(func(rw http.ResponseWriter, _ string, body []byte) bool {
			if !strings.Contains(string(body), "Consent Changed") {
				return false
			}
			harness.Refuse(rw, 400, "ThrottlingException")
			return true
		})
		if a := w.distrusting(body); a.Status != 200 {
			t.Fatalf("%s: %s", name, a.Body)
		}
		if got := w.consents(); len(got) != 0 || w.queues.Idle("overflow") {
			t.Fatalf("%s: %v", name, got)
		}
		w.database.Set(nil)
		w.settle()
		if got := w.consents()[one]; got.Text("status") != "stop" {
			t.Errorf("%s: %v", name, got)
		}
		if err := table.New(harness.Backends.DB, w.table, 365).Delete(t.Context(), "contact#15550100001", "consent"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestANewerWordBecomesAnEventAndAnOlderOneDoesNot(t *testing.T) {
	w := withWords(t, "STOP", "START")
	out := harness.NewOut(t, w.table)
	for range 2 {
		for _, body := range []string{switched("stop", 1764000000), wrote("1", "15550100001", 1763000000, "START"), wrote("2", "15550100001", 1764000009, "START"), switched("stop", 1764000005)} {
			w.stored(body, 1)
		}
	}
	var got []string
	for _, e := range out.Events(t) {
		if e.DetailType != events.ConsentChanged {
			continue
		}
		d := facts(t, e)
		got = append(got, strings.Join([]string{d["contact"], d["status"], d["reason"], d["timestamp"], d["wamid"]}, " "))
	}
	if want := []string{"15550100001 stop preference 1764000000 ", "15550100001 resume word 1764000009 wamid.2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWordsThatCannotBeMeantAreRefusedAtTheStart(t *testing.T) {
	for _, c := range [][3]string{{"STOP", "stop", "no word may be in both lists"}, {"straße", "STRASSE", "no word may be in both lists"}, {strings.Repeat("x", 101), "", "at most 100 bytes"}} {
		_, err := build(func(name string) string {
			return map[string]string{"TABLE_NAME": "t", "WEBHOOK_SECRET_ID": "s", "OVERFLOW_QUEUE_URL": "http://q", "OPT_OUT_WORDS": c[0], "OPT_IN_WORDS": c[1]}[name]
		})
		if err == nil || !strings.Contains(err.Error(), "OPT_OUT_WORDS and OPT_IN_WORDS: ") || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%q: %v", c, err)
		}
	}
}
