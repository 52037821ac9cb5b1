package whatsapp

import "cmp"

// isOurs reports whether a name is the business's own number, in whichever form.
func (s *splitter) isOurs(name string) bool { return SameNumber(s.number.display, name) }

// person returns the canonical name of the first person who is not the business, and the
// person's user id where both are known.
func (s *splitter) person(phone, user string) (contact, userID string) {
	if phone != "" && !s.isOurs(phone) {
		contact = Canonical(phone)
	}
	user = Canonical(user)
	if contact == "" || contact == user {
		return user, ""
	}
	return contact, user
}

// about sets whom an update is about: a number of the first group of names that has any, else
// its user id. It reports whether there is no name at all.
func (s *splitter) about(e *Event, groups ...[]names) (nameless bool) {
	nameless = true
	for _, group := range groups {
		var phone, user string
		for _, n := range group {
			nameless = nameless && n == names{}
			if phone == "" && !s.isOurs(n.phone) {
				phone = n.phone
			}
			user = cmp.Or(user, n.user)
		}
		switch {
		case e.Contact == "":
			e.Contact, e.UserID = s.person(phone, user)
		case e.UserID == "" && IsPhone(e.Contact):
			e.UserID = Canonical(user)
		}
	}
	return nameless
}

// proofs remembers which names an update proves to be one person's.
func (s *splitter) proofs(e *Event, f *facts, who names) {
	own := cmp.Or(who.phone, who.user)
	e.alias(s, who.phone, who.user)
	e.alias(s, f.itself.phone, f.itself.user)
	e.alias(s, f.inside.phone, f.inside.user)
	e.alias(s, f.participant.phone, f.participant.user)
	e.alias(s, own, f.change.phone)
	e.alias(s, own, f.change.user)
	e.alias(s, cmp.Or(f.change.user, f.itself.user, own), f.previous)
	e.alias(s, cmp.Or(who.user, f.itself.user, own), f.parent)
	e.alias(s, f.parent, f.previousParent)
	for _, list := range []raw{f.added, f.removed} {
		for p := range list.elements() {
			if len(e.Aliases) == maxAliases {
				return
			}
			n := namesIn(p)
			e.alias(s, n.phone, n.user)
		}
	}
}

// participant returns the one person who was added to a group or removed from it.
func (f *facts) one() (n names) {
	count := 0
	for _, list := range []raw{f.added, f.removed} {
		for p := range list.elements() {
			if count++; count > 1 {
				return names{}
			}
			n = namesIn(p)
		}
	}
	return n
}

// callDirection reads who called whom (WhatsApp Business Platform: Calling API, webhooks).
func callDirection(direction string) Direction {
	switch direction {
	case "USER_INITIATED":
		return In
	case "BUSINESS_INITIATED":
		return Out
	}
	return ""
}

// isEcho reports whether a field's messages are the business's own.
func isEcho(field string) bool { return field == "smb_message_echoes" || field == "message_echoes" }

// message adds a message of a list. Its direction is what the list or the field says; the
// last resort is that it is from the business's own number.
func (s *splitter) message(r raw, echo bool, contacts *contactList) {
	f := readFacts(r)
	d := In
	if echo || isEcho(s.field) || s.isOurs(f.from.phone) {
		d = Out
	}
	s.addMessage(r, &f, d, nil, contacts)
}

// thread is a conversation in a chunk of history: its id, and what else names its person.
type thread struct {
	id      string
	context names
}

func (t *thread) person() names { return names{cmp.Or(t.id, t.context.phone), t.context.user} }

// has reports whether one of the names is the thread's person's.
func (t *thread) has(n names) bool {
	for _, mine := range []string{t.id, t.context.phone, t.context.user} {
		if mine != "" && (mine == n.phone || mine == n.user || SameNumber(mine, n.phone)) {
			return true
		}
	}
	return false
}

// historical adds a message of a thread of history. One is from the customer where it is from
// the thread's person.
func (s *splitter) historical(r raw, thread *thread, contacts *contactList) {
	f := readFacts(r)
	d := Out
	switch {
	case f.fromMe:
	case thread.has(f.from):
		d = In
	case thread.has(f.to):
	case f.from.phone == "": // no number to compare
		if f.from.user == "" || s.isOurs(f.to.phone) {
			d = In
		}
	case thread.person() == names{} && !s.isOurs(f.from.phone):
		d = In
	}
	s.addMessage(r, &f, d, thread, contacts)
}

func (s *splitter) addMessage(r raw, f *facts, d Direction, t *thread, contacts *contactList) {
	e := s.base(KindMessage, r)
	f.fill(&e)
	e.Type, e.Direction = f.kind, d
	e.Key.Message, e.WAMID = identifier(f.id, r)
	if e.Key.Number == "" {
		e.Key.Number = hash(nil)
	}
	who := f.from
	if d == Out {
		who = f.to
		if f.toGroup || f.group != "" && f.to.phone == f.group {
			e.GroupID, who.phone = cmp.Or(f.group, f.to.phone), ""
		}
	}
	nameless := s.about(&e, []names{who, f.itself}, []names{f.inside})
	s.proofs(&e, f, who)
	if t != nil {
		e.Thread = t.id
		e.alias(s, t.context.phone, t.context.user)
		if e.Contact == "" {
			nameless = s.about(&e, []names{t.person()})
		}
	}
	contacts.settle(s, &e, nameless && e.GroupID == "")
	s.add(e)
}

func (s *splitter) status(r raw, contacts *contactList) {
	f := readFacts(r)
	e := s.base(KindStatus, r)
	f.fill(&e)
	e.Type, e.Direction = f.kind, Out
	e.Key.Message, e.WAMID = identifier(f.id, r)
	e.Key.Status, e.Status = identifier(f.status, nil)
	e.Opaque, e.Pricing = f.opaque, pricing(f.pricing)
	who := f.recipient
	if f.toGroup { // the recipient is the group, the person a participant of it
		e.GroupID, who.phone = cmp.Or(f.group, f.recipient.phone), ""
	}
	nameless := s.about(&e, []names{f.participant, who, f.itself})
	s.proofs(&e, &f, who)
	contacts.settle(s, &e, nameless && e.GroupID == "")
	s.add(e)
}

// element adds an event of a list that is neither messages nor statuses. only is the update
// that an error stands beside.
func (s *splitter) element(list string, r raw, contacts *contactList, only *Event) {
	f := readFacts(r)
	e := s.base(KindEvent, r)
	e.Type = list
	f.fill(&e)
	if e.GroupID == "" && f.toGroup {
		e.GroupID, f.recipient.phone = f.recipient.phone, ""
	}
	who, other := f.from, f.to
	if e.Direction = callDirection(f.call); e.Direction == Out {
		who, other = f.to, f.from
	}
	if s.isOurs(who.phone) || who == (names{}) && !s.isOurs(other.phone) {
		who = other
	}
	nameless := s.about(&e, []names{who, f.recipient, f.itself}, []names{f.inside}, []names{f.one()})
	if f.group != "" || f.added != nil || f.removed != nil || list == "errors" || list == "history" {
		nameless = false
	}
	s.proofs(&e, &f, who)
	if only != nil && e.Contact == "" {
		e.borrow(only)
	}
	contacts.settle(s, &e, nameless)
	if list == "user_preferences" {
		e.Consent = f.preference()
	}
	s.add(e)
}
