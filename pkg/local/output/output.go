// Package output keeps what several processes or goroutines write at once.
package output

import (
	"strings"
	"sync"
)

// Buffer keeps what is written to it; with Most, at most the last bytes.
type Buffer struct {
	Most int // bytes; 0: everything

	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if over := len(b.text) - b.Most; b.Most > 0 && over > 0 {
		b.text = append(b.text[:0], b.text[over:]...)
	}
	return len(p), nil
}

// String returns everything that is kept.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// LastLines returns at most n lines from the end of a text, without the space around it.
func LastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
