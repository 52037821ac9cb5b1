package whatsapp

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Split splits a webhook body into self-contained events. Nothing is refused and nothing is lost:
// anything that is not understood, or left over from a value, a change, an entry or the body,
// becomes an event too, and a body that is not a notification becomes one quarantined event. There
// is always at least one.
//
// The events' byte slices belong to Split's own copy of the body.
func Split(body []byte) []Event {
	var compact bytes.Buffer
	compact.Grow(len(body))
	if err := json.Compact(&compact, body); err != nil {
		return []Event{Quarantine(bytes.Clone(body), ReasonNotJSON)}
	}
	return SplitCompact(compact.Bytes())
}

// SplitCompact is Split for a body that json.Compact has accepted and written.
func SplitCompact(body []byte) []Event {
	s := splitter{}
	var left []member
	for _, m := range s.members(body) {
		switch {
		case m.key == "entry" && m.value.isArray():
			for e := range m.value.elements() {
				if s.count(); s.tooMany {
					break
				}
				s.entry(e)
			}
		case m.key == "object" && string(m.value) == `"whatsapp_business_account"`:
		default:
			left = append(left, m)
		}
	}
	if len(s.events) == 0 && !s.tooMany {
		return []Event{Quarantine(body, ReasonNotNotification)}
	}
	if len(left) > 0 {
		s.entry0()
		s.other("body", object(left))
	}
	if s.tooMany {
		return []Event{Quarantine(body, ReasonTooMany)}
	}
	return s.events
}

// Quarantine makes an event of a payload that cannot be stored as anything else.
func Quarantine(payload []byte, reason string) Event {
	return Event{
		Kind:    KindQuarantine,
		Reason:  reason,
		Payload: payload,
		Key:     Key{Field: keyQuarantine, Hash: hash(payload)},
	}
}

// splitter walks down a body and remembers the facts that apply to the events below.
type splitter struct {
	events  []Event
	nodes   int // members and elements looked at above the updates
	tooMany bool

	entryID, entryTime raw // as they came
	waba               string
	time               int64
	fieldKey, field    string
	fieldRaw           raw
	number             numberFacts
}

// count counts one more member or element above the updates. Past maxNodes splitting stops, and the
// body is kept whole.
func (s *splitter) count() {
	if s.nodes++; s.nodes > maxNodes {
		s.tooMany = true
	}
}

// members returns an object's members; none once there are too many.
func (s *splitter) members(r raw) (all []member) {
	for m := range r.members() {
		if s.count(); s.tooMany {
			return nil
		}
		all = append(all, m)
	}
	return all
}

type numberFacts struct {
	raw              raw // phone_number_id as it came
	key, id, display string
}

func (s *splitter) entry(e raw) {
	s.entry0()
	if !e.isObject() {
		s.other("entry", e)
		return
	}
	members := s.members(e)
	var left []member
	var changes []raw
	for i, m := range members {
		switch {
		case m.key == "id" && isLast(members, i) && s.identify(m.value):
		case m.key == "time" && isLast(members, i) && m.value.isInteger() && string(m.value) != "0":
			s.entryTime = m.value
			s.time, _ = strconv.ParseInt(string(m.value), 10, 64)
		case m.key == "changes" && m.value.isArray():
			changes = append(changes, m.value)
		default:
			left = append(left, m)
		}
	}
	before := len(s.events)
	for _, list := range changes {
		for c := range list.elements() {
			if s.count(); s.tooMany {
				return
			}
			s.change(c)
		}
	}
	s.change0()
	switch {
	case len(s.events) == before:
		s.other("entry", e)
	case len(left) > 0:
		s.other("entry", object(left))
	}
}

// entry0 forgets the facts of the last entry.
func (s *splitter) entry0() {
	s.entryID, s.entryTime, s.waba, s.time = nil, nil, "", 0
	s.change0()
}

func (s *splitter) identify(id raw) bool {
	s.entryID = id
	_, s.waba = identifier(id, nil)
	return s.waba != ""
}

// change0 forgets the facts of the last change.
func (s *splitter) change0() {
	s.fieldKey, s.field, s.fieldRaw, s.number = keyUnknown, "", nil, numberFacts{}
}

