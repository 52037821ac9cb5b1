package consent

import (
	"testing"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"connexease-functions/pkg/whatsapp"
)

// says returns what a text says where one word is known.
func says(t *testing.T, word, text string) string {
	t.Helper()
	w, err := NewWords(word, "")
	if err != nil {
		t.Fatalf("%q: %v", word, err)
	}
	events := []whatsapp.Event{{Kind: whatsapp.KindMessage, Direction: whatsapp.In, Type: "text", Text: text}}
	w.Mark(events)
	return events[0].Consent
}

// A word is recognized however a phone's keyboard writes it: in small letters or capitals of any
// language, and composed or not.
func TestEveryLetterIsItsCapitalAndItsDecomposedForm(t *testing.T) {
	forms := map[string]func(string) string{
		"small": cases.Lower(language.Und).String, "capital": cases.Upper(language.Und).String, "title": cases.Title(language.Und).String,
		"Turkish small": cases.Lower(language.Turkish).String, "Turkish capital": cases.Upper(language.Turkish).String,
		"composed": norm.NFC.String, "decomposed": norm.NFD.String, "compatible": norm.NFKD.String,
	}
	for r := rune(1); r <= unicode.MaxRune; r++ {
		if !unicode.IsLetter(r) || unicode.In(r, unicode.Lo) && norm.NFKD.String(string(r)) == string(r) {
			continue // it has one form
		}
		word := "x" + string(r) + "y"
		for name, form := range forms {
			if form(word) != word && (says(t, word, form(word)) != whatsapp.Stop || says(t, form(word), word) != whatsapp.Stop) {
				t.Fatalf("%q (%U): %s is %q", word, r, name, form(word))
			}
		}
	}
}
