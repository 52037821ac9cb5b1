package control

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// record is an item with plain values: strings, numbers, Binary as base64, and maps and lists of
// them.
type record map[string]any

func plain(item table.Item) record { return item.Plain(base64.StdEncoding.EncodeToString) }

func (r record) text(name string) string {
	s, _ := r[name].(string)
	return s
}

// items lists the table, newest first, with payloads reassembled from their parts.
func (c *Control) items(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var bounds [2]int64
	for i, name := range []string{"since", "until"} {
		if text := q.Get(name); text != "" {
			at, err := parseTime(text)
			if err != nil {
				fail(w, http.StatusBadRequest, errors.New(name+" must be epoch seconds or a time such as 2026-01-31T12:00:00Z"))
				return
			}
			bounds[i] = at
		}
	}
	var all []table.Item
	if err := c.table().Scan(r.Context(), table.Selection{}, func(it table.Item) { all = append(all, it) }); err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	found := []record{}
	for _, stored := range table.Join(all) {
		item := plain(stored)
		if kind := q.Get("kind"); kind != "" && item.text("kind") != kind {
			continue
		}
		if contact := q.Get("contact"); contact != "" && item.text("contact") != whatsapp.Canonical(contact) && item.text("contact") != contact {
			continue
		}
		if client := q.Get("client"); client != "" && item.text("client") != client {
			continue
		}
		if at := epoch(item); (bounds[0] != 0 && at < bounds[0]) || (bounds[1] != 0 && at > bounds[1]) {
			continue
		}
		found = append(found, item)
	}
	slices.SortStableFunc(found, func(a, b record) int {
		if d := epoch(b) - epoch(a); d != 0 {
			return int(d)
		}
		return strings.Compare(a.text("pk")+a.text("sk"), b.text("pk")+b.text("sk"))
	})
	if limit, ok := atMost(w, q, len(found)); ok {
		answer(w, http.StatusOK, map[string]any{"count": len(found), "items": found[:limit]})
	}
}

func epoch(r record) int64 {
	n, _ := r["timestamp"].(json.Number)
	at, _ := n.Int64()
	return at
}

func parseTime(text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at.Unix(), err
}

func (c *Control) table() *table.Table { return table.New(c.stack.DB, c.stack.TableName, 0) }

// conversation lists all that was said with a person, under any of their names, or in a group. state
// is what WhatsApp reported of a message that went out.
func (c *Control) conversation(w http.ResponseWriter, r *http.Request) {
	contact := r.PathValue("contact")
	ask := conversation.Ask{Contact: contact, Limit: conversation.Most}
	found := []conversation.Message{}
	for more := true; more; {
		page, err := conversation.Read(r.Context(), c.table(), time.Now(), ask)
		if err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
		found = append(page.Messages, found...)
		ask.Before, more = page.Before, page.Before != ""
		if len(found) == 0 && ask.Contact != "" { // no person of this name
			ask, more = conversation.Ask{GroupID: contact, Limit: conversation.Most}, true
		}
	}
	for _, m := range found {
		if m.Progress != nil {
			m.State = m.Status
		}
	}
	answer(w, http.StatusOK, map[string]any{"contact": contact, "items": found})
}
