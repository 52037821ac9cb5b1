package console

import (
	"regexp"
	"slices"

	"connexease-functions/pkg/ledger"
)

func init() {
	register(page{path: "/lines/item", title: "What happened", template: "line", laptop: true, show: showLine})
}

// linePage is a request, a batch or a run, with what it led to.
type linePage struct {
	Line
	Sends []string // ids
	Led   []led
}

type led struct{ What, Ref string }

var anID = regexp.MustCompile(`msg_\w+`)

func showLine(v *visit) (any, error) {
	l, there := v.Feed.at(v.query("at"))
	if !there || l.Event != nil {
		return nil, wrongf("the console does not keep this line any more: it has the last %d", kept)
	}
	p := &linePage{Line: l}
	named := append(anID.FindAllString(l.Note, -1), l.Send)
	for _, it := range l.Items {
		named = append(named, it.PK) // a status is with its message
		p.Led = append(p.Led, led{it.What, v.Ref(it.PK, it.SK)})
	}
	for _, id := range named {
		if ledger.ValidID(id) && !slices.Contains(p.Sends, id) {
			p.Sends = append(p.Sends, id)
		}
	}
	return p, nil
}
