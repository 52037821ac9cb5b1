package main

import (
	"context"
	"errors"
	"strconv"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/table"
)

// converse returns a page of what was said with a person or in a group.
func (h *handler) converse(ctx context.Context, client auth.Result, ask conversation.Ask, query map[string]string, l *line) api.Response {
	l.add(outcomeLookedUp)
	if !client.ReadAll {
		return h.mayNotRead(l)
	}
	reading, cancel := context.WithTimeout(ctx, lookUpLimit)
	defer cancel()
	ask.Before, ask.After = query["before"], query["after"]
	var err error
	if text, given := query["limit"]; given {
		if ask.Limit, err = strconv.Atoi(text); err != nil || ask.Limit == 0 {
			ask.Limit = -1
		}
	}
	if text, given := query["payload"]; given {
		if ask.Payload, err = strconv.ParseBool(text); err != nil {
			return h.wrongAsk(conversation.Invalid{"payload": "1 or 0"}, l)
		}
	}
	if client.Sender != "" { // the window is one of its number
		all, _, err := h.senders.cache.Get(reading)
		if err != nil { // the window of another number would be the wrong one
			l.err = err
			return h.keyFailed(err)
		}
		bound, _ := all.Find(client.Sender)
		ask.PhoneNumberID = bound.PhoneNumberID
	}
	page, err := conversation.Read(reading, h.table, h.now(), ask)
	var wrong conversation.Invalid
	switch {
	case errors.As(err, &wrong):
		return h.wrongAsk(wrong, l)
	case err != nil:
		return h.tableFailed(err, l)
	}
	return api.Success(page).Packed()
}

func (h *handler) wrongAsk(wrong conversation.Invalid, l *line) api.Response {
	l.reason = reasonInvalid
	params := map[string]any{}
	for name, rule := range wrong {
		params[name] = rule
	}
	return api.Fail(api.BrokenLimits, "The conversation cannot be asked for like this; params says what would be right.", params)
}

// event returns one stored item whole.
func (h *handler) event(ctx context.Context, client auth.Result, pk, sk string, l *line) api.Response {
	l.add(outcomeLookedUp)
	if !client.ReadAll {
		return h.mayNotRead(l)
	}
	reading, cancel := context.WithTimeout(ctx, lookUpLimit)
	defer cancel()
	if pk == "" || sk == "" {
		l.reason = reasonInvalid
		return api.Fail(api.BrokenLimits, "Say which item: ?pk=…&sk=….", map[string]any{"pk": "pk of a message of a conversation, or of an event", "sk": "its sk"})
	}
	whole, err := conversation.Event(reading, h.table, pk, sk)
	switch {
	case errors.Is(err, table.ErrNotThere):
		return h.noSuch(l)
	case err != nil:
		return h.tableFailed(err, l)
	}
	return api.Success(whole).Packed()
}

func (h *handler) mayNotRead(l *line) api.Response {
	l.reason = reasonMayNotRead
	return api.Fail(api.MayNotRead, "", nil)
}
