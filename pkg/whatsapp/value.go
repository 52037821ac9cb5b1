package whatsapp

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// value splits the value of a change. Lists are taken apart where the value is
// about a phone number, which its metadata tells, and wherever they are called as
// messages and statuses are; an account's value is one event as a whole.
func (s *splitter) value(v raw) {
	s.number = numberFacts{}
	members := s.members(v)
	var p parts
	p.hasMetadata = slices.ContainsFunc(members, func(m member) bool {
		return m.key == "metadata" && m.value.isObject()
	})
	s.sort(members, &p)
	if s.tooMany {
		return
	}
	p.contacts.index()

	before := len(s.events)
	updates := 0
	hasHistory := false
	for _, l := range p.lists {
		hasHistory = hasHistory || l.key == "history"
		for range l.value.elements() {
			if l.key != "errors" {
				updates++
			}
		}
	}
	p.contacts.alone = updates == 1 && !hasHistory
	s.events = slices.Grow(s.events, min(updates, maxEvents))
	for _, l := range p.lists {
		if l.key != "errors" {
			s.list(l, &p.contacts, nil)
		}
	}
	var only *Event // the value's only update
	if p.contacts.alone && len(s.events) == before+1 {
		one := s.events[before]
		only = &one
	}
	for _, l := range p.lists {
		if l.key == "errors" {
			s.list(l, &p.contacts, only)
		}
	}
	if len(s.events) == before {
		// Nothing to take apart: the value is the event.
		s.whole(v, &p.contacts)
		return
	}
	s.rest(&p, only)
}

// parts are what a value is made of.
type parts struct {
	hasMetadata bool
	contacts    contactList
	lists       []member
	left        []member
}

// sort tells a value's members apart. What standby has is one level lower.
func (s *splitter) sort(members []member, p *parts) {
	for i, m := range members {
		switch {
		case m.key == "messaging_product" && string(m.value) == `"whatsapp"`:
		case m.key == "metadata" && isLast(members, i) && m.value.isObject():
			if !s.metadata(m.value) {
				p.left = append(p.left, m)
			}
		case m.key == "contacts" && isLast(members, i) && m.value.isArray():
			s.contacts(m, &p.contacts)
		case m.key == FieldStandby && s.field == FieldStandby && m.value.isObject():
			inner := parts{hasMetadata: p.hasMetadata, contacts: p.contacts}
			s.field = "" // one level, not more
			s.sort(s.members(m.value), &inner)
			s.field = FieldStandby
			p.contacts, p.lists = inner.contacts, append(p.lists, inner.lists...)
			if len(inner.left) > 0 {
				p.left = append(p.left, member{m.key, m.name, object(inner.left)})
			}
		case m.value.isArray() && (isUpdateList(m.key) || p.hasMetadata && isName(m.key) && ofObjects(m.value)):
			p.lists = append(p.lists, m)
		default:
			p.left = append(p.left, m)
		}
	}
}

// rest adds what is left of a value whose lists have become events. What is said of a
// conversation belongs to the only update that it came with.
func (s *splitter) rest(p *parts, only *Event) {
	left := p.left[:0]
	for _, m := range p.left {
		if m.key != "conversation_context" || only == nil {
			left = append(left, m)
			continue
		}
		e := s.base(KindEvent, m.value)
		e.Type = m.key
		e.borrow(only)
		s.add(e)
	}
	unused := p.contacts.unused()
	if len(unused) > 0 {
		left = append(left, p.contacts.member(unused))
	}
	if len(left) == 0 {
		return
	}
	e := s.base(KindEvent, object(left))
	e.Type = "value"
	for _, c := range p.contacts.all { // those that no event could carry
		c.tell(s, &e)
	}
	s.add(e)
}

// borrow gives an event the person of the update alongside it.
func (e *Event) borrow(from *Event) {
	e.Contact, e.UserID, e.GroupID, e.WAMID, e.borrowed = from.Contact, from.UserID, from.GroupID, from.WAMID, true
	e.Time = cmp.Or(e.Time, from.Time)
}

// whole adds a value that is one event: of an account, or of what WhatsApp has not invented
// yet. Whatever of type, time, number and person it names is a fact. Its key is that of its
// bytes and what stands above them.
func (s *splitter) whole(v raw, contacts *contactList) {
	e := s.base(KindEvent, v)
	e.Type = accountEvent(v)
	s.identifyOther(&e)
	f := readFacts(v)
	if f.kind != "" {
		named := v.get(f.kind)
		f.phoneNumberID = cmp.Or(f.phoneNumberID, usable(named.get("phone_number_id")))
		f.display = cmp.Or(f.display, usable(named.get("display_phone_number")))
	}
	if s.field == "account_update" {
		f.display = cmp.Or(f.display, usable(v.get("phone_number")))
	}
	f.fill(&e)
	e.Type, e.Direction = cmp.Or(e.Type, f.kind), callDirection(f.call)
	s.number.display = e.DisplayPhoneNumber
	nameless := s.about(&e, []names{f.from, f.recipient, f.itself}, []names{f.inside}, []names{f.one()})
	s.proofs(&e, &f, f.from)
	contacts.settle(s, &e, nameless && e.GroupID == "")
	e.ContactPayload, e.borrowed = nil, false // it has its contacts inside
	for _, c := range contacts.all {
		c.tell(s, &e)
	}
	s.append(e)
}

// isName reports whether a list's name can stand beside its elements as their type.
func isName(key string) bool {
	return key != "" && len(key) <= maxIdentifier && utf8.ValidString(key) && plain(key)
}

// ofObjects reports whether a list is one of updates: of any other, order and repeats
// may matter, so it stays whole.
func ofObjects(list raw) bool {
	for e := range list.elements() {
		if !e.isObject() {
			return false
		}
	}
	return len(list) > len("[]")
}

func isUpdateList(key string) bool {
	return key == "messages" || key == "statuses" || key == "message_echoes"
}

// accountEvent returns what an account-level value calls its event.
func accountEvent(v raw) string {
	_, name := identifier(v.get("event"), nil)
	return name
}

func isLast(members []member, i int) bool {
	for _, m := range members[i+1:] {
		if m.key == members[i].key {
			return false
		}
	}
	return true
}

// metadata takes the phone number's facts and reports whether they are all there
// is, so that nothing of the object has to be kept elsewhere.
func (s *splitter) metadata(m raw) bool {
	complete := true
	seen := map[string]bool{}
	for _, f := range s.members(m) {
		if seen[f.key] {
			complete = false
		}
		seen[f.key] = true
		switch f.key {
		case "phone_number_id":
			s.number.raw = f.value
			s.number.key, s.number.id = identifier(f.value, nil)
			complete = complete && s.number.id != ""
		case "display_phone_number":
			_, s.number.display = identifier(f.value, nil)
			complete = complete && s.number.display != ""
		default:
			complete = false
		}
	}
	return complete
}

// contacts adds the elements of a value's contacts. WhatsApp sends no more of them than
// updates.
func (s *splitter) contacts(m member, all *contactList) {
	all.name = m.name
	for e := range m.value.elements() {
		if s.count(); s.tooMany || len(all.all) == maxEvents {
			s.tooMany = true
			return
		}
		all.all = append(all.all, &contact{raw: e})
	}
}
