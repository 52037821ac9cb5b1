package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/bounded"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/table"
)

// listed is what a client's messages of one state look like. Next, where there is more to look at,
// continues the list.
type listed struct {
	Messages []view `json:"messages"`
	Next     string `json:"next,omitempty"`
}

// listing asks for a client's messages of one state: the scheduled ones in the order in which they
// leave, the others newest first.
type listing struct {
	client string
	state  ledger.State
	limit  int
	from   table.Place // zero: the beginning
}

// readListing returns the faults of a query instead, by the names of its parameters.
func readListing(client string, query map[string]string) (asked listing, faults map[string]any) {
	asked, faults = listing{client: client, state: ledger.State(query["state"]), limit: listUsual}, map[string]any{}
	if !slices.Contains([]ledger.State{ledger.Unknown, ledger.Queued, ledger.Scheduled}, asked.state) {
		faults["state"] = "unknown, queued or scheduled"
	}
	for name := range query {
		if !slices.Contains([]string{"state", "limit", "after"}, name) {
			faults[name] = "not together with state"
		}
	}
	if text, given := query["limit"]; given {
		var err error
		if asked.limit, err = strconv.Atoi(text); err != nil || asked.limit < 1 || asked.limit > listMost {
			faults["limit"] = fmt.Sprintf("1 to %d", listMost)
		}
	}
	if text, given := query["after"]; given {
		place, err := base64.RawURLEncoding.DecodeString(text)
		if asked.from = table.Place(place); err != nil || !ledger.ValidID(asked.from.ID()) {
			faults["after"] = "next of the page before"
		}
	}
	return asked, faults
}

// list responds with a page. The index has candidates: each is looked up, and what is in the state
// that is asked for is in the page. A page looks at a bounded number of them, so it may have fewer
// messages than asked for, and none, while next says that there is more.
func (h *handler) list(ctx context.Context, client string, query map[string]string, l *line) api.Response {
	reading, cancel := context.WithTimeout(ctx, lookUpLimit)
	defer cancel()
	l.add(outcomeLookedUp)
	asked, faults := readListing(client, query)
	if len(faults) > 0 {
		l.reason = reasonInvalid
		return api.Fail(api.BrokenLimits, "The list cannot be asked for like this; params says what would be right.", faults)
	}
	now := h.now()
	from, later := table.PlaceAt(now), asked.state == ledger.Scheduled
	if asked.from != "" && (asked.from > from) == later {
		from = asked.from
	}
	page := listed{Messages: []view{}}
	for range listRounds {
		places, err := h.table.Unsettled(reading, client, from, later, listTogether)
		if err != nil {
			return h.tableFailed(err, l)
		}
		views, err := h.views(reading, client, places)
		if err != nil {
			return h.tableFailed(err, l)
		}
		for i, place := range places {
			from = place
			if asked.state == ledger.Queued && place < table.PlaceAt(now.Add(-ledger.MaxValidFor-ledger.ExpiryMargin)) {
				return api.Success(page) // all that follow have expired
			}
			if v := views[i]; v != nil && v.State == ledger.Word(asked.state) {
				page.Messages = append(page.Messages, *v)
			}
			if len(page.Messages) == asked.limit {
				page.Next = next(from)
				return api.Success(page)
			}
		}
		if len(places) < listTogether {
			return api.Success(page)
		}
	}
	page.Next = next(from)
	return api.Success(page)
}

func next(from table.Place) string { return base64.RawURLEncoding.EncodeToString([]byte(from)) }

// views looks messages up, all at once. Those that are not there, or another client's, are nil.
func (h *handler) views(ctx context.Context, client string, places []table.Place) ([]*view, error) {
	all := make([]*view, len(places))
	return all, bounded.Try(ctx, len(places), listTogether, func(ctx context.Context, i int) (err error) {
		all[i], err = h.view(ctx, client, places[i].ID())
		return err
	})
}
