package whatsapp

import "slices"

// facts are what one pass over an update finds out about it.
type facts struct {
	id, status                raw
	from, to, recipient, waID string
	userID, fromUser, toUser  string // business-scoped user ids
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
		case "from_user_id":
			_, f.fromUser = identifier(m.value, nil)
		case "to_user_id":
			_, f.toUser = identifier(m.value, nil)
		case "recipient_user_id", "user_id":
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

// contactOf puts the contact that one of the names belongs to beside the event, and
// returns who the event's contact is: the contact's wa_id, else the first name. Where
// one contact and one update stand together they belong together, but whom the update
// names itself does not depend on its neighbours.
func (l *contactList) contactOf(e *Event, names ...string) string {
	var found *contact
	for _, name := range names {
		if c := l.byID[name]; c != nil && found == nil {
			found = c
		}
	}
	named := first(names...)
	if found == nil && l.alone && len(l.all) == 1 {
		found = l.all[0]
	} else if found != nil {
		named = first(found.waID, named)
	}
	if found == nil {
		return named
	}
	if len(found.raw) <= maxBeside {
		e.ContactPayload, found.used = found.raw, true
	}
	return first(named, found.waID)
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
