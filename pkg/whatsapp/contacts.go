package whatsapp

import "slices"

// contact is one element of a value's contacts.
type contact struct {
	raw          raw
	waID, userID string // as they came
	used         bool   // it is stored alongside an event
	told         bool   // its names are with an event
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
	seen := make(map[string]bool, len(l.all))
	l.all = slices.DeleteFunc(l.all, func(c *contact) bool { // duplicates count as one
		again := seen[string(c.raw)]
		seen[string(c.raw)] = true
		return again
	})
	for _, c := range slices.Backward(l.all) { // the first of equals wins
		for m := range c.raw.members() {
			switch m.key {
			case "wa_id":
				_, c.waID = identifier(m.value, nil)
				l.byID[fold(Canonical(c.waID))] = c
			case "user_id":
				_, c.userID = identifier(m.value, nil)
				l.byID[c.userID] = c
			}
		}
	}
	delete(l.byID, "")
}

// settle attaches the contact that belongs to an event. An event that names a person is about that
// person, regardless of its neighbours; one that names no person is about the value's only contact.
func (l *contactList) settle(s *splitter, e *Event, nameless bool) {
	var found *contact
	for _, name := range []string{e.Contact, e.UserID} {
		if c := l.byID[fold(name)]; c != nil && found == nil {
			found = c
		}
	}
	switch {
	case found != nil:
		if SameNumber(found.waID, e.Contact) {
			e.alias(s, found.waID, e.Contact)
		}
	case len(l.all) != 1:
		return
	case nameless:
		found = l.all[0]
		e.Contact, e.UserID = s.person(found.waID, found.userID)
		e.borrowed = e.Contact != ""
	case l.alone && e.Contact != "":
		found = l.all[0]
	default:
		return
	}
	if len(found.raw) <= maxBeside {
		e.ContactPayload, found.used = found.raw, true
		found.tell(s, e)
	}
}

// tell adds both names of a contact to an event, once.
func (c *contact) tell(s *splitter, e *Event) {
	if !c.told {
		c.told = true
		e.alias(s, c.waID, c.userID)
	}
}

// unused returns the contacts that belong to no event, as their original member.
func (l *contactList) unused() (rest []*contact) {
	for _, c := range l.all {
		if !c.used {
			rest = append(rest, c)
		}
	}
	return rest
}

func (l *contactList) member(all []*contact) member {
	elements := make([]raw, len(all))
	for i, c := range all {
		elements[i] = c.raw
	}
	return member{key: "contacts", name: l.name, value: array(elements)}
}

// maxAliases bounds the pairs of names that one event carries; a value's contacts are as many
// as its updates, so only a list of participants can have more.
const maxAliases = 100

// alias records two names of one person, unless one is the business's own.
func (e *Event) alias(s *splitter, a, b string) {
	p, ok := pair(a, b)
	if !ok || s.isOurs(p[0]) || s.isOurs(p[1]) || len(e.Aliases) == maxAliases || slices.Contains(e.Aliases, p) {
		return
	}
	e.Aliases = append(e.Aliases, p)
}
