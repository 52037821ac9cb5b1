package command

import (
	"bytes"
	_ "embed"
	"html/template"
	"slices"
	"strings"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

//go:embed export.html
var pageText string

var pageTemplate = template.Must(template.New("conversation").Parse(pageText))

// page is what the template shows.
type page struct {
	*exported
	Days    []dated
	Consent []string // what they say about marketing messages, under each name
	Others  int      // items that are no lines of the conversation
	Shared  int
}

type dated struct {
	Date  string
	Lines []bubble
}

// bubble is one line of the conversation.
type bubble struct {
	Class, Time, Label, Text, Group, State string
	Answers                                string // the text that this one answers
}

// conversationPage makes one page of what was said, with nothing that it would have to load.
func conversationPage(all *exported, own []table.Item) ([]byte, error) {
	states := foldedStates(own)
	texts := map[string]string{} // by WhatsApp's id
	var lines []table.Item
	var consents []string
	for _, it := range own {
		if said := it.Consent(); said != nil {
			consents = append(consents, inWords("Marketing messages", said))
		}
		if it.Text("timeline_sk") == "" || it.Text("kind") == string(whatsapp.KindStatus) {
			continue
		}
		lines = append(lines, it)
		for _, name := range []string{"wamid", "sent_wamid"} {
			if id := it.Text(name); id != "" {
				texts[id] = said(it)
			}
		}
	}
	table.Order(lines)
	shown := page{exported: all, Consent: consents, Others: len(own) - len(lines), Shared: len(all.OfOthersToo)}
	for _, it := range lines {
		date, at := clock(it.Text("timeline_sk"))
		if n := len(shown.Days); n == 0 || shown.Days[n-1].Date != date {
			shown.Days = append(shown.Days, dated{Date: date})
		}
		last := &shown.Days[len(shown.Days)-1]
		b := bubble{Class: "event", Time: at, Label: label(it), Text: said(it), Group: it.Text("group_id"), Answers: texts[it.Text("reply_to")]}
		if d := it.Text("direction"); d != "" {
			b.Class = d
		}
		if it.Text("direction") == string(whatsapp.Out) {
			pk, _ := it.Key()
			b.State = states[pk]
		}
		last.Lines = append(last.Lines, b)
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, shown)
	return out.Bytes(), err
}

// clock returns the day and the time of day of a timeline's key.
func clock(key string) (date, at string) {
	stamp, _, _ := strings.Cut(key, "#")
	date, rest, _ := strings.Cut(stamp, "T")
	return date, rest[:min(len(rest), len("15:04"))]
}

// said is the whole text of an item, which the attribute may have cut.
func said(it table.Item) string {
	if text := whatsapp.Readable([]byte(it.Text("payload"))); text != "" {
		return text
	}
	return it.Text("text")
}

// label names what a text alone does not say.
func label(it table.Item) string {
	kind := strings.ReplaceAll(it.Text("type"), "_", " ")
	switch {
	case kind == "text":
		return ""
	case kind == "" || kind == "value":
		return it.Text("field")
	}
	return kind
}

// foldedStates says of each message that went out how far it came.
func foldedStates(items []table.Item) map[string]string {
	statuses, states := map[string][]whatsapp.Event{}, map[string]string{}
	alias := map[string]string{} // of WhatsApp's ids: the sends that they are
	for _, it := range items {
		if s := it.Send(); s != nil {
			pk, _ := it.Key()
			states[pk] = attempted(s)
			if id := it.Text("sent_wamid"); id != "" {
				alias["wa#"+id] = pk
			}
		}
	}
	for _, it := range items {
		if it.Text("kind") != string(whatsapp.KindStatus) {
			continue
		}
		pk, _ := it.Key()
		if send := alias[pk]; send != "" {
			pk = send
		}
		statuses[pk] = append(statuses[pk], whatsapp.Event{Status: it.Text("status"), ErrorCode: it.Text("error_code")})
	}
	for pk, all := range statuses {
		f := whatsapp.Fold(all)
		words := append([]string{f.State}, f.Others...)
		if f.Failed {
			words = append(words, strings.TrimSpace("failed "+strings.Join(f.ErrorCodes, " ")))
		}
		states[pk] = strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), ", ")
	}
	return states
}

// attempted is what the attempts of a send alone say of it.
func attempted(s *ledger.Send) string {
	state := "not sent yet"
	for _, a := range s.Attempts {
		switch {
		case a.Outcome == nil:
		case a.Outcome.State == ledger.Accepted:
			return string(ledger.Accepted)
		default:
			state = string(a.Outcome.State)
		}
	}
	return state
}
