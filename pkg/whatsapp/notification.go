package whatsapp

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Split takes a webhook body apart into events, each on its own. Nothing is
// refused and nothing lost: what is not understood, or left over of a value, a
// change, an entry or the body, becomes an event too, and a body that is no
// notification becomes one quarantined event. There is always at least one.
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
		s.other("body", object(left), nil)
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

// splitter walks down a body and remembers what belongs to the events below.
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

// count counts one more member or element above the updates. Past maxNodes nothing is
// taken apart any more: the body is kept whole.
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
		s.other("entry", e, nil)
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
		s.other("entry", e, nil)
	case len(left) > 0:
		s.other("entry", object(left), nil)
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
		s.other("change", c, nil)
		return
	}
	for _, v := range values {
		s.value(v)
	}
	if len(left) > 0 {
		s.number = numberFacts{}
		s.other("change", object(left), nil)
	}
}

// value splits the value of a change. Lists are taken apart where the value is
// about a phone number, which its metadata tells, and wherever they are called as
// messages and statuses are; an account's value is one event as a whole.
func (s *splitter) value(v raw) {
	s.number = numberFacts{}
	members := s.members(v)
	var left []member
	var lists []member
	var contacts contactList
	hasMetadata := slices.ContainsFunc(members, func(m member) bool {
		return m.key == "metadata" && m.value.isObject()
	})
	for i, m := range members {
		switch {
		case m.key == "messaging_product" && string(m.value) == `"whatsapp"`:
		case m.key == "metadata" && isLast(members, i) && m.value.isObject():
			if !s.metadata(m.value) {
				left = append(left, m)
			}
		case m.key == "contacts" && isLast(members, i) && m.value.isArray():
			s.contacts(m, &contacts)
		case m.value.isArray() && (isUpdateList(m.key) || hasMetadata && isName(m.key) && ofObjects(m.value)):
			lists = append(lists, m)
		default:
			left = append(left, m)
		}
	}
	if s.tooMany {
		return
	}
	contacts.index()

	before := len(s.events)
	updates := 0
	for _, l := range lists {
		for range l.value.elements() {
			updates++
		}
	}
	contacts.alone = updates == 1 && !slices.ContainsFunc(lists, func(l member) bool { return l.key == "history" })
	s.events = slices.Grow(s.events, min(updates, maxEvents))
	for _, l := range lists {
		s.list(l, &contacts)
	}
	if len(s.events) == before {
		// Nothing to take apart: the value is the event.
		s.other(accountEvent(v), v, v)
		return
	}
	if rest, ok := contacts.unused(); ok {
		left = append(left, rest)
	}
	if len(left) > 0 {
		s.other("value", object(left), nil)
	}
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

// list makes events of the elements of a value's list.
func (s *splitter) list(l member, contacts *contactList) {
	for e := range l.value.elements() {
		switch {
		case s.tooMany:
			return
		case !e.isObject():
			s.other(l.key, e, nil)
		case l.key == "messages":
			s.message(e, In, "", contacts)
		case l.key == "message_echoes":
			s.message(e, Out, "", contacts)
		case l.key == "statuses":
			s.status(e, contacts)
		case l.key == "history":
			s.history(e, contacts)
		default:
			s.element(l.key, e, contacts)
		}
	}
}

// history takes the messages out of a chunk of history, thread by thread; the
// chunk without them (phase, progress, thread ids) stays an event of its own.
func (s *splitter) history(chunk raw, contacts *contactList) {
	var kept []member
	for _, m := range s.members(chunk) {
		if m.key == "threads" && m.value.isArray() {
			var threads []raw
			for t := range m.value.elements() {
				if s.count(); s.tooMany {
					return
				}
				threads = append(threads, s.thread(t, contacts))
			}
			m.value = array(threads)
		}
		kept = append(kept, m)
	}
	s.other("history", object(kept), nil)
}

func (s *splitter) thread(t raw, contacts *contactList) raw {
	if !t.isObject() {
		return t
	}
	_, peer := identifier(t.get("id"), nil)
	var kept []member
	for _, m := range s.members(t) {
		if m.key == "messages" && m.value.isArray() {
			var others []raw
			for e := range m.value.elements() {
				if s.count(); s.tooMany {
					return nil
				}
				if e.isObject() {
					s.message(e, "", peer, contacts)
				} else {
					others = append(others, e)
				}
			}
			if len(others) == 0 {
				continue
			}
			m.value = array(others)
		}
		kept = append(kept, m)
	}
	return object(kept)
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
// are part of the hash, and so is its type. facts, where given, is searched for a time.
func (s *splitter) other(kind string, payload, facts raw) {
	e := s.base(KindEvent, payload)
	e.Type = kind
	if t := facts.get("timestamp"); t != nil {
		e.Time = milliseconds(t)
	}
	s.add(e)
}

// element adds an event of a list that is neither messages nor statuses.
func (s *splitter) element(list string, r raw, contacts *contactList) {
	f := readFacts(r)
	e := s.base(KindEvent, r)
	e.Type = list
	f.fill(&e)
	e.Contact = contacts.contactOf(&e, f.waID, s.peer(f), f.userID, f.fromUser, f.toUser)
	s.add(e)
}

func (s *splitter) add(e Event) {
	if len(s.events) == maxEvents {
		s.tooMany = true
		return
	}
	if e.Kind == KindEvent {
		if e.Time == 0 && s.entryTime != nil {
			e.Time = milliseconds(s.entryTime)
		}
		s.identifyOther(&e)
	} else {
		e.Key.Hash = hash(e.Payload)
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
	if !regular {
		e.Key.Hash = hash([]byte(e.Kind), s.entryID, s.entryTime, s.number.raw, s.fieldRaw, []byte(e.Type), e.Payload)
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

// peer returns the other side of a message or call: whoever is not our number.
func (s *splitter) peer(f facts) string {
	if f.from != "" && !s.isOurs(f.from) {
		return f.from
	}
	return first(f.to, f.from)
}

// isOurs compares digits only: display_phone_number comes with and without spaces.
func (s *splitter) isOurs(number string) bool {
	own := digits(s.number.display)
	return own != "" && own == digits(number)
}

func digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}

func (s *splitter) message(r raw, d Direction, thread string, contacts *contactList) {
	f := readFacts(r)
	e := s.base(KindMessage, r)
	f.fill(&e)
	e.Type = f.kind
	e.Key.Message, e.WAMID = identifier(f.id, r)
	if e.Key.Number == "" {
		e.Key.Number = hash(nil)
	}
	if d == "" { // history holds both directions
		d = In
		if s.isOurs(f.from) {
			d = Out
		}
	}
	e.Direction, e.Thread = d, thread
	number, user := f.from, f.fromUser
	if d == Out {
		number, user = f.to, f.toUser
	}
	e.Contact = contacts.contactOf(&e, number, thread, user, f.userID)
	s.add(e)
}

func (s *splitter) status(r raw, contacts *contactList) {
	f := readFacts(r)
	e := s.base(KindStatus, r)
	f.fill(&e)
	e.Type = f.kind
	e.Direction = Out
	e.Key.Message, e.WAMID = identifier(f.id, r)
	e.Key.Status, e.Status = identifier(f.status, nil)
	e.Opaque = f.opaque
	e.Contact = contacts.contactOf(&e, f.recipient, f.userID)
	s.add(e)
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
