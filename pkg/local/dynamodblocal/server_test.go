package dynamodblocal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"connexease-functions/pkg/local/output"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/laptop"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// parent makes the test binary start DynamoDB Local and wait.
const parent = "DYNAMODBLOCAL_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parent); dir != "" {
		s, err := Start(context.Background(), dir)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.PID())
		<-s.Done()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func installedDir(t *testing.T) string {
	t.Helper()
	laptop.NeedsJava(t)
	cache, err := Cache()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := Install(t.Context(), cache, func(line string) { t.Log(line) })
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// ownTemporary makes the servers' temporary folders visible to one test.
func ownTemporary(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	return folder
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func empty(t *testing.T, folder string) bool {
	t.Helper()
	left, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	return len(left) == 0
}

func listTables(t *testing.T, s *Server) error {
	db := dynamodb.New(dynamodb.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.Endpoint()), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	_, err := db.ListTables(t.Context(), &dynamodb.ListTablesInput{})
	return err
}

func TestItServesOnceStartReturnsAndStopLeavesNothing(t *testing.T) {
	dir, temporary := installedDir(t), ownTemporary(t)
	s, err := Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }()
	if err := listTables(t, s); err != nil {
		t.Error(err)
	}
	if group, err := syscall.Getpgid(s.PID()); err != nil || group == syscall.Getpgrp() {
		t.Errorf("a terminal's Ctrl-C would reach it: group %d, %v", group, err)
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-s.Done():
	default:
		t.Error("Done is open after Stop")
	}
	if !gone(s.PID()) || !empty(t, temporary) {
		t.Error("the process or its temporary folder is left")
	}
}

func TestItEndsWhenItsParentIsKilled(t *testing.T) {
	dir, temporary := installedDir(t), ownTemporary(t)
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), parent+"="+dir)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(output).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || gone(pid) || empty(t, temporary) {
		t.Fatalf("it did not start: %q", line)
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
	await.Until(t, "the JVM ends", func() bool { return gone(pid) })
	await.Until(t, "the temporary folder is removed", func() bool { return empty(t, temporary) })
}

func TestAnUnexpectedEndClosesDoneAndAPortInUseIsReplaced(t *testing.T) {
	dir, temporary := installedDir(t), ownTemporary(t)
	java, err := exec.LookPath("java")
	if err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(t.TempDir(), "taken")
	path := os.Getenv("PATH")
	t.Setenv("JAVA_HOME", "")
	tool(t, "java", "if /bin/mkdir '"+taken+"' 2>/dev/null; then echo 'java.net.BindException: Address already in use' >&2; exit 1; fi\nexec '"+java+`' "$@"`)
	t.Setenv("PATH", os.Getenv("PATH")+string(os.PathListSeparator)+path)
	s, err := Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }()
	if _, err := os.Stat(taken); err != nil {
		t.Error("the first port was not refused")
	}
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if !empty(t, temporary) {
		t.Error("the temporary folder is left")
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func TestADifferentProgramOnThePortIsNotMistakenForDynamoDB(t *testing.T) {
	temporary := ownTemporary(t)
	answered := filepath.Join(t.TempDir(), "answered")
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		_ = os.WriteFile(answered, nil, 0o600)
	}))
	defer other.Close()
	port := other.Listener.Addr().(*net.TCPAddr).Port
	onlyJava(t, "until test -e '"+answered+"'; do /bin/sleep 0.01; done; echo java.net.BindException; exit 1", "")
	javas, _, err := findJavas(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := startOn(t.Context(), javas[0].path, t.TempDir(), port); !errors.Is(err, errPortTaken) {
		t.Errorf("got %v", err)
	}
	if !empty(t, temporary) {
		t.Error("the temporary folder is left")
	}
}

func TestAFailedStartShowsJavasOutputAndLeavesNothing(t *testing.T) {
	temporary := ownTemporary(t)
	onlyJava(t, `if test "$1" = -version; then echo 'openjdk version "17.0.1"'; exit 0; fi; echo first; echo 'no memory' >&2; exit 3`, "")
	_, err := Start(t.Context(), t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "(exit status 3); it wrote:\nfirst\nno memory") {
		t.Errorf("got %v", err)
	}
	if !empty(t, temporary) {
		t.Error("the temporary folder is left")
	}
}

func TestNeitherAWSNorJVMSettingsOfTheUserReachJava(t *testing.T) {
	for _, name := range []string{"AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "JAVA_TOOL_OPTIONS"} {
		t.Setenv(name, "of-the-user")
	}
	seen := filepath.Join(t.TempDir(), "seen")
	onlyJava(t, "/usr/bin/env > '"+seen+"'; exit 1", "")
	if _, err := Start(t.Context(), t.TempDir()); err == nil {
		t.Fatal("it started")
	}
	environment, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(environment), "PATH=") || strings.Contains(string(environment), "of-the-user") {
		t.Errorf("java saw %s, %v", environment, err)
	}
}

func TestACancelledStartEndsItsProcesses(t *testing.T) {
	temporary := ownTemporary(t)
	running := filepath.Join(t.TempDir(), "running")
	onlyJava(t, "echo $$ > '"+running+".new'; /bin/mv '"+running+".new' '"+running+"'; exec /bin/sleep 60", "")
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := Start(ctx, t.TempDir())
		failed <- err
	}()
	await.Until(t, "java runs", func() bool { _, err := os.Stat(running); return err == nil })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	line, err := os.ReadFile(running)
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(line))); err != nil || !gone(pid) || !empty(t, temporary) {
		t.Errorf("process %d or its temporary folder is left, %v", pid, err)
	}
}

func TestTheEndOfALongOutputIsKept(t *testing.T) {
	kept := output.Buffer{Most: keptOutput}
	for i := range 5000 {
		_, _ = fmt.Fprintf(&kept, "line %d\n", i)
	}
	text := kept.String()
	if len(text) > keptOutput || output.LastLines(text, 2) != "line 4998\nline 4999" {
		t.Errorf("%d bytes kept, ending %q", len(text), output.LastLines(text, 2))
	}
}
