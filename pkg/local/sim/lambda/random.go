package lambda

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"
)

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

// NewTraceRoot has the form of an X-Ray trace id (AWS: X-Ray tracing header).
func NewTraceRoot(now time.Time) string {
	return "Root=1-" + strconv.FormatInt(now.Unix(), 16) + "-" + randomHex(12)
}