func (s *splitter) change(c raw) {
	s.change0()
	members := s.members(c)
	var left []member
	var values []raw
	for i, m := range members {
		switch {
		case m.key == "field" && isLast(members, i):
			s.fieldRaw = m.value
			s.fieldKey, s.field = identifier(m.value, []byte(keyUnknown))
			if s.field == "" {
				left = append(left, m)
			}
		case m.key == "value":
			values = append(values, m.value)
		default:
			left = append(left, m)
		}
	}
	if len(values) == 0 {
		s.other("change", c)
		return
	}
	for _, v := range values {
		s.value(v)
	}
	if len(left) > 0 {
		s.number = numberFacts{}
		s.other("change", object(left))
	}
}

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
	if e.Time == 0 {
		e.Time = from.Time
	}
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
		f.phoneNumberID = first(f.phoneNumberID, usable(named.get("phone_number_id")))
		f.display = first(f.display, usable(named.get("display_phone_number")))
	}
	if s.field == "account_update" {
		f.display = first(f.display, usable(v.get("phone_number")))
	}
	f.fill(&e)
	e.Type, e.Direction = first(e.Type, f.kind), callDirection(f.call)
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

// base returns an event with the facts of everything above it.
func (s *splitter) base(kind Kind, payload raw) Event {
	return Event{
		Kind: kind, Field: s.field, WABAID: s.waba, EntryTime: s.time,
		PhoneNumberID: s.number.id, DisplayPhoneNumber: s.number.display,
		Payload: payload,
		Key:     Key{Field: s.fieldKey, Number: s.number.key},
	}
}

// other adds an event that has no identifier of its own. What tells two of them
// with equal bytes apart is the account, its time and the phone number, so these
// are part of the hash, and so is its type.
func (s *splitter) other(kind string, payload raw) {
	e := s.base(KindEvent, payload)
	e.Type = kind
	s.add(e)
}

// add gives an event its key and keeps it. The person is part of the key if only its neighbours say
// who that is: with other neighbours it is a different event.
func (s *splitter) add(e Event) {
	switch {
	case e.Kind == KindEvent:
		s.identifyOther(&e)
	case e.borrowed:
		e.Key.Hash = hash(e.Payload, []byte(e.Contact))
	default:
		e.Key.Hash = hash(e.Payload)
	}
	s.append(e)
}

func (s *splitter) append(e Event) {
	if len(s.events) == maxEvents {
		s.tooMany = true
		return
	}
	if e.Kind == KindEvent && e.Time == 0 && s.entryTime != nil {
		e.Time = milliseconds(s.entryTime)
	}
	s.events = append(s.events, e)
}

// identifyOther gives an event without an identifier its key. Parts of a hash are told apart
// by line breaks, which none of them has. An entry's id that is a string, its time, and a
// number's id that is a string can each be absent and are still told apart by their form and
// count: 3 to 5 parts. Where one has another form, or where the field's name would be the key
// of something else, the parts are 7, each in its place, the field among them.
func (s *splitter) identifyOther(e *Event) {
	regular := s.entryID.isString() && (s.number.raw == nil || s.number.raw.isString())
	switch e.Key.Field {
	case keyQuarantine: // the hash of a body in quarantine is of bytes that may be anything
		e.Key.Field, regular = hash(s.fieldRaw), false
	case s.field: // a name as it came
		regular = regular && s.field != keyUnknown
	case keyUnknown: // none
	default: // a hash, which another field may have as its name
		regular = false
	}
	if !regular || e.borrowed {
		parts := [][]byte{[]byte(e.Kind), s.entryID, s.entryTime, s.number.raw, s.fieldRaw, []byte(e.Type), e.Payload}
		if e.borrowed {
			parts = append(parts, []byte(e.Contact), []byte(e.GroupID), []byte(e.WAMID))
		}
		e.Key.Hash = hash(parts...)
		return
	}
	context := [][]byte{}
	for _, c := range []raw{s.entryID, s.entryTime, s.number.raw} {
		if c != nil {
			context = append(context, c)
		}
	}
	e.Key.Hash = hash(append(context, []byte(e.Type), e.Payload)...)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
