package connexease

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
)

// text returns a string, or a number as a string: Meta accepts both.
func text(m map[string]any, name string) string {
	switch v := m[name].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

func isReceipt(m map[string]any) bool {
	return text(m, "status") == "read" || m["typing_indicator"] != nil
}

// metaRefuses returns Meta's error message for a body that it refuses, or "" (WhatsApp Cloud API:
// Error codes).
func metaRefuses(m map[string]any) string {
	to, recipient := text(m, "to"), text(m, "recipient")
	kind := cmp.Or(text(m, "type"), "text")
	digits, plus := phone(to)
	least := 6 // Meta prepends the business's country code to a local number
	if plus {
		least = 7
	}
	switch {
	case text(m, "messaging_product") != "whatsapp":
		return "(#100) The parameter messaging_product is required."
	case isReceipt(m):
		if text(m, "message_id") == "" {
			return "(#100) The parameter message_id is required."
		}
	case to == "" && recipient == "":
		return "(#100) The parameter to is required."
	case isIndividual(m) && digits != "" && (len(digits) < least || len(digits) > 15):
		return "(#131009) Parameter value is not valid: invalid recipient."
	case m[kind] == nil:
		return "(#100) Invalid parameter: an object named as the type is required."
	}
	return ""
}

func isIndividual(m map[string]any) bool {
	kind := text(m, "recipient_type")
	return kind == "" || kind == "individual"
}

// phone returns the digits of a number in a documented form, and whether a plus precedes them; no
// digits for anything else (WhatsApp Cloud API: Phone number formats).
func phone(to string) (digits string, plus bool) {
	digits, plus = strings.CutPrefix(strings.NewReplacer(" ", "", "-", "", "(", "", ")", "").Replace(to), "+")
	if strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return digits, plus
}

// waID returns WhatsApp's id of the recipient in to.
func waID(to string) string {
	if digits, _ := phone(to); digits != "" {
		return digits
	}
	return to
}

var userIDForm = regexp.MustCompile(`^[A-Za-z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)

// groupIDStart is base64 of "capi_group:".
const groupIDStart = "Y2FwaV9ncm91cDo"

// undeliverable says why an accepted message never arrives and has no callbacks; "" if it arrives
// (WhatsApp Cloud API: Business-scoped user IDs; Groups API).
func undeliverable(m map[string]any) string {
	switch to := text(m, "to"); {
	case !isIndividual(m):
		return ""
	case userIDForm.MatchString(to):
		return "to has a business-scoped user id, which belongs in recipient: WhatsApp accepts it and never delivers it"
	case strings.HasPrefix(to, groupIDStart):
		return "to has the id of a group, which needs recipient_type group"
	}
	return ""
}

// taking is Meta's response to an accepted message, with its members in Meta's order.
type taking struct {
	Product  string       `json:"messaging_product"`
	Contacts []recipient  `json:"contacts,omitempty"`
	Messages []identified `json:"messages"`
}

type recipient struct {
	Input  string `json:"input"`
	WaID   string `json:"wa_id,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

type identified struct {
	ID string `json:"id"`
}

// sent returns the response for an accepted message. The sandbox's has no contacts.
func sent(m map[string]any, wamid string, isFake bool) taking {
	t := taking{Product: "whatsapp", Messages: []identified{{wamid}}}
	if isFake {
		return t
	}
	if to := text(m, "to"); to != "" {
		t.Contacts = []recipient{{Input: to, WaID: waID(to)}}
	} else {
		user := text(m, "recipient")
		t.Contacts = []recipient{{Input: user, UserID: user}}
	}
	return t
}

// wamid returns an id in the form of real ones, which include the recipient's number. It expects
// the lock to be held.
func (s *Server) wamid(to string, isFake bool) string {
	if isFake {
		return fmt.Sprintf("wamid.FAKE_%013d", s.config.Rand.Int64N(1e13))
	}
	number := waID(to)
	number = number[:min(len(number), 32)]
	b := append([]byte{0x1c, 0x18, byte(len(number))}, number...)
	b = append(b, 0x15, 0x02, 0x00, 0x11, 0x18, 0x12)
	b = fmt.Appendf(b, "%018X", s.config.Rand.Uint64())
	return "wamid." + base64.StdEncoding.EncodeToString(append(b, 0))
}

// sameness returns equal values for requests with the same message. Opaque data of the form
// msg_<id>.<attempt> identifies a message by its id; the attempt differs by design.
func sameness(m map[string]any, isFake, mmlite bool) string {
	copied := map[string]any{"\x00query": []bool{isFake, mmlite}}
	maps.Copy(copied, m)
	if opaque := text(m, "biz_opaque_callback_data"); strings.HasPrefix(opaque, "msg_") {
		copied["biz_opaque_callback_data"], _, _ = strings.Cut(opaque, ".")
	}
	b, _ := json.Marshal(copied)
	return string(b)
}
