package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func init() {
	register(page{path: "/conversations", title: "Conversations", place: 20, template: "conversations", show: showPeople, actions: map[string]action{
		"/conversations/find": {do: findPerson, reads: true},
	}})
	register(page{path: "/conversations/chat", title: "Conversation", template: "chat", show: showChat, actions: map[string]action{
		"/conversations/send": {do: write, sends: true},
	}})
}

const (
	// perChat is how many messages a page of a chat has.
	perChat = 40
	// mostPeople bounds the list of people.
	mostPeople = 60
	// longestKey is WhatsApp's name of a group, or a person's, at most; as the table has it.
	longestKey = 512
)

// person is who a conversation is with.
type person struct {
	Ref     string // of the chat
	Name    string // contact, or group
	Group   bool
	Text    string
	Type    string
	Out     bool // the last message went out
	At      time.Time
	Outcome string
}

// with returns a reference to a conversation; names are not in addresses.
func (c *Console) with(name string, group bool) string {
	if group {
		return c.Ref("group", name)
	}
	return c.Ref("contact", name)
}

// showPeople lists those who wrote, or were written to, lately: a list of all would be a scan.
func showPeople(v *visit) (any, error) {
	var all []person
	seen := map[string]bool{}
	for _, l := range v.Feed.last(kept, func(l Line) bool {
		return l.Event != nil && (l.Event.Facts["kind"] == "message" || l.Event.Facts["kind"] == "send")
	}) {
		f := l.Event.Facts
		name, group := f["contact"], f["group_id"] != ""
		if group {
			name = f["group_id"]
		}
		if name == "" || seen[name] || !group && f["user_id"] != "" && seen[f["user_id"]] {
			continue
		}
		seen[name] = true
		if !group && f["user_id"] != "" {
			seen[f["user_id"]] = true
		}
		all = append(all, person{
			Ref: v.with(name, group), Name: name, Group: group, Text: f["text"], Type: f["type"], At: l.At,
			Out: f["direction"] == string(whatsapp.Out) || f["kind"] == "send", Outcome: f["outcome"],
		})
		if len(all) == mostPeople {
			break
		}
	}
	return all, nil
}

// findPerson leads to a conversation by any name.
func findPerson(v *visit) (string, error) {
	name := strings.TrimSpace(v.form("name"))
	if name == "" || len(name) > longestKey {
		return "", wrongf("name a person by a phone number or a user id, or a group by its id")
	}
	canonical := whatsapp.Canonical(name)
	group := !whatsapp.IsPhone(canonical) && !whatsapp.IsUserID(canonical)
	v.lead("/conversations/chat?with=" + v.with(name, group))
	return "", nil
}

// bubble is a message as a chat shows it.
type bubble struct {
	conversation.Message
	Ref       string
	Who       string // who wrote it, in a group
	Quote     string // the start of what it answers
	Quoted    bool
	Reactions []string
	Edits     []string
	Revoked   bool
	Media     string // its type, where it has more than a text
	Mark      string // ✓, ✓✓ and so on
	Words     string // the mark in words
	Bad       bool
	Note      string // why it failed, or what it waits for
	Day       string // where a new day begins
}

type chatPage struct {
	*conversation.Page
	With         string // its reference
	Name         string
	Display      string // the person's own name for themselves
	OpenUntil    time.Time
	Bubbles      []bubble
	Older, Newer string // addresses
	Key          string // a fresh idempotency key
	Latest       bool
}

func (v *visit) conversationAsked() (ask conversation.Ask, name string, err error) {
	kind, name, err := v.key(cmp.Or(v.query("with"), v.form("with")))
	switch {
	case err != nil:
		return ask, "", err
	case kind == "group":
		ask.GroupID = name
	case kind == "contact":
		ask.Contact = name
	default:
		return ask, "", wrongf("this address names no conversation")
	}
	return ask, name, nil
}

func showChat(v *visit) (any, error) {
	ask, name, err := v.conversationAsked()
	if err != nil {
		return nil, err
	}
	ask.Limit = perChat
	for parameter, cursor := range map[string]*string{"before": &ask.Before, "after": &ask.After} {
		if sealed := v.query(parameter); sealed != "" {
			if *cursor, _, err = v.key(sealed); err != nil {
				return nil, err
			}
		}
	}
	p := &chatPage{With: v.with(name, ask.GroupID != ""), Key: NewToken()[:12], Latest: ask.Before == "" && ask.After == ""}
	if p.Page, err = conversation.Read(v.ctx, v.Operator.Table(), time.Now(), ask); err != nil {
		if invalid := (conversation.Invalid{}); errors.As(err, &invalid) {
			return nil, wrong{err}
		}
		return nil, fmt.Errorf("the table cannot be read: %w. Try again", err)
	}
	p.Name = cmp.Or(p.GroupID, p.Contact)
	if p.Window == table.WindowOpen && p.LastInbound != nil {
		p.OpenUntil = table.Window{LastInbound: *p.LastInbound}.ClosedAt()
	}
	if p.Before != "" {
		p.Older = "/conversations/chat?with=" + p.With + "&before=" + v.Ref(p.Before, "")
	}
	if !p.Latest {
		p.Newer = "/conversations/chat?with=" + p.With + "&after=" + v.Ref(p.After, "")
	}
	p.Bubbles = v.bubbles(p.Messages)
	if v.due("name") {
		p.Display = v.display(p.Messages)
	}
	return p, nil
}

