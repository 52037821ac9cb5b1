package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// sealer makes references to items for addresses: keys contain persons' numbers, which must be
// neither in a browser's history nor on a screen that masks them. They last as long as the console.
type sealer struct{ gcm cipher.AEAD }

func newSealer() (sealer, error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // it never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return sealer{}, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{gcm}, err
}

// Ref returns a reference to the item with a key.
func (c *Console) Ref(pk, sk string) string {
	sealed := c.seals.gcm.Seal(nil, nil, []byte(pk+"\x00"+sk), nil) // #nosec G407 -- Seal draws the nonce itself
	return base64.RawURLEncoding.EncodeToString(sealed)
}

// key returns what a reference refers to.
func (c *Console) key(ref string) (pk, sk string, err error) {
	sealed, err := base64.RawURLEncoding.DecodeString(ref)
	if err == nil {
		var open []byte
		if open, err = c.seals.gcm.Open(nil, nil, sealed, nil); err == nil {
			pk, sk, _ = strings.Cut(string(open), "\x00")
			return pk, sk, nil
		}
	}
	return "", "", wrongf("this address is of an earlier run of the console. Look the event up again")
}
