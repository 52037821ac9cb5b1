package auth

import (
	"testing"
	"time"

	"connexease-functions/pkg/secret"
)

// No two tokens are known whose hashes differ in one bit, so this looks inside.
func TestEveryBitOfAHashIsCompared(t *testing.T) {
	now := time.Now()
	c, err := NewCredential("x", secret.NewValue("token"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := match([]Credential{c}, c.hash, now); !ok {
		t.Error("the token itself is refused")
	}
	for bit := range len(c.hash) * 8 {
		other := c.hash
		other[bit/8] ^= 1 << (bit % 8)
		if _, ok := match([]Credential{c}, other, now); ok {
			t.Errorf("bit %d is not compared", bit)
		}
	}
}