// display returns the name that the person gave themselves, as their newest message on the page has
// it.
func (v *visit) display(messages []conversation.Message) string {
	for _, m := range slices.Backward(messages) {
		if m.Direction != whatsapp.In || m.Kind != whatsapp.KindMessage || m.GroupID != "" {
			continue
		}
		it, err := v.Operator.Table().Get(v.ctx, m.PK, m.SK)
		if err != nil {
			return "" // the name is missing then, and nothing else
		}
		var contact struct{ Profile struct{ Name string } }
		_ = json.Unmarshal([]byte(it.Text("contact_payload")), &contact) // without one, it has no name
		return contact.Profile.Name
	}
	return ""
}

// bubbles puts reactions, edits and revocations at their messages, where those are on the page.
func (v *visit) bubbles(messages []conversation.Message) (all []bubble) {
	at := map[string]int{}
	for _, m := range messages {
		target, there := at[m.ReplyTo]
		if there && m.Kind != conversation.KindSend || there && m.Type == "reaction" {
			of := &all[target]
			switch m.Type {
			case "reaction":
				if m.Text != "" {
					of.Reactions = append(of.Reactions, m.Text)
				} else {
					of.Reactions = nil // removed
				}
				continue
			case "edit":
				of.Edits = append(of.Edits, m.Text)
				continue
			case "revoke":
				of.Revoked = true
				continue
			}
		}
		b := bubble{Message: m, Ref: v.Ref(m.PK, m.SK)}
		if m.Direction == whatsapp.In && m.GroupID != "" {
			b.Who = m.Contact
		}
		if m.ReplyTo != "" {
			b.Quoted = true
			if there {
				b.Quote = cmp.Or(all[target].Text, all[target].Type)
			}
		}
		if m.Type != "text" {
			b.Media = m.Type
		}
		b.mark()
		if day := m.At.Format(time.DateOnly); len(all) == 0 || all[len(all)-1].At.Format(time.DateOnly) != day {
			b.Day = day
		}
		if m.Wamid != "" {
			at[m.Wamid] = len(all)
		}
		all = append(all, b)
	}
	return all
}

// mark says how far a message came, as WhatsApp's ticks do.
func (b *bubble) mark() {
	p := b.Progress
	if p == nil {
		return
	}
	b.Note = p.Reason
	switch {
	case p.Failed || p.State == "rejected" || p.State == "expired":
		b.Mark, b.Words, b.Bad = "✕", cmp.Or(map[bool]string{true: "failed"}[p.Failed], p.State), true
		if p.Failed || p.Explanation != "" {
			b.Note = p.Explanation
		}
	case p.Status == "read" || p.Status == "played" || p.Status == "delivered":
		b.Mark, b.Words = "✓✓", p.Status
	case p.Status == "sent":
		b.Mark, b.Words = "✓", "sent"
	case p.State == "unknown":
		b.Mark, b.Words, b.Bad, b.Note = "?", "unknown", true, p.Explanation
	case p.State == "accepted":
		b.Mark, b.Words = "✓", "accepted by the Gateway"
	case p.State != "":
		b.Mark, b.Words = "◷", p.State
	}
}

// Read reports whether the ticks are coloured.
func (b bubble) Read() bool { return b.Words == "read" || b.Words == "played" }

// Side is where a bubble is.
func (b bubble) Side() string {
	switch {
	case b.Direction == whatsapp.Out || b.Kind == conversation.KindSend:
		return "out"
	case b.Direction == whatsapp.In && b.Kind == whatsapp.KindMessage:
		return "in"
	}
	return "note"
}

// write sends a message through the send endpoint, under a key.
func write(v *visit) (string, error) {
	ask, name, err := v.conversationAsked()
	if err != nil {
		return "", err
	}
	message := map[string]any{"messaging_product": "whatsapp"}
	if template := strings.TrimSpace(v.form("template")); template != "" {
		message["type"], message["template"] = "template", map[string]any{"name": template, "language": map[string]string{"code": cmp.Or(strings.TrimSpace(v.form("language")), "en")}}
	} else if text := strings.TrimSpace(strings.ReplaceAll(v.form("text"), "\r\n", "\n")); text != "" {
		message["type"], message["text"] = "text", map[string]string{"body": text}
	} else {
		return "", wrongf("write a text, or name a template")
	}
	envelope := map[string]any{"message": message, "idempotencyKey": v.form("key")}
	if ask.GroupID != "" {
		envelope["group"] = name
	} else {
		envelope["contact"] = whatsapp.Canonical(name)
		if v.form("closed") == "refuse" {
			envelope["onClosedWindow"] = "refuse"
		}
	}
	v.lead("/conversations/chat?with=" + v.with(name, ask.GroupID != ""))
	status, response, err := v.Operator.Send(v.ctx, usualClient, unescaped(envelope), false)
	if err != nil {
		return "", fmt.Errorf("%w. Whether the message left is not known: send it again under its key, %s, or look that up under Sends", err, v.form("key"))
	}
	if status >= 300 {
		return "", wrongf("the send endpoint responded %s. Its key is %s", v.answer(status, response), v.form("key"))
	}
	return fmt.Sprintf("The send endpoint responded %d.", status), nil
}
