package whatsapp

import (
	"cmp"
	"strings"
)

// names holds the phone number (or its substitute) and the business-scoped user id of one person.
type names struct{ phone, user string }

// facts holds the results of one pass over an update.
type facts struct {
	id, status                  raw
	from, to, recipient, itself names
	participant                 names // of a group, to whom a status belongs
	inside                      names // of the object that says whom it is about
	change                      names // what else a system message, or an id's update, calls the person
	previous                    string
	parent, previousParent      string // the user id of a parent company's, and that before
	added, removed              raw    // participants of a group
	group, kind, code, opaque   string
	toGroup                     bool
	call                        string // direction of a call
	fromMe                      bool
	time                        int64
	replyTo, context, media     string
	referral                    string
	detail                      string
	category, value             string // of a preference
	contents                    []content
	errors, pricing             raw
	phoneNumberID, display      string // of the business
	nested                      bool   // inside an echo's message
}

// named are the facts that are what one member says, where that can be used unchanged.
var named = map[string]func(*facts) *string{
	"from":                          func(f *facts) *string { return &f.from.phone },
	"from_user_id":                  func(f *facts) *string { return &f.from.user },
	"to":                            func(f *facts) *string { return &f.to.phone },
	"to_user_id":                    func(f *facts) *string { return &f.to.user },
	"recipient_id":                  func(f *facts) *string { return &f.recipient.phone },
	"recipient_user_id":             func(f *facts) *string { return &f.recipient.user },
	"recipient_participant_id":      func(f *facts) *string { return &f.participant.phone },
	"recipient_participant_user_id": func(f *facts) *string { return &f.participant.user },
	"wa_id":                         func(f *facts) *string { return &f.itself.phone },
	"group_id":                      func(f *facts) *string { return &f.group },
	"direction":                     func(f *facts) *string { return &f.call },
	"category":                      func(f *facts) *string { return &f.category },
	"value":                         func(f *facts) *string { return &f.value },
}

// usable returns an identifier that can be used unchanged.
func usable(r raw) string {
	_, s := identifier(r, nil)
	return s
}

func readFacts(r raw) facts {
	var f facts
	f.read(r)
	return f
}

// read collects the facts of an object; those inside an echo's message belong to the echo.
func (f *facts) read(r raw) {
	for m := range r.members() {
		f.member(m)
	}
}

func (f *facts) member(m member) {
	if isContent(m.key) {
		f.content(m)
		return
	}
	if f.nested && (m.key == "id" || m.key == "timestamp" || m.key == "message") {
		return
	}
	if into := named[m.key]; into != nil {
		*into(f) = usable(m.value)
		return
	}
	switch m.key {
	case "id":
		f.id = m.value
	case "status":
		f.status = m.value
	case "user_id":
		if m.value.isObject() { // an id's update
			f.itself.user, f.previous = usable(m.value.get("current")), usable(m.value.get("previous"))
		} else {
			f.itself.user = usable(m.value)
		}
	case "from_parent_user_id", "to_parent_user_id", "recipient_parent_user_id", "parent_user_id":
		if m.value.isObject() { // an id's update
			f.parent, f.previousParent = usable(m.value.get("current")), usable(m.value.get("previous"))
		} else {
			f.parent = cmp.Or(usable(m.value), f.parent)
		}
	case "recipient_type":
		f.toGroup = string(m.value) == `"group"`
	case "type":
		f.kind = cmp.Or(usable(m.value), f.kind)
	case "timestamp":
		f.time = milliseconds(m.value)
	case "metadata": // of an element, as in an app's state
		if f.time == 0 {
			f.time = milliseconds(m.value.get("timestamp"))
		}
	case "history_context":
		f.fromMe = string(m.value.get("from_me")) == "true"
	case "biz_opaque_callback_data":
		f.opaque, _ = m.value.text()
	case "context":
		f.context = cmp.Or(usable(m.value.get("id")), usable(m.value.get("message_id")))
	case "referral":
		if m.value.isObject() {
			f.referral = cmp.Or(usable(m.value.get("source_type")), "unknown")
		}
	case "sender", "contact":
		f.inside = namesIn(m.value)
	case "recipient":
		f.phoneNumberID = cmp.Or(f.phoneNumberID, usable(m.value.get("phone_number_id")))
		f.display = cmp.Or(f.display, usable(m.value.get("display_phone_number")))
	case "phone_number_id":
		f.phoneNumberID = cmp.Or(usable(m.value), f.phoneNumberID)
	case "display_phone_number":
		f.display = cmp.Or(usable(m.value), f.display)
	case "added_participants":
		f.added = m.value
	case "removed_participants":
		f.removed = m.value
	case "message": // an echo in standby has what was sent one level lower
		if m.value.isObject() {
			f.nested = true
			f.read(m.value)
			f.nested = false
		}
	case "detail":
		f.detail, _ = m.value.text()
	case "errors":
		f.errors = m.value
	case "pricing":
		f.pricing = m.value
	case "code":
		if m.value.isInteger() {
			f.code = string(m.value)
		}
	}
}

