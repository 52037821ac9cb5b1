package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// mostRefused bounds a memory even when the clock is set back: the cooldown of early refreshes lets
// far fewer in.
const mostRefused = 256

// memory holds the hashes of tokens that were just refused by a freshly read secret.
type memory struct {
	keep time.Duration

	mu    sync.Mutex
	since map[[sha256.Size]byte]time.Time
}

func newMemory(keep time.Duration) *memory {
	return &memory{keep: keep, since: map[[sha256.Size]byte]time.Time{}}
}

func (m *memory) has(hash [sha256.Size]byte, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, is := m.since[hash]
	return is && m.holds(at, now)
}

// holds is false where the clock was set back.
func (m *memory) holds(at, now time.Time) bool {
	return !now.Before(at) && now.Before(at.Add(m.keep))
}

func (m *memory) add(hash [sha256.Size]byte, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for h, at := range m.since {
		if !m.holds(at, now) || len(m.since) >= mostRefused {
			delete(m.since, h)
		}
	}
	m.since[hash] = now
}
