// Package consent recognizes the words with which people end marketing messages to them, and allow
// them again.
package consent

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"connexease-functions/pkg/whatsapp"
)

// longestWord is the longest word, in bytes once folded: a text is longer in no table's item.
const longestWord = 100

// Words are what a message must consist of to say something. The zero value has none.
type Words map[string]string // by the folded word: whatsapp.Stop or whatsapp.Resume

// NewWords reads two comma-separated lists. Empty entries are ignored.
func NewWords(stop, resume string) (Words, error) {
	w := Words{}
	for _, list := range []struct{ words, says string }{{stop, whatsapp.Stop}, {resume, whatsapp.Resume}} {
		for word := range strings.SplitSeq(list.words, ",") {
			folded := fold(word)
			switch {
			case folded == "":
				continue
			case len(folded) > longestWord:
				return nil, fmt.Errorf("words must have at most %d bytes", longestWord)
			case w[folded] != "" && w[folded] != list.says:
				return nil, errors.New("no word may be in both lists")
			}
			w[folded] = list.says
		}
	}
	return w, nil
}

// longestText is the longest text that may be a word, in bytes: an event's is cut at 512.
const longestText = 500

// Mark sets Consent of the messages whose whole text is one of the words: texts, and answers by a
// button or a list. A word in a group is for the group; what is said of a form or of calls says
// nothing of marketing messages.
func (w Words) Mark(events []whatsapp.Event) {
	if len(w) == 0 {
		return
	}
	for i := range events {
		e := &events[i]
		if e.Kind == whatsapp.KindMessage && e.Direction == whatsapp.In && e.GroupID == "" && len(e.Text) <= longestText && isWords(e) {
			e.Consent = w[fold(e.Text)]
		}
	}
}

// isWords reports whether an event's text is what its person wrote or tapped.
func isWords(e *whatsapp.Event) bool {
	if e.Type != "interactive" {
		return e.Type == "text" || e.Type == "button"
	}
	var message struct {
		Interactive map[string]json.RawMessage `json:"interactive"`
	}
	_ = json.Unmarshal(e.Payload, &message)
	return message.Interactive["button_reply"] != nil || message.Interactive["list_reply"] != nil
}

// fold returns what equal words have in common: in any case, composed or not, in full or half
// width, with other blanks or none around them, and with characters that nobody sees. Turkish's two
// letters i are one, because most keyboards and languages have one.
func fold(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cf, unicode.Variation_Selector) {
			return -1
		}
		return r
	}, text)
	text = norm.NFKC.String(strings.ToLower(cases.Fold().String(norm.NFKC.String(text)))) // Cherokee folds to capitals
	text = strings.NewReplacer("i\u0307", "i", "ı", "i").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}
