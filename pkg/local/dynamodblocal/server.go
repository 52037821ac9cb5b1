package dynamodblocal

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// supervisor runs java as a child and ends it when its own standard input ends: that
// is when the stack has gone, kill -9 included. It prints java's process id first.
const supervisor = `
tmp=$1; shift
exec 3<&0
"$@" </dev/null >&2 &
java=$!
echo $java
( cat <&3 >/dev/null; kill -9 $java ) 2>/dev/null &
watch=$!
wait $java
status=$?
rm -rf "$tmp"
exec 3<&-
kill $watch 2>/dev/null
exit $status
`

const startTimeout = 30 * time.Second

// Server is a running DynamoDB Local. Its data is in memory. It has no option to
// listen on 127.0.0.1 only.
type Server struct {
	endpoint string
	pid      int
	input    io.Closer
	done     chan struct{}
	stop     sync.Once
}

// Start runs the DynamoDB Local of that folder on a free port and waits until it
// serves. It returns a *Mend where there is no Java 17.
func Start(ctx context.Context, folder string) (*Server, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return nil, &Mend{"java is not installed; DynamoDB Local needs Java 17 or newer", installJava}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	temporary, err := os.MkdirTemp("", "dynamodb-local-")
	if err != nil {
		return nil, err
	}
	command := exec.Command("sh", "-c", supervisor, "sh", temporary, "java", "-Xmx512m", "-XX:+UseSerialGC", "-Xshare:auto",
		"-Djava.io.tmpdir="+temporary, "-Djava.library.path="+folder+"/DynamoDBLocal_lib",
		"-jar", folder+"/DynamoDBLocal.jar", "-port", strconv.Itoa(port), "-inMemory", "-sharedDb", "-disableTelemetry")
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "JAVA_HOME=" + os.Getenv("JAVA_HOME")}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var messages tail
	command.Stderr = &messages
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start DynamoDB Local: %w", err)
	}
	s := &Server{endpoint: "http://127.0.0.1:" + strconv.Itoa(port), input: input, done: make(chan struct{})}
	line, _ := bufio.NewReader(output).ReadString('\n')
	s.pid, _ = strconv.Atoi(strings.TrimSpace(line))
	go func() {
		_ = command.Wait()
		close(s.done)
	}()
	if err := s.ready(ctx); err != nil {
		s.Stop()
		if text := messages.String(); strings.Contains(text, "UnsupportedClassVersionError") {
			return nil, &Mend{"the installed java is older than 17", installJava}
		} else if text != "" {
			err = fmt.Errorf("%w: %s", err, lastLine([]byte(text)))
		}
		return nil, err
	}
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// ready waits until the server answers anything.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			return response.Body.Close()
		}
		select {
		case <-s.done:
			return fmt.Errorf("DynamoDB Local ended while it started")
		case <-ctx.Done():
			return fmt.Errorf("DynamoDB Local did not start: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Endpoint returns the address for AWS_ENDPOINT_URL_DYNAMODB.
func (s *Server) Endpoint() string { return s.endpoint }

// PID returns the process id of the Java virtual machine.
func (s *Server) PID() int { return s.pid }

// Done is closed when the process has ended, whether or not by Stop.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the process and waits for it.
func (s *Server) Stop() {
	s.stop.Do(func() { _ = s.input.Close() })
	<-s.done
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len() > 16<<10 {
		t.buf.Reset()
	}
	return t.buf.Write(b)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
