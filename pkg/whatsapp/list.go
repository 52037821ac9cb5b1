package whatsapp

// list makes events of the elements of a value's list.
func (s *splitter) list(l member, contacts *contactList, only *Event) {
	for e := range l.value.elements() {
		switch {
		case s.tooMany:
			return
		case !e.isObject():
			s.other(l.key, e)
		case l.key == "messages":
			s.message(e, false, contacts)
		case l.key == "message_echoes":
			s.message(e, true, contacts)
		case l.key == "statuses":
			s.status(e, contacts)
		case l.key == "history":
			s.history(e, contacts)
		default:
			s.element(l.key, e, contacts, only)
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
	e := s.base(KindEvent, object(kept))
	e.Type, e.ErrorCode = "history", firstErrorCode(chunk.get("errors")) // the business may not share it
	s.add(e)
}

func (s *splitter) thread(t raw, contacts *contactList) raw {
	if !t.isObject() {
		return t
	}
	context := t.get("context")
	about := thread{usable(t.get("id")), names{usable(context.get("wa_id")), usable(context.get("user_id"))}}
	var kept []member
	for _, m := range s.members(t) {
		if m.key == "messages" && m.value.isArray() {
			var others []raw
			for e := range m.value.elements() {
				if s.count(); s.tooMany {
					return nil
				}
				if e.isObject() {
					s.historical(e, &about, contacts)
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
