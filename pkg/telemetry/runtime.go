package telemetry

import (
	"bytes"
	"io"
	"log"
)

// TakeStandardLog makes the standard logger write only what the Lambda runtime library logs of an
// invocation that failed. Other libraries write to it too: net/http quotes bytes of a peer, which
// may hold personal data.
func TakeStandardLog(out io.Writer) {
	log.SetFlags(0)
	log.SetOutput(runtimeOnly{out})
}

type runtimeOnly struct{ out io.Writer }

func (r runtimeOnly) Write(line []byte) (int, error) {
	if !bytes.HasPrefix(line, []byte(`{"errorMessage":`)) {
		return len(line), nil
	}
	return r.out.Write(line)
}
