//go:build oracles

package oracles

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"connexease-functions/pkg/local/sim/eventpattern"
)

type rulerCase struct {
	Pattern string   `json:"pattern"`
	Events  []string `json:"events"`
}

// tools is the folder in which make oracles installed the tools.
func tools(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("ORACLES")
	if dir == "" {
		t.Fatal("ORACLES does not name the folder of the tools: run make oracles")
	}
	return dir
}

// ruler runs Event Ruler, and returns a line for each case.
func ruler(t *testing.T, cases []rulerCase) []string {
	t.Helper()
	var in bytes.Buffer
	for _, c := range cases {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	java := "java"
	if home := os.Getenv("JAVA_HOME"); home != "" { // Maven uses it too
		java = filepath.Join(home, "bin", "java")
	}
	command := exec.CommandContext(t.Context(), java, "-cp", filepath.Join(tools(t), "jars", "*"), filepath.Join("testdata", "Oracle.java"))
	command.Stdin, command.Stderr = &in, os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	scanner := bufio.NewScanner(bytes.NewReader(out))
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	if len(lines) != len(cases) {
		t.Fatalf("%d results for %d cases", len(lines), len(cases))
	}
	return lines
}

// ours returns lines like Oracle.java's.
func ours(c rulerCase) string {
	p, err := eventpattern.ParsePattern(c.Pattern)
	if err != nil {
		return "error: " + err.Error()
	}
	var b strings.Builder
	for _, e := range c.Events {
		b.WriteByte(map[bool]byte{false: '0', true: '1'}[p.Match([]byte(e))])
	}
	return b.String()
}

// Two bugs of Event Ruler are known and not copied, because its documentation says otherwise.
//   - A later member of $or that shares a value with an earlier one of the same paths is dropped
//     whole: {"$or": [{"b": ["y"]}, {"b": ["y", "x"]}]} does not match {"b": "x"}.
//   - A wildcard with two stars and an equals-ignore-case in one list match what neither does:
//     {"b": [{"wildcard": "*a*b"}, {"equals-ignore-case": "ß"}]} matches {"b": "x"}.
//
// excused reports whether those bugs explain a difference.
func excused(pattern, theirs, our string) bool {
	return strings.Contains(pattern, `"$or"`) && covers(our, theirs) ||
		strings.Contains(pattern, `"wildcard"`) && strings.Contains(pattern, `"equals-ignore-case"`) && covers(theirs, our)
}

// covers reports whether more matches wherever fewer does.
func covers(more, fewer string) bool {
	for i := range fewer {
		if fewer[i] > more[i] {
			return false
		}
	}
	return true
}

// mostExcused is how many patterns in ten thousand may hit those bugs.
const mostExcused = 5

func compare(t *testing.T, cases []rulerCase) (refused, matched, unmatched int) {
	t.Helper()
	different, known := 0, 0
	for i, theirs := range ruler(t, cases) {
		our := ours(cases[i])
		theyRefuse, weRefuse := strings.HasPrefix(theirs, "error: "), strings.HasPrefix(our, "error: ")
		switch {
		case theyRefuse && weRefuse:
			refused++
		case our == theirs:
			matched += strings.Count(theirs, "1")
			unmatched += strings.Count(theirs, "0")
		case !theyRefuse && !weRefuse && excused(cases[i].Pattern, theirs, our):
			known++
		default:
			if different++; different <= 20 {
				t.Errorf("%s\n%s\nEvent Ruler: %s\nhere: %s", cases[i].Pattern, strings.Join(cases[i].Events, "\n"), theirs, our)
			}
		}
	}
	if different > 0 || known > 1+len(cases)*mostExcused/10_000 {
		t.Errorf("%d of %d patterns differ, and %d by known bugs of Event Ruler", different, len(cases), known)
	}
	return refused, matched, unmatched
}

func TestPatternsMatchAndAreRefusedAsByEventRuler(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(2026, 11)), operators: map[string]int{}}
	var cases []rulerCase
	pairs := 0
	for pairs < 60_000 {
		c := rulerCase{Pattern: g.pattern()}
		for range 5 {
			c.Events = append(c.Events, g.event())
		}
		cases = append(cases, c)
		pairs += len(c.Events)
	}
	refused, matched, unmatched := compare(t, cases)
	t.Logf("%d pairs: %d patterns refused, %d events matched and %d did not; operators %v", pairs, refused, matched, unmatched, g.operators)
	if refused < 1000 || matched < 2000 || unmatched < 20_000 {
		t.Error("the pairs try too little")
	}
	for _, name := range []string{"prefix", "suffix", "equals-ignore-case", "wildcard", "numeric", "anything-but", "exists", "cidr", "$or"} {
		if g.operators[name] < 500 {
			t.Errorf("%s was tried %d times", name, g.operators[name])
		}
	}
}
