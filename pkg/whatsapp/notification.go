package whatsapp

import (
	"bytes"
	"encoding/json"
	"strconv"
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
