package parent

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// role is the part that this test binary plays as a child process.
const role = "PARENT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "parent": // starts the follower and waits to be ended
		self, _ := os.Executable()
		child := exec.Command(self)
		child.Env = append(os.Environ(), role+"=follower", "FOLLOW="+strconv.Itoa(os.Getpid()))
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			panic(err)
		}
		_, _ = os.Stdin.Read(make([]byte, 1))
	case "follower":
		of, _ := strconv.Atoi(os.Getenv("FOLLOW"))
		fmt.Print("following ")
		Follow(of, func() { fmt.Print("ended") })
	default:
		os.Exit(m.Run())
	}
}

// The parent is killed, so that it can tell nobody.
func TestTheDeathOfTheParentEndsItsFollower(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), role+"=parent")
	if _, err = parent.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := parent.StdoutPipe()
	if err == nil {
		err = parent.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	began := make([]byte, len("following "))
	if _, err := io.ReadFull(out, began); err != nil {
		t.Fatalf("%s, %v", began, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(out) // until the follower has ended too
	if err != nil || string(rest) != "ended" {
		t.Errorf("the follower wrote %q, %v", rest, err)
	}
	_ = parent.Wait()
}
