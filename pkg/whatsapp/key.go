package whatsapp

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
