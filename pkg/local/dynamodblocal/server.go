package dynamodblocal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/local/output"
)

// supervisor runs java as its child and ends it when its own standard input ends, which happens
// when the process that started it has ended, even by kill -9. It prints java's process id, and
// removes the temporary folder however java ends. It must not write to the dead parent's pipes, or
// SIGPIPE would end it before its work is done.
const supervisor = `
tmp=$1; shift
exec 3<&0 </dev/null
"$@" >&2 3<&- &
java=$!
exec 2>/dev/null
trap '' PIPE
( exec >/dev/null; while read -r line; do :; done; kill -9 $java; rm -rf "$tmp" ) <&3 &
watch=$!
exec 3<&-
echo $java
wait $java
status=$?
rm -rf "$tmp"
kill $watch
exit $status
`

const (
	// startTimeout is ten times the duration of a start on a busy two-core machine.
	startTimeout = 40 * time.Second
	// stopTimeout is when the supervisor itself is considered to hang.
	stopTimeout = 10 * time.Second
	// portTries bounds the starts with new ports after one was in use.
	portTries = 5
	// keptOutput, in bytes, is enough for a Java stack trace with its causes.
	keptOutput = 16 << 10
)

// Server is a running DynamoDB Local. Its data is in memory. It has no option to listen on
// 127.0.0.1 only: it listens on every address of the machine, so do not store anything in it that
// others on the same network must not read.
type Server struct {
	endpoint  string
	pid       int
	command   *exec.Cmd
	input     io.Closer
	temporary string
	output    output.Buffer
	done      chan struct{}
	stop      sync.Once
	stopErr   error
}

// errPortTaken means that a start can be repeated with a different port.
var errPortTaken = errors.New("the port is in use")

// Start runs the DynamoDB Local of a folder, in memory, on a free port. It serves when Start
// returns, and ends with this process, however that ends. The error is a *Fixable if there is no
// Java 17 or newer.
func Start(ctx context.Context, dir string) (*Server, error) {
	javas, faults, err := findJavas(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, j := range javas {
		s, err := startWith(ctx, j.path, dir)
		if err == nil {
			return s, nil
		}
		fault := ""
		if ctx.Err() == nil {
			fault = checkJava(ctx, j, environment())
		}
		if fault == "" {
			return nil, err
		}
		faults = append(faults, fault)
	}
	return nil, &Fixable{strings.Join(faults, ", ") + needsJava + lookedAt, installJava}
}

func startWith(ctx context.Context, java, dir string) (s *Server, err error) {
	for range portTries {
		var port int
		if port, err = loopback.FreePorts(1); err != nil {
			return nil, err
		}
		if s, err = startOn(ctx, java, dir, port); !errors.Is(err, errPortTaken) {
			break
		}
	}
	return s, err
}

// environment returns the variables that java needs to be found and run, without the user's AWS
// settings and JVM options.
func environment() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "JAVA_HOME", "LANG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func startOn(ctx context.Context, java, dir string, port int) (_ *Server, err error) {
	s := &Server{endpoint: "http://127.0.0.1:" + strconv.Itoa(port), done: make(chan struct{}), output: output.Buffer{Most: keptOutput}}
	if s.temporary, err = os.MkdirTemp("", "dynamodb-local-"); err != nil {
		return nil, fmt.Errorf("temporary folder: %w", err)
	}
	// The serial collector saves 70 MB. Compiling with C1 only would start a fifth faster, but
	// halve the speed of writes.
	s.command = exec.Command("sh", "-c", supervisor, "sh", s.temporary,
		java, "-Xmx512m", "-XX:+UseSerialGC", "-Djava.io.tmpdir="+s.temporary,
		"-Djava.library.path="+filepath.Join(dir, "DynamoDBLocal_lib"), "-jar", filepath.Join(dir, jar),
		"-port", strconv.Itoa(port), "-inMemory", "-sharedDb", "-disableTelemetry")
	s.command.Env = environment()
	s.command.Stderr = &s.output
	// A process group of its own: on Ctrl-C, the writers must end before the database.
	s.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.launch(); err != nil {
		return nil, errors.Join(fmt.Errorf("start DynamoDB Local: %w", err), os.RemoveAll(s.temporary))
	}
	if err := s.ready(ctx); err != nil {
		_ = s.Stop()
		text := s.output.String()
		if strings.Contains(text, "java.net.BindException") {
			return nil, errPortTaken
		}
		if text = output.LastLines(text, 10); text != "" {
			err = fmt.Errorf("%w; it wrote:\n%s", err, text)
		}
		return nil, err
	}
	return s, nil
}

// launch starts the supervisor and reads java's process id.
func (s *Server) launch() error {
	input, err := s.command.StdinPipe()
	if err != nil {
		return err
	}
	output, err := s.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.command.Start(); err != nil {
		return err
	}
	s.input = input
	line, readErr := bufio.NewReader(output).ReadString('\n')
	go func() {
		_ = s.command.Wait()
		close(s.done)
	}()
	if s.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return errors.Join(readErr, err, s.Stop())
	}
	return nil
}

// ready waits until the server responds. A response without AWS's request id comes from a different
// program that bound the port first, and java is about to fail.
func (s *Server) ready(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
		if err != nil {
			return err
		}
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			if response.Header.Get("X-Amzn-Requestid") != "" {
				return nil
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("DynamoDB Local ended while it started (%s)", s.command.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("DynamoDB Local did not start: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Endpoint returns the address for AWS_ENDPOINT_URL_DYNAMODB: http://127.0.0.1:<port>.
func (s *Server) Endpoint() string { return s.endpoint }

// PID returns the process id of the Java virtual machine.
func (s *Server) PID() int { return s.pid }

// Done is closed when the process has ended, expected or not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop ends the process, waits for it and removes its temporary folder. It may be called more than
// once.
func (s *Server) Stop() error {
	s.stop.Do(func() {
		_ = s.input.Close() // an error means that it has already ended
		late := time.NewTimer(stopTimeout)
		defer late.Stop()
		select {
		case <-s.done:
		case <-late.C:
			_ = syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL)
			<-s.done
		}
		if err := os.RemoveAll(s.temporary); err != nil {
			s.stopErr = fmt.Errorf("stop DynamoDB Local: %w", err)
		}
	})
	return s.stopErr
}
