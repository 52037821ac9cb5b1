package ledger

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"connexease-functions/pkg/canonical"
)

const (
	idPrefix    = "msg_"
	idLength    = 26 // 130 bits
	tokenLength = 16 // 80 bits
	keyLimit    = 255
	alphabet    = "abcdefghijklmnopqrstuvwxyz234567"
)

var base32Lower = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// ID is the message id of a key in a scope: msg_ and 26 characters of lower-case
// base32 (RFC 4648), the first 130 bits of SHA-256 over both, each with its length
// before it, so that no scope and key run into another pair.
func ID(scope, key string) string {
	var data []byte
	for _, part := range []string{scope, key} {
		data = binary.BigEndian.AppendUint64(data, uint64(len(part)))
		data = append(data, part...)
	}
	sum := sha256.Sum256(data)
	return idPrefix + base32Lower.EncodeToString(sum[:])[:idLength]
}

// RandomID is the message id of a request without a key. The error is the reader's.
func RandomID(rand io.Reader) (string, error) {
	random, err := randomText(rand, idLength)
	return idPrefix + random, err
}

// NewToken names one attempt: 16 characters of lower-case base32, 80 random bits, so
// that nobody can guess it and forge a receipt. The error is the reader's.
func NewToken(rand io.Reader) (string, error) {
	return randomText(rand, tokenLength)
}

func randomText(rand io.Reader, length int) (string, error) {
	random := make([]byte, (length*5+7)/8)
	if _, err := io.ReadFull(rand, random); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return base32Lower.EncodeToString(random)[:length], nil
}

// Opaque is the biz_opaque_callback_data of an attempt: WhatsApp hands it back in
// the statuses of the message, and so links a receipt to the attempt that sent it.
func Opaque(id, token string) string { return id + "." + token }

// ParseOpaque splits what Opaque made. ok is false for anything else, even with its prefix.
func ParseOpaque(s string) (id, token string, ok bool) {
	id, token, _ = strings.Cut(s, ".")
	if !ValidID(id) || !base32Text(token, tokenLength) {
		return "", "", false
	}
	return id, token, true
}

// ValidID reports whether s has the form of a message id.
func ValidID(s string) bool {
	return strings.HasPrefix(s, idPrefix) && base32Text(s[len(idPrefix):], idLength)
}

func base32Text(s string, length int) bool {
	return len(s) == length && strings.Trim(s, alphabet) == ""
}

// ValidKey reports whether a string can be an idempotency key: 1 to 255 visible ASCII characters.
func ValidKey(key string) bool {
	if key == "" || len(key) > keyLimit {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

// fingerprintVersion stands before a fingerprint, so that rows keep what they were compared by.
const fingerprintVersion = "2:"

// Fingerprint distinguishes requests under the same key: a version and hexadecimal
// SHA-256 of the two switches, the sender that the request names and the body in canonical JSON,
// so that it does not matter how a caller's library orders members and spells strings and numbers.
// A fallback, nil where there is none, is part of it, and so is the choice that lets it leave. What
// does not change the message (validity, choices about unknown outcomes) is not part of it. No
// sender, or the default one, leaves it as it was before there were several. A body that is not
// JSON, as a refused record may have, stands for itself.
func Fingerprint(isFake, mmlite bool, sender string, body, fallback []byte) string {
	body = spelled(body)
	if fallback != nil { // canonical JSON has no line break
		body = slices.Concat(body, []byte("\nfallback\n"), spelled(fallback))
	}
	return fingerprintVersion + digest(isFake, mmlite, sender, body)
}

// spelled is a body in canonical JSON, or as it is where it is not JSON.
func spelled(body []byte) []byte {
	if v, _, err := canonical.Parse(body); err == nil {
		return v.Append(nil)
	}
	return body
}

func digest(isFake, mmlite bool, sender string, body []byte) string {
	hash := sha256.New()
	fmt.Fprintf(hash, "is_fake=%t&mmlite=%t", isFake, mmlite)
	if sender != "" {
		hash.Write([]byte("&sender=" + sender)) // letters, digits, dots, hyphens and underscores
	}
	hash.Write([]byte{'\n'})
	hash.Write(body)
	return hex.EncodeToString(hash.Sum(nil))
}

// fits reports whether a row belongs to this request, whose time is part of it. Rows that were written before fingerprints
// had a version have that of the compacted body as it came: the same bytes were the same request.
func (r *Request) fits(row *Send) bool {
	if !row.NotBefore.Equal(r.NotBefore) {
		return false
	}
	if row.Fingerprint == r.Fingerprint {
		return true
	}
	old := !strings.HasPrefix(row.Fingerprint, fingerprintVersion) && r.Fallback == nil
	return old && row.Fingerprint == digest(r.IsFake, r.MMLite, r.Asked, r.Payload)
}
