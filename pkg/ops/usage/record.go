package usage

import (
	"cmp"
	"strings"

	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// record is a send, a status, or a message that a send's attempt became.
type record struct {
	Key  string `json:"k"` // hash of this product's id, or of WhatsApp's
	Send *sent  `json:"s,omitempty"`
	Said *said  `json:"t,omitempty"`
}

// sent is a send's row, or a message of it.
type sent struct {
	Counts   bool      `json:"n,omitempty"` // its first attempt is in the query's time
	Group    []string  `json:"g,omitempty"`
	Sandbox  bool      `json:"f,omitempty"`
	Attempts []attempt `json:"a,omitempty"` // of a row
}

// attempt is what tells whether an attempt became a message, and which one.
type attempt struct {
	Token string       `json:"t"`
	State ledger.State `json:"s,omitempty"` // of its outcome; empty without one
	Lease int64        `json:"l,omitempty"` // of one without, in epoch milliseconds
	Wamid string       `json:"w,omitempty"` // hash of WhatsApp's id
}

// said is what one or several statuses say of a message.
type said struct {
	Token     string `json:"t,omitempty"` // of the attempt that they name
	Wamid     string `json:"w,omitempty"` // hash of WhatsApp's id, or of what stands for it
	At        int64  `json:"a,omitempty"` // epoch seconds of the first
	Delivered bool   `json:"d,omitempty"`
	Read      bool   `json:"r,omitempty"`
	Failed    bool   `json:"f,omitempty"`
	Billable  bool   `json:"b,omitempty"`
	Charged   string `json:"c,omitempty"` // category of one that is billable
	Category  string `json:"g,omitempty"` // category of any
}

// merge adds what further statuses say; order and repeats do not matter.
func (s *said) merge(o *said) {
	if s.At == 0 || o.At != 0 && o.At < s.At {
		s.At = o.At
	}
	s.Delivered, s.Read, s.Failed, s.Billable = s.Delivered || o.Delivered, s.Read || o.Read, s.Failed || o.Failed, s.Billable || o.Billable
	s.Charged, s.Category = first(s.Charged, o.Charged), first(s.Category, o.Category)
}

// first returns the first of two words that is not empty, by the alphabet.
func first(a, b string) string {
	if a == "" || b == "" {
		return cmp.Or(a, b)
	}
	return min(a, b)
}

// category of a message is that of a billable status, else of any; of several the first.
func (s *said) category() string { return cmp.Or(s.Charged, s.Category) }

// count adds the message to figures.
func (s *said) count(f *Figures) {
	for seen, n := range map[*int64]bool{&f.Delivered: s.Delivered, &f.Read: s.Read, &f.Failed: s.Failed, &f.Billable: s.Billable} {
		if n {
			*seen++
		}
	}
}

// ofStatus returns the record of a status, and whether it lies under this product's id.
func ofStatus(it table.Item) (r record, ours bool) {
	pk, _ := it.Key()
	receipt, pricing := it.Receipt(), it.Pricing()
	s := &said{At: it.Number("timestamp"), Wamid: hashed(cmp.Or(receipt.Wamid, pk)), Billable: pricing.Billable == "true", Category: pricing.Category}
	if s.Billable {
		s.Charged = s.Category
	}
	switch receipt.Status {
	case "read", "played":
		s.Read, s.Delivered = true, true
	case "delivered":
		s.Delivered = true
	case "failed":
		s.Failed = true
	}
	if strings.HasPrefix(pk, "wa#") {
		return record{Key: s.Wamid, Said: s}, false
	}
	s.Token = receipt.Token
	return record{Key: hashed(pk), Said: s}, true
}

// ofSend returns the record of a send's row.
func (q *Query) ofSend(it table.Item) record {
	pk, _ := it.Key()
	row := it.Send()
	s := &sent{Counts: q.covers(it.Number("timestamp")), Sandbox: row.IsFake}
	for token, a := range row.Attempts {
		one := attempt{Token: token, Lease: a.Lease.UnixMilli()}
		if a.Outcome != nil {
			one = attempt{Token: token, State: a.Outcome.State}
			if a.Outcome.Wamid != "" {
				one.Wamid = hashed(a.Outcome.Wamid)
			}
		}
		s.Attempts = append(s.Attempts, one)
	}
	if s.Counts {
		for _, name := range q.By {
			value := ""
			switch name {
			case Client, Campaign:
				value = it.Text(name)
			case Country:
				value = CountryOf(cmp.Or(it.Text("contact"), it.Text("user_id")))
			case Day:
				value = day(it.Number("timestamp"))
			}
			s.Group = append(s.Group, value)
		}
	}
	return record{Key: hashed(pk), Send: s}
}

// selection is what of the table is read: of statuses the payload, which alone names the attempt
// and, before statuses had attributes for it, the pricing.
var selection = table.Selection{
	Where: "#kind = :send OR #kind = :status", Names: map[string]string{"#kind": "kind", "#timestamp": "timestamp", "#status": "status"},
	Values: map[string]string{":send": "send", ":status": string(whatsapp.KindStatus)},
	Attributes: "pk, sk, #kind, #timestamp, #status, wamid, message_id, payload, pricing_category, pricing_type, billable, " +
		"client, campaign, contact, user_id, is_fake, attempts",
}
