package main

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"connexease-functions/pkg/local/template"
)

// greeter listens on 127.0.0.1 only, says one line to each visitor, and returns its port.
func greeter(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprintln(c, "hello")
			_ = c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// heard is what a visitor of an address gets, or "" where it gets nothing.
func heard(address string) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	line, _ := bufio.NewReader(c).ReadString('\n')
	return line
}

func TestTheBridgeIsOpenToItsContainersOnlyAndForItsTimeOnly(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8, which stands for a bridge here")
	}
	port, gateway := greeter(t), netip.MustParseAddr("127.0.0.2")
	address := netip.AddrPortFrom(gateway, uint16(port)).String()
	for _, c := range []struct{ subnet, want string }{{"127.0.0.0/8", "hello\n"}, {"172.17.0.0/16", ""}} {
		b, err := openBridge(netip.MustParsePrefix(c.subnet), gateway, []int{port})
		if err != nil {
			t.Fatal(err)
		}
		if got := heard(address); got != c.want {
			t.Errorf("from 127.0.0.1, open to %s: heard %q, want %q", c.subnet, got, c.want)
		}
		b.close()
		if got := heard(address); got != "" {
			t.Errorf("heard %q after the end", got)
		}
	}
}

func TestABridgeOfAnotherMachineNeedsNoForwarding(t *testing.T) {
	b, err := openBridge(netip.MustParsePrefix("203.0.113.0/24"), netip.MustParseAddr("203.0.113.1"), []int{8080})
	if err != nil || len(b.listeners) != 0 {
		t.Errorf("%d listeners, error %v, want none", len(b.listeners), err)
	}
}

func TestTheLocalTemplateIsTheDeployedOneForThisMachineWithTheEndpointsDeclared(t *testing.T) {
	source, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, runtime, err := localTemplate(source, x86)
	if err != nil {
		t.Fatal(err)
	}
	if runtime != "provided.al2023" {
		t.Errorf("runtime %q", runtime)
	}
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	local, deployed := functions(t, path), functions(t, "../../../template.yaml")
	if len(local) != len(deployed) || len(local) == 0 {
		t.Fatalf("%d functions, want %d", len(local), len(deployed))
	}
	for i, f := range local {
		for _, name := range endpoints {
			if _, declared := f.Environment[name]; !declared {
				t.Errorf("%s: %s is not declared", f.Name, name)
			}
		}
		if got, want := len(f.Environment), len(deployed[i].Environment)+len(endpoints); got != want {
			t.Errorf("%s: %d variables, want %d", f.Name, got, want)
		}
	}
}

func functions(t *testing.T, path string) []template.Function {
	t.Helper()
	tpl, err := template.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := tpl.Functions()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatIsNotInstalledIsSaidBeforeAnythingIsMade(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Chdir(t.TempDir())
	err := run(t.Context(), false, 0)
	if err == nil || !strings.Contains(err.Error(), "apt-get install docker.io") || !strings.Contains(err.Error(), "apt-get install python3-venv") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("it made %v, %v", left, err)
	}
}
