package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/secret"
)

// senders are the numbers that this installation sends from, and what this process remembers of
// each.
type senders struct {
	cache *secret.Cache[auth.Senders]
	now   func() time.Time
	pace  int // calls per second of a sender's queue records; 0: any
	// processes is how many handle a queue's records at once, and so share the pace.
	processes int
	// shared reports that there is a bulk lane, with which the ordinary queue shares the pace.
	shared bool

	mu     sync.Mutex
	memory map[string]*memory // by name; the secret has few
}

// unnamed is the memory of names that the secret does not have, which no sender can have.
const unnamed = "?"

// memory is what one sender's calls came to.
type memory struct {
	early *secret.Cooldown // of refreshes after a refusal of its key
	pause pause
	paces [2]pace // of the ordinary queue and of the bulk lane's
}

func newSenders(load func(context.Context) (auth.Senders, error)) *senders {
	return &senders{cache: secret.NewCache(load, secret.DefaultLimits, time.Now), now: time.Now, memory: map[string]*memory{}}
}

func (s *senders) of(name string) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.memory[name]
	if m == nil {
		m = &memory{early: secret.NewCooldown(keyCooldown, 1, s.now), paces: newPaces(s.pace, s.processes, s.shared)}
		s.memory[name] = m
	}
	return m
}

// named reports whether the secret names its senders.
func (s *senders) named(ctx context.Context) bool {
	all, _, err := s.cache.Get(ctx)
	return err == nil && all.Named()
}

// find returns the sender of a name. One that is not there may have been added since the secret was
// read.
func (s *senders) find(ctx context.Context, name string) (one auth.Sender, ok bool, stale time.Duration, err error) {
	all, stale, err := s.cache.Get(ctx)
	if one, ok = all.Find(name); err == nil && !ok && s.of(unnamed).early.Allow() {
		all, stale, err = s.cache.Refresh(ctx)
		one, ok = all.Find(name)
	}
	return one, ok, stale, err
}

// replacement returns the sender with a different key than the one that the Gateway refused, if
// there is one by now.
func (s *senders) replacement(ctx context.Context, refused auth.Sender) (auth.Sender, bool) {
	get := s.cache.Get
	if s.of(refused.Name).early.Allow() {
		get = s.cache.Refresh
	}
	all, _, err := get(ctx)
	now, ok := all.Find(refused.Name)
	return now, err == nil && ok && now.Key != refused.Key
}

// noSender says that the secret has no API key for a sender.
type noSender struct{ name string }

func (e noSender) Error() string { return "the secret has no API key for a sender" }

// chooseSender finds the number that a message leaves from, and its API key, before anything is
// claimed. What is only queued for now needs no key yet.
func (h *handler) chooseSender(ctx context.Context, d *delivery, l *line) *api.Response {
	o, source := &d.order, d.request.Source
	if d.bound != "" && o.Sender != "" && o.Sender != d.bound {
		return unknownSender("", l)
	}
	name := cmp.Or(d.bound, o.Sender)
	d.sender.Name = name
	if source == ledger.RecordByID && h.senders.named(ctx) {
		row, _, failed := h.read(ctx, d, d.request.ID)
		switch {
		case failed != nil:
			l.add(ofNote[ledger.NoteTableFailed])
			r := h.tableFailed(failed, l)
			return &r
		case row == nil, !row.ValidUntil.IsZero() && !h.now().Before(row.ValidUntil):
			return nil // there is nothing to send
		}
		name = row.Sender
	}
	one, ok, stale, err := h.senders.find(ctx, name)
	l.stale = max(l.stale, stale)
	switch {
	case ok:
		d.sender = one
		return nil
	case source == ledger.Async && (err != nil || d.bound != ""):
		return nil
	case err == nil && d.bound == "" && !source.IsRecord():
		if name == "" {
			return unknownSender("This installation has several senders, and none of them is the default: name one. Nothing was sent.", l)
		}
		return unknownSender("", l)
	case err == nil:
		err = noSender{name}
	}
	l.keyFailed(err, h.keyFix(err))
	r := h.keyFailed(err)
	return &r
}

func unknownSender(description string, l *line) *api.Response {
	l.reason = reasonUnknownSender
	r := api.Fail(api.UnknownSender, description, nil)
	return &r
}

// follow makes a delivery use the sender that its row keeps. Where that has no key, it says in the
// request that the message may not be sent for now.
func (h *handler) follow(ctx context.Context, d *delivery, row *ledger.Send) {
	if row == nil || d.request.Source == ledger.Async || row.Sender == d.sender.Name && !d.sender.Key.Blank() {
		return
	}
	one, ok, _, err := h.senders.find(ctx, row.Sender)
	if d.sender = one; ok {
		return
	}
	if d.sender.Name, d.keyErr = row.Sender, err; err == nil {
		d.keyErr = noSender{row.Sender}
	}
	if d.closed.Status == 0 {
		d.request.MayNotClaim = d.refuse(h.keyFailed(d.keyErr))
		d.request.MayNotClaim.State = ledger.Released // for now only
	}
}

// keyFailed responds to an authenticated caller that the API key is not available.
func (h *handler) keyFailed(err error) api.Response {
	return api.Fail(api.SecretMissing, h.keyFix(err), nil)
}

func (h *handler) keyFix(err error) string {
	what, paste := "", "the API key"
	const named = `{"<sender>":{"key":"<API key>"}}`
	var no noSender
	switch {
	case errors.As(err, &no) && no.name != "":
		what, paste = fmt.Sprintf("is not there for the sender %q", no.name), named+" with all senders"
	case errors.As(err, &no):
		what, paste = "is not there for a message without a sender: none of the senders is named "+auth.DefaultSender, named+" with all senders"
	case errors.Is(err, secret.ErrMissing):
		what = "has no value"
	case errors.Is(err, auth.ErrSenders):
		what, paste = "is JSON, and not of the form "+named, "that or the bare API key"
	case errors.Is(err, secret.ErrJSON):
		what = "is JSON where the bare key is wanted"
	case errors.Is(err, secret.ErrUnusable):
		what = "has characters that no header can hold"
	default:
		return fmt.Sprintf("The Gateway's API key cannot be read. Nothing was sent. See why: "+
			"aws secretsmanager get-secret-value --secret-id %s --query CreatedDate", h.gatewaySecret)
	}
	return fmt.Sprintf("The Gateway's API key %s. Nothing was sent. Put it in: "+
		"aws secretsmanager put-secret-value --secret-id %s --secret-string file:///dev/stdin, then paste %s, Enter, Ctrl-D.", what, h.gatewaySecret, paste)
}
