package lambda

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"
)

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand ends the program rather than fail
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// NewTraceRoot has the form of an X-Ray trace id (AWS: X-Ray tracing header).
func NewTraceRoot(now time.Time) string {
	return "Root=1-" + strconv.FormatInt(now.Unix(), 16) + "-" + randomHex(12)
}
