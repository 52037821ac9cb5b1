package whatsapp

import (
	"maps"
	"slices"
)

// Failure explains one of Meta's error codes: what it means for a message, and what to do.
type Failure struct {
	Code    int    `json:"code"`
	Meaning string `json:"meaning"`
	Do      string `json:"do"`
}

// Explain returns what a code of Meta's means. ok is false for codes that are not in the table.
func Explain(code int) (f Failure, ok bool) {
	words, ok := failures[code]
	if !ok && code >= 200 && code <= 299 { // one entry of Meta's table for all of them
		words, ok = permission, true
	}
	return Failure{code, words.meaning, words.do}, ok
}

// FailureCodes returns the codes that Explain knows, in order; of 200 to 299 none.
func FailureCodes() []int { return slices.Sorted(maps.Keys(failures)) }

type words struct{ meaning, do string }

// support is what remains to be done about faults that only the Gateway's operator can fix: the
// account's credentials are with Connexease.
const support = "Contact Connexease: the account's credentials and registration are theirs to renew."

var permission = words{"The Gateway has no permission for this.", support}

// failures are Meta's error codes that a send or a status can have (WhatsApp Cloud API: Error
// codes, https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes).
// The words are ours: what is to be done differs for callers who reach Meta through the Gateway.
var failures = map[int]words{
	// Authorization.
	0:   {"Meta could not authenticate the Gateway.", support},
	3:   {"The Gateway has no permission for this call.", support},
	10:  {"The Gateway has no permission for this, or it was withdrawn.", support},
	190: {"The Gateway's access token for the account has expired.", support},

	// Integrity.
	368:    {"The WhatsApp Business Account is restricted for violating a policy.", "See what was violated in WhatsApp Manager, and appeal there."},
	130497: {"The business may not message people in the recipient's country.", "Do not send to this country: see the WhatsApp Business Messaging Policy."},
	131031: {"The business account is locked for a policy, or its data could not be verified.", "See the account's health in WhatsApp Manager, and appeal there."},

	// Throttling.
	4:      {"The app sends more calls than Meta allows.", "Send more slowly; the queue does this by itself."},
	80007:  {"The WhatsApp Business Account sends more calls than Meta allows.", "Send more slowly; the queue does this by itself."},
	130429: {"The number's throughput was exceeded.", "Send more slowly; the queue does this by itself."},
	131048: {"The number may send less for now, because recipients blocked it or reported it as spam.", "See the number's quality in WhatsApp Manager, and send only what people asked for."},
	131056: {"Too many messages to this person in a short time.", "Wait before the next message to the same person; to others nothing changes."},
	133016: {"The number was registered or deregistered too often.", "Wait 72 hours; do not register it again in between."},

	// Sending.
	1:      {"Meta could not process the request, or had a fault.", "Look at the WhatsApp Business Platform status page, then at the message."},
	2:      {"Meta's service is down or overloaded.", "Send it again later under a new key."},
	33:     {"The business's number does not exist any more.", "Check the number in the Gateway's dashboard."},
	100:    {"A parameter is unknown, misspelt or too long.", "Compare the message with WhatsApp's reference of its type; the details name the parameter."},
	130472: {"WhatsApp withheld this marketing message, because the person is part of an experiment.", "Do not repeat it: it was not billed. Write when the person has written to you, or choose another channel."},
	131000: {"WhatsApp failed for a reason that it does not say.", "Send it again under a new key; if it stays, contact Connexease."},
	131005: {"The Gateway has no permission for this number.", support},
	131008: {"A required parameter is missing.", "Add the parameter that the details name."},
	131009: {"The value of a parameter is not valid.", "Correct the parameter that the details name; often the recipient's number."},
	131016: {"A service of WhatsApp is not available for the moment.", "Send it again later under a new key."},
	131021: {"The recipient is the sending number itself.", "Send to a different number."},
	131026: {"The message cannot be delivered: the number is not on WhatsApp, its owner has not accepted the current terms, has an outdated app, or has blocked the business.", "Check the number; ask the person on another channel to update WhatsApp and to write to you first. Repeating it does not help."},
	131030: {"The recipient is not on the list of a test number.", "Add the recipient to the list of the test number, or send from a real one."},
	131037: {"The number has no approved display name.", "Have the display name approved in WhatsApp Manager."},
	131042: {"The account's payment is not in order.", "Check the payment method, credit line, currency and time zone of the account in WhatsApp Manager."},
	131045: {"The number is not registered correctly.", support},
	131047: {"More than 24 hours have passed since the person's last message.", "Send an approved template, or wait until the person writes."},
	131049: {"WhatsApp withheld this marketing message, to keep the number of such messages to a person low.", "Do not repeat it at once: wait at least 24 hours, longer each time. Replies and service messages are not limited."},
	131050: {"The person has stopped marketing messages from this business.", "Send no marketing to this person until they resume it; other templates still arrive."},
	131051: {"The type of the message is not supported.", "Use a type of WhatsApp's reference."},
	131052: {"The media that the person sent could not be downloaded.", "Ask the person to send it again, or on another channel."},
	131053: {"The media of the message could not be uploaded.", "Check that the link is public, quick, and of a type and size that WhatsApp supports; the details say more."},
	131055: {"The method is not allowed for this number.", support},
	131057: {"The account is in maintenance mode, perhaps for a change of its throughput.", "Send it again in a few minutes under a new key."},

	// Templates and flows.
	132000: {"The number of parameters differs from that of the template.", "Give one parameter for each variable of the approved template."},
	132001: {"There is no approved template of this name in this language.", "Check name, language and approval in WhatsApp Manager; a fresh approval takes a few minutes."},
	132005: {"The template's text is too long once its parameters are filled in.", "Shorten the parameters."},
	132007: {"The template's content violates a policy.", "See why it was rejected in WhatsApp Manager, change it and have it approved again."},
	132008: {"The format of a parameter does not match the template.", "Compare each parameter with the approved template."},
	132012: {"A parameter has a different type or format from that of the template.", "Compare each parameter with the approved template: text, currency, date, media."},
	132015: {"The template is paused, because people blocked or reported it.", "Improve it and have it approved again, or wait until the pause ends; send a different template meanwhile."},
	132016: {"The template is disabled for good, because it was paused too often.", "Make a new template with different content."},
	132018: {"The template's parameters are not valid.", "Compare each parameter with the approved template; the details name it."},
	132068: {"The flow is blocked.", "Correct the flow in WhatsApp Manager."},
	132069: {"The flow is throttled: it was used too often within an hour.", "Correct the flow in WhatsApp Manager; until then it is sent rarely."},

	// Registration of the number.
	133000: {"An earlier deregistration of the number failed.", support},
	133004: {"Meta's registration server is not available.", "Send it again later under a new key."},
	133005: {"The PIN of the number is wrong.", support},
	133006: {"The number needs to be verified before it is registered.", support},
	133008: {"The PIN was tried too often.", support},
	133009: {"The PIN was tried too fast.", support},
	133010: {"The number is not registered on the platform.", support},
	133015: {"The number was deleted a moment ago.", "Wait at least five minutes, then register it again."},

	// Others.
	134011: {"The terms of WhatsApp Payments are not accepted.", "Accept them in WhatsApp Manager, where the details point to."},
	135000: {"The message failed because of its parameters.", "Compare the message with WhatsApp's reference of its type."},
}
