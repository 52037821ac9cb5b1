package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/proof/laptop"
	"connexease-functions/pkg/whatsapp"
)

const root = "../../.."

func TestAShortSoakIsClean(t *testing.T) {
	t.Parallel()
	laptop.NeedsJava(t)
	var out bytes.Buffer
	err := run(t.Context(), root, shortest, writing(func(text string) {
		t.Log(strings.TrimSuffix(text, "\n"))
		out.WriteString(text)
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WebhookSecret has a new value", "ClientKeysSecret has a new value", "are in use", "p99", "accepted, sent 1 times", "0 are missing, 0 are duplicated", "0 events are missing, 0 were repeated", "0 of them still run", "The audit is clean."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the report", want)
		}
	}
}

func TestTheAuditFindsWhatIsLostDoubledOrLeftBehind(t *testing.T) {
	t.Parallel()
	laptop.NeedsJava(t)
	s, err := open(t.Context(), root, shortest/2, &bytes.Buffer{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	s.load(t.Context())
	if err := s.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	find := func(what string, look func() error) {
		t.Helper()
		if err := look(); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(s.faults, "\n"); what == "" && all != "" || !strings.Contains(all, what) {
			t.Errorf("found %q, want %q", all, what)
		}
		s.faults = nil
	}
	find("", func() error { return s.audit(t.Context()) })

	// An item with a repeated event, and one without its event.
	for key := range s.heard.events {
		s.heard.events[key]++
		find("each item's event exactly once", func() error { return s.audit(t.Context()) })
		s.heard.events[key]--
		break
	}
	// A missing update of a delivery that got 200.
	s.accepted = append(s.accepted, 99_999_999)
	find("the table is not what was delivered", func() error { return s.audit(t.Context()) })
	s.accepted = s.accepted[:len(s.accepted)-1]
	// A stored update of a delivery that did not get 200.
	first := s.accepted[0]
	s.accepted = slices.DeleteFunc(s.accepted, func(n int) bool { return n == first })
	find("the table is not what was delivered", func() error { return s.audit(t.Context()) })
	s.accepted = append(s.accepted, first)
	// A duplicate update.
	again := whatsapp.Split(body(first))
	again[0].Key = whatsapp.Key{Field: "again", Message: "again", Number: "again", Status: "again", Hash: "again"}
	if r := s.table().Put(t.Context(), again[:1], time.Now()); r.Err != nil {
		t.Fatal(r.Err)
	}
	find("the table is not what was delivered", func() error { return s.audit(t.Context()) })
	// A message that was not sent, and a status of it.
	s.messages = append(s.messages, sent{id: "msg_abcdefghijklmnopqrstuvwxyz"})
	find("was not sent and is none", func() error { return s.auditSends(t.Context()) })
	find("statuses are lost or duplicated", func() error { s.auditCallbacks(stored{}); return nil })

	s.stack.Close()
	s.pids[os.Getpid()] = true
	find("still runs", func() error { s.leaked(); return nil })
	s.samples = nil
	for i := range 12 {
		s.samples = append(s.samples, sample{function: "WebhookFunction", processes: 1, max: 20 + float64(i*3)}, sample{function: "SendFunction", processes: 1, max: 20})
	}
	if runtime.GOOS == "linux" {
		find("WebhookFunction grows", func() error { s.memory(); return nil })
	}
}

func TestASoakThatIsInterruptedFails(t *testing.T) {
	t.Parallel()
	laptop.NeedsJava(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := run(ctx, root, 20*time.Second, writing(func(text string) {
		if strings.HasPrefix(text, "Load for") {
			cancel()
		}
	}), nil)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
}

func TestASoakOfASecondIsRefused(t *testing.T) {
	if err := run(t.Context(), root, time.Second, io.Discard, nil); err == nil || !strings.Contains(err.Error(), "at least") {
		t.Errorf("got %v", err)
	}
}

// writing receives what is written.
type writing func(text string)

func (w writing) Write(text []byte) (int, error) {
	w(string(text))
	return len(text), nil
}
