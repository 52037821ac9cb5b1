package lambda

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// maxLine bounds the bytes that are held back until a line ends; CloudWatch's own limit of a log
// event is 1 MB (AWS: CloudWatch Logs quotas).
const maxLine = 1 << 20

// logging serialises the lines of all processes: functions may share a writer.
var logging sync.Mutex

// logSink receives the lines of all processes of a function.
type logSink struct{ out io.Writer }

func (s *logSink) write(line []byte) {
	if s.out == nil {
		return
	}
	logging.Lock()
	defer logging.Unlock()
	_, _ = s.out.Write(line)
}

// platform writes the line that Lambda itself logs for a timeout or crash (AWS: Lambda Telemetry
// API Event schema reference): the process can no longer report it.
func (s *logSink) platform(kind, requestID, status string) {
	if s.out == nil {
		return
	}
	type record struct {
		RequestID string `json:"requestId,omitempty"`
		Status    string `json:"status"`
	}
	line, err := json.Marshal(struct {
		Time   string `json:"time"`
		Type   string `json:"type"`
		Record record `json:"record"`
	}{time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), kind, record{requestID, status}})
	if err != nil {
		return
	}
	s.write(append(line, '\n'))
}

// lineWriter cuts the output of one process into lines. os/exec writes to it from one goroutine, as
// stdout and stderr are the same writer.
type lineWriter struct {
	sink *logSink
	rest []byte
}

func (w *lineWriter) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		if len(w.rest) == 0 {
			w.sink.write(b[:i+1])
		} else {
			w.sink.write(append(w.rest, b[:i+1]...))
			w.rest = w.rest[:0]
		}
		b = b[i+1:]
	}
	w.rest = append(w.rest, b...)
	if len(w.rest) > maxLine {
		w.flush()
	}
	return n, nil
}

func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.sink.write(append(w.rest, '\n'))
		w.rest = w.rest[:0]
	}
}
