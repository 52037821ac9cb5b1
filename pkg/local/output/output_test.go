package output

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestEverythingIsKeptWhole(t *testing.T) {
	var b Buffer
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			for range 100 {
				_, _ = fmt.Fprint(&b, "one line\n")
			}
		})
	}
	writing.Wait()
	if text := b.String(); text != strings.Repeat("one line\n", 800) {
		t.Errorf("%d bytes are kept", len(text))
	}
}

func TestOnlyTheEndIsKept(t *testing.T) {
	b := Buffer{Most: 5}
	for _, text := range []string{"abc", "", "defgh", "i"} {
		if n, err := fmt.Fprint(&b, text); n != len(text) || err != nil {
			t.Errorf("writing %q: %d, %v", text, n, err)
		}
	}
	if b.String() != "efghi" {
		t.Errorf("%q is kept", b.String())
	}
}

func TestTheLastLinesHaveNoSpaceAround(t *testing.T) {
	for text, want := range map[string]string{"": "", "\n a\n": "a", "a\nb\nc\n\n": "b\nc"} {
		if got := LastLines(text, 2); got != want {
			t.Errorf("of %q: %q, want %q", text, got, want)
		}
	}
}
