package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// sealer makes references to items for addresses: keys contain persons' numbers, which must be
// neither in a browser's history nor on a screen that masks them. They last as long as the console.
// An item has one reference, so that a part of a page that did not change stays the same.
type sealer struct {
	gcm    cipher.AEAD
	nonces [32]byte // key of the nonces, each of which belongs to one text
}

func newSealer() (s sealer, err error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails
	_, _ = rand.Read(s.nonces[:])
	block, err := aes.NewCipher(key[:])
	if err == nil {
		s.gcm, err = cipher.NewGCM(block)
	}
	return s, err
}

// Ref returns a reference to the item with a key.
func (c *Console) Ref(pk, sk string) string {
	text := []byte(pk + "\x00" + sk)
	mac := hmac.New(sha256.New, c.seals.nonces[:])
	mac.Write(text)
	nonce := mac.Sum(nil)[:c.seals.gcm.NonceSize()]
	return base64.RawURLEncoding.EncodeToString(c.seals.gcm.Seal(nonce, nonce, text, nil))
}

// key returns what a reference refers to.
func (c *Console) key(ref string) (pk, sk string, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(ref)
	if n := c.seals.gcm.NonceSize(); err == nil && len(sealed) > n {
		var open []byte
		if open, err = c.seals.gcm.Open(nil, sealed[:n], sealed[n:], nil); err == nil {
			pk, sk, _ = strings.Cut(string(open), "\x00")
			return pk, sk, nil
		}
	}
	return "", "", wrongf("this address is of an earlier run of the console. Look it up again")
}
