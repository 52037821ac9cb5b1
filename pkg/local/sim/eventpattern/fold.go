package eventpattern

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// folded returns for each character of a string what matches it: its lower and its upper case, each
// of which can have several characters (ß matches ß and SS, but SS does not match ß). A character
// outside the Basic Multilingual Plane becomes two question marks, as in Event Ruler, which handles
// each half of a surrogate pair alone.
func folded(text string) [][]string {
	lower, upper := cases.Lower(language.Und), cases.Upper(language.Und)
	var all [][]string
	for _, r := range text {
		if r > 0xFFFF {
			all = append(all, []string{"??"})
			continue
		}
		one := []string{lower.String(string(r))}
		if u := upper.String(string(r)); u != one[0] {
			one = append(one, u)
		}
		all = append(all, one)
	}
	return all
}

// foldedPrefix reports whether s begins with what was folded and, if whole is set, ends there.
func foldedPrefix(want [][]string, s string, whole bool) bool {
	if len(want) == 0 {
		return !whole || s == ""
	}
	for _, one := range want[0] {
		if rest, ok := strings.CutPrefix(s, one); ok && foldedPrefix(want[1:], rest, whole) {
			return true
		}
	}
	return false
}
