package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// ofContact begins the keys of what is kept of a person.
const ofContact = "contact#"

func static() fs.FS {
	folder, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the name is a constant
	}
	return folder
}

// looks returns the templates by their names, which show personal data or mask it.
func looks(masked bool) map[string]*template.Template {
	if masked {
		return maskedLooks()
	}
	return plainLooks()
}

var (
	plainLooks  = sync.OnceValue(func() map[string]*template.Template { return parse(func(s string) string { return s }, false) })
	maskedLooks = sync.OnceValue(func() map[string]*template.Template { return parse(hidden, true) })
)

// parse reads all pages; a mistake in one is found by the first test.
func parse(mask func(string) string, masked bool) map[string]*template.Template {
	functions := template.FuncMap{
		"mask": mask, "person": func(s string) string {
			if masked {
				return lastTwo(s)
			}
			return s
		},
		"whole": func(s string) string { // an id, to be copied
			if masked && (strings.Contains(s, "wamid.") || strings.Contains(s, ofContact)) { // it has the person's number
				return ""
			}
			return s
		},
		"id": func(s string) string {
			if masked && strings.Contains(s, "wamid.") {
				before, _, _ := strings.Cut(s, "wamid.")
				return before + "wamid.…"
			}
			if masked && strings.Contains(s, ofContact) {
				before, _, _ := strings.Cut(s, ofContact)
				return before + ofContact + "…"
			}
			return s
		},
		"pretty": func(b []byte) string { return pretty(b, masked) },
		"minute": func(at time.Time) string { return at.UTC().Format("15:04") },
		"epoch": func(text string) string {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return ""
			}
			return clock(time.Unix(n, 0))
		},
		"clock": clock, "stamp": stamp, "ago": ago, "num": number, "short": short, "join": strings.Join,
		"fault": sentence, "words": func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	}
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(files, "pages/layout.html"))
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	all := map[string]*template.Template{}
	for _, path := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "pages/"), ".html")
		all[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, path))
	}
	return all
}

// hidden replaces letters and digits: how much there is, and how it is built, stays to be seen.
func hidden(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || unicode.IsSymbol(r) {
			return '•'
		}
		return r
	}, text)
}

// lastTwo keeps the end of a person's name, by which several can be told apart.
func lastTwo(name string) string {
	runes := []rune(name)
	if len(runes) < 6 {
		return hidden(name)
	}
	return hidden(string(runes[:len(runes)-2])) + string(runes[len(runes)-2:])
}

// structural are members of WhatsApp's JSON whose values say what something is, not whose it is.
var structural = map[string]bool{
	"type": true, "object": true, "messaging_product": true, "field": true, "status": true, "timestamp": true, "code": true, "language": true,
	"mime_type": true, "kind": true, "direction": true, "event": true, "recipient_type": true, "detail_type": true, "source": true,
	"category": true, "pricing_model": true, "billable": true, "expires_at": true, "parts": true, "outcome": true,
}

// pretty indents JSON; what is not JSON stays as it is. Masked, only structural values can be read.
func pretty(text []byte, masked bool) string {
	if masked {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v any
		if d.Decode(&v) != nil {
			return hidden(string(text))
		}
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		_ = e.Encode(maskValue("", v)) // a decoded value can be encoded
		return strings.TrimSpace(out.String())
	}
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}

func maskValue(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		all := maps.Clone(v)
		for name, one := range v {
			all[name] = maskValue(name, one)
		}
		return all
	case []any:
		all := make([]any, len(v))
		for i, one := range v {
			all[i] = maskValue(name, one)
		}
		return all
	case string:
		if structural[name] {
			return v
		}
		return hidden(v)
	case json.Number:
		if structural[name] {
			return v
		}
		return hidden(v.String())
	}
	return v
}

// clock shows a time of today as a time of day, and else with its date, both in UTC.
func clock(at time.Time) string {
	at = at.UTC()
	switch now := time.Now().UTC(); {
	case at.IsZero():
		return "–"
	case at.Format(time.DateOnly) == now.Format(time.DateOnly):
		return at.Format("15:04:05 UTC")
	}
	return at.Format("2006-01-02 15:04 UTC")
}

// stamp is a time for machines.
func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// ago says how old something is.
func ago(at time.Time) string {
	switch age := time.Since(at); {
	case at.IsZero():
		return "never"
	case age < time.Minute:
		return "just now"
	case age < time.Hour:
		return plural(int(age.Minutes()), "minute") + " ago"
	case age < 48*time.Hour:
		return plural(int(age.Hours()), "hour") + " ago"
	default:
		return plural(int(age.Hours()/24), "day") + " ago"
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// number groups the digits of a whole number.
func number(n any) string {
	text := fmt.Sprint(n)
	if f, ok := n.(float64); ok {
		if math.IsNaN(f) {
			return "–"
		}
		text = strconv.FormatFloat(math.Round(f), 'f', 0, 64)
	}
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "\u202f" + text[at:]
	}
	return text
}

// short cuts a text for a table's cell.
func short(n int, text string) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}