func (f *facts) content(m member) {
	if len(f.contents) < mostContents {
		f.contents = append(f.contents, content{m.key, m.value})
	}
	switch m.key {
	case "reaction":
		f.replyTo = usable(m.value.get("message_id"))
	case "edit":
		f.replyTo = usable(m.value.get("original_message_id"))
		for inner := range m.value.get("message").members() {
			if isMedia(inner.key) {
				f.media = usable(inner.value.get("id"))
			}
		}
	case "revoke":
		f.replyTo = usable(m.value.get("original_message_id"))
	case "system":
		f.system(m.value)
	}
	if isMedia(m.key) {
		f.media = usable(m.value.get("id"))
	}
}

// system reads the names of a system message: the person's new ones, and the user id before. Only a
// change proves that they belong to the sender.
func (f *facts) system(s raw) {
	f.inside = names{usable(s.get("wa_id")), usable(s.get("user_id"))}
	kind := usable(s.get("type"))
	if strings.HasPrefix(kind, "user_changed_") || strings.HasPrefix(kind, "customer_changed_") {
		f.change = names{cmp.Or(f.inside.phone, usable(s.get("new_wa_id"))), f.inside.user}
		f.previous = usable(s.get("previous_user_id"))
	}
}

func isMedia(key string) bool {
	switch key {
	case "image", "video", "audio", "voice", "document", "sticker":
		return true
	}
	return false
}

// namesIn reads the names of a person who is an object of their own.
func namesIn(r raw) (n names) {
	for m := range r.members() {
		switch m.key {
		case "phone_number", "wa_id":
			n.phone = cmp.Or(n.phone, usable(m.value))
		case "user_id", "recipient_user_id":
			n.user = cmp.Or(n.user, usable(m.value))
		case "input":
			if v := usable(m.value); IsUserID(v) {
				n.user = cmp.Or(n.user, v)
			} else {
				n.phone = cmp.Or(n.phone, v)
			}
		}
	}
	return n
}

// fill sets the facts that do not depend on whom an update is about.
func (f *facts) fill(e *Event) {
	e.Time = f.time
	e.Text = short(cmp.Or(readable(f.kind, f.contents), f.detail, errorTitleOf(e.Kind, f.errors)))
	e.ErrorCode = cmp.Or(f.code, firstErrorCode(f.errors))
	e.GroupID, e.MediaID, e.Referral = f.group, f.media, f.referral
	e.ReplyTo = cmp.Or(f.replyTo, f.context)
	e.PhoneNumberID, e.DisplayPhoneNumber = cmp.Or(e.PhoneNumberID, f.phoneNumberID), cmp.Or(e.DisplayPhoneNumber, f.display)
}

// preference returns what a user preference says about marketing messages; empty for one of a
// different category or value (WhatsApp Business Platform: user_preferences webhook).
func (f *facts) preference() string {
	value := strings.ToLower(f.value)
	if f.category != "" && f.category != "marketing_messages" || value != Stop && value != Resume {
		return ""
	}
	return value
}

// errorTitleOf returns what a message that cannot be shown says instead.
func errorTitleOf(k Kind, errors raw) string {
	if k != KindMessage {
		return ""
	}
	return errorTitle(errors)
}

// firstErrorCode returns the code of the first error that has one.
func firstErrorCode(errors raw) string {
	for e := range errors.elements() {
		code := e.get("code")
		if code.isInteger() {
			return string(code)
		}
		if s := usable(code); s != "" {
			return s
		}
	}
	return ""
}
