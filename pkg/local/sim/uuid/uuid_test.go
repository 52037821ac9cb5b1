package uuid

import (
	"regexp"
	"testing"
)

// Version and variant are those of random ids (RFC 9562, 5.4).
var random = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestIdsAreRandomUUIDsAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := New()
		if !random.MatchString(id) || seen[id] {
			t.Fatalf("%s, seen before: %v", id, seen[id])
		}
		seen[id] = true
	}
}
