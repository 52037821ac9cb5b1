package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/whatsapp"
)

func TestWhatIsMeasuredIsWhatItSays(t *testing.T) {
	if n := len(whatsapp.Split([]byte(statuses(1000, 0)))); n != 1000 {
		t.Errorf("a delivery has %d statuses", n)
	}
	first, second := whatsapp.Split([]byte(message(1))), whatsapp.Split([]byte(message(2)))
	if len(first) != 1 || len(second) != 1 || first[0].Key == second[0].Key {
		t.Errorf("two messages are one item: %v, %v", first, second)
	}
	if _, faults := whatsapp.Check(largest()); len(faults) > 0 {
		t.Errorf("the largest body breaks limits: %v", faults)
	}
	if size := zipSize(bytes.Repeat([]byte("x"), 1<<20)); size < 100 || size > 1<<18 {
		t.Errorf("a megabyte of one letter has %d bytes in a zip archive", size)
	}
}

func TestPercentilesAreOfTheSortedTimes(t *testing.T) {
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration((i*37)%100))
	}
	if got := []time.Duration{median(all), percentile(all, 99), percentile(all[:1], 99)}; !slices.Equal(got, []time.Duration{50, 99, 0}) {
		t.Errorf("got %v", got)
	}
}

func TestAPasswordsDelayCountsFromItsRequest(t *testing.T) {
	start := time.Now()
	sent := func(text string, after time.Duration) connexease.Message {
		body, err := json.Marshal(map[string]any{"text": map[string]string{"body": text}})
		if err != nil {
			t.Fatal(err)
		}
		return connexease.Message{Body: body, Time: start.Add(after)}
	}
	asked := []time.Time{start, start.Add(time.Second)}
	accepted := []connexease.Message{
		sent(strings.ReplaceAll(codeText, "%d", "1"), 3*time.Second), sent("Hello number 0000001", 4*time.Second),
		sent(strings.ReplaceAll(codeText, "%d", "0"), 5*time.Second), sent(strings.ReplaceAll(codeText, "%d", "2"), 6*time.Second),
	}
	if got := delays(accepted, asked); !slices.Equal(got, []time.Duration{2 * time.Second, 5 * time.Second}) {
		t.Errorf("got %v", got)
	}
}
