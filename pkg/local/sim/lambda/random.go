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

// NewTraceRoot returns a new trace id in X-Ray's form (AWS: X-Ray tracing header).
func NewTraceRoot(now time.Time) string {
	return "Root=1-" + strconv.FormatInt(now.Unix(), 16) + "-" + randomHex(12)
}
