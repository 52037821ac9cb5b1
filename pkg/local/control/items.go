package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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

// conversation lists the messages exchanged with a person, under any of their names, or in a group.
func (c *Control) conversation(w http.ResponseWriter, r *http.Request) {
	contact := r.PathValue("contact")
	stored, err := c.table().Conversation(r.Context(), contact)
	if err != nil {
		fail(w, http.StatusBadGateway, err)
		return
	}
	found := []record{}
	for _, it := range stored {
		item := plain(it)
		found = append(found, item)
		if item.text("direction") != string(whatsapp.Out) {
			continue
		}
		if err := c.state(r.Context(), item); err != nil {
			fail(w, http.StatusBadGateway, err)
			return
		}
	}
	answer(w, http.StatusOK, map[string]any{"contact": contact, "items": found})
}

// state folds the statuses of a sent message into it. If the caller of the send set the opaque data
// itself, they are stored under WhatsApp's id.
func (c *Control) state(ctx context.Context, item record) error {
	rows, err := c.table().Under(ctx, item.text("pk"))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if wamid := r.Text("sent_wamid"); wamid != "" {
			more, err := c.table().Under(ctx, "wa#"+wamid)
			if err != nil {
				return err
			}
			rows = append(rows, more...)
		}
	}
	var statuses []whatsapp.Event
	for _, r := range rows {
		if r.Text("kind") == string(whatsapp.KindStatus) {
			statuses = append(statuses, whatsapp.Event{Status: r.Text("status"), ErrorCode: r.Text("error_code")})
		}
	}
	folded := whatsapp.Fold(statuses)
	if folded.State != "" {
		item["state"] = folded.State
	}
	if folded.Failed {
		item["failed"], item["error_codes"] = true, folded.ErrorCodes
	}
	return nil
}
