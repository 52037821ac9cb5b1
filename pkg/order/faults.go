package order

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/canonical"
	"connexease-functions/pkg/whatsapp"
)

// faults are what is wrong with a request: where, and what would be right.
type faults map[string]any

// mostUnknown is how many members of unknown or repeated names a response lists one by one.
const mostUnknown = 10

// memberForm is that of a misspelt name, but not of a phone number.
var memberForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,39}$`)

func (f faults) add(path, rule string) {
	if before, ok := f[path].(string); ok {
		rule = before + "; " + rule
	}
	f[path] = rule
}

// repeated adds the members that an object has more than once.
func (f faults) repeated(names []string) {
	for _, name := range names {
		if len(f) < mostUnknown && memberForm.MatchString(name) {
			f.add(name, whatsapp.RuleOnce)
		} else {
			f["envelope"] = whatsapp.RuleOnce
		}
	}
}

// verdict is the response to all faults at once; nil without any.
func (f faults) verdict() *api.Response {
	if len(f) == 0 {
		return nil
	}
	code := api.BrokenLimits
	if rule, malformed := f[keyMember].(string); len(f) == 1 && malformed && strings.HasSuffix(rule, keyRule) && !strings.HasPrefix(rule, whatsapp.RuleOnce) {
		code = api.MalformedKey
	}
	a := api.Fail(code, "", f)
	return &a
}

func refuse(code api.Code, description string) *api.Response {
	a := api.Fail(code, description, nil)
	return &a
}

// places are where a request says what is not part of its message, by the letters of the name. A
// name with the same letters in a different place or spelling is refused: ignored, ?isFake=true
// would send a real message, and IdempotencyKey two.
var places = map[string]struct{ query, header string }{
	"isfake":          {query: "is_fake"},
	"mmlite":          {query: "mmlite"},
	"idempotencykey":  {header: "Idempotency-Key"},
	"sender":          {header: "Sender"},
	"purpose":         {header: "Purpose"},
	"onunknown":       {header: "On-Unknown"},
	"validfor":        {header: "Valid-For"},
	"onclosedwindow":  {header: "On-Closed-Window"},
	"onunknownwindow": {header: "On-Unknown-Window"},
	"sendat":          {header: "Send-At"},
	"lane":            {header: "Lane"},
}

// lettersOf leaves a name's ASCII letters and digits, in lower case, without the x of X-Name.
func lettersOf(name string) string {
	name = strings.ToLower(name)
	if len(name) > 1 && name[0] == 'x' && strings.ContainsRune("-_", rune(name[1])) {
		name = name[2:]
	}
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, name)
}

// checkSpelling refuses query parameters and headers that mean one of places, but are not in it.
func checkSpelling(r api.Request, f faults) {
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		if place, known := places[lettersOf(name)]; known && name != place.query {
			f.misplaced(name, place.query, place.header)
		}
	}
	for _, name := range r.HeaderNames() {
		if place, known := places[lettersOf(name)]; known && !strings.EqualFold(name, place.header) {
			f.misplaced(name, place.query, place.header)
		}
	}
}

// checkMembers refuses members of a message that belong next to it, in the request.
func checkMembers(message canonical.Value, path string, f faults) {
	for _, name := range message.Names() {
		if _, known := places[lettersOf(name)]; known && memberForm.MatchString(name) {
			f.add(path+name, "absent: it is not part of a message")
		}
	}
}

func (f faults) misplaced(name, query, header string) {
	rule := "the query parameter " + query
	if header != "" {
		rule = "the header " + header
	}
	if !memberForm.MatchString(name) { // it may be of any length
		name = query + header
	}
	f.add(name, rule)
}
