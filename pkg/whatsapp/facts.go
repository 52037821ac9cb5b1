package whatsapp

import "slices"

// facts are what one pass over an update finds out about it.
type facts struct {
	id, status                raw
	from, to, recipient, waID string
	userID                    string // business-scoped user id, whichever side names it
	kind, text, code          string
	opaque                    string
	time                      int64
	caption, button, template string
	interactive, errors       raw
}

func readFacts(r raw) facts {
	var f facts
	for m := range r.members() {
		switch m.key {
		case "id":
			f.id = m.value
		case "status":
			f.status = m.value
		case "from":
			_, f.from = identifier(m.value, nil)
		case "to":
			_, f.to = identifier(m.value, nil)
		case "recipient_id":
			_, f.recipient = identifier(m.value, nil)
		case "wa_id":
			_, f.waID = identifier(m.value, nil)
		case "from_user_id", "to_user_id", "recipient_user_id", "user_id":
			if _, id := identifier(m.value, nil); id != "" {
				f.userID = id
			}
		case "type":
			_, f.kind = identifier(m.value, nil)
		case "timestamp":
			f.time = milliseconds(m.value)
		case "biz_opaque_callback_data":
			f.opaque, _ = m.value.text()
		case "text":
			f.text, _ = m.value.get("body").text()
		case "image", "video", "document":
			f.caption, _ = m.value.get("caption").text()
		case "button":
			f.button, _ = m.value.get("text").text()
		case "interactive":
			f.interactive = m.value
		case "template":
			f.template, _ = m.value.get("name").text()
		case "errors":
			f.errors = m.value
		case "code":
			if m.value.isInteger() {
				f.code = string(m.value)
			}
		}
	}
	return f
}

func (f facts) fill(e *Event) {
	e.Time = f.time
	title := ""
	for _, reply := range []string{"button_reply", "list_reply"} {
		if t, ok := f.interactive.get(reply).get("title").text(); ok && title == "" {
			title = t
		}
	}
	e.Text = short(first(f.text, f.caption, f.button, title, f.template))
	e.ErrorCode = first(f.code, firstErrorCode(f.errors))
}

// firstErrorCode returns the code of the first error that has one.
func firstErrorCode(errors raw) string {
	for e := range errors.elements() {
		code := e.get("code")
		if code.isInteger() {
			return string(code)
		}
		if _, s := identifier(code, nil); s != "" {
			return s
		}
	}
	return ""
}

// contact is one element of a value's contacts.
type contact struct {
	raw  raw
	waID string
	used bool
}

// contactList finds the contact that belongs to an update.
type contactList struct {
	name  raw
	all   []*contact
	byID  map[string]*contact
	alone bool // the value holds exactly one update
}

func (l *contactList) add(m member) {
	l.name = m.name
	for e := range m.value.elements() {
		l.all = append(l.all, &contact{raw: e})
	}
}

func (l *contactList) index() {
	l.byID = make(map[string]*contact, len(l.all))
	for _, c := range slices.Backward(l.all) { // the first of equals wins
		for m := range c.raw.members() {
			switch m.key {
			case "wa_id":
				_, c.waID = identifier(m.value, nil)
				l.byID[c.waID] = c
			case "user_id":
				_, id := identifier(m.value, nil)
				l.byID[id] = c
			}
		}
	}
	delete(l.byID, "")
}

// of returns the contact with one of these identifiers; where one contact and one
// update stand together, they belong together. The result may be nil.
func (l *contactList) of(ids ...string) *contact {
	for _, id := range ids {
		if c := l.byID[id]; c != nil && id != "" {
			return c
		}
	}
	if l.alone && len(l.all) == 1 {
		return l.all[0]
	}
	return nil
}

// attach puts the contact beside the event and returns its wa_id.
func (c *contact) attach(e *Event) string {
	if c == nil {
		return ""
	}
	if len(c.raw) <= maxBeside {
		e.ContactPayload = c.raw
		c.used = true
	}
	return c.waID
}

// unused returns the contacts that stand beside no event, as the member that they
// were.
func (l *contactList) unused() (member, bool) {
	var rest []raw
	for _, c := range l.all {
		if !c.used {
			rest = append(rest, c.raw)
		}
	}
	return member{key: "contacts", name: l.name, value: array(rest)}, len(rest) > 0
}
