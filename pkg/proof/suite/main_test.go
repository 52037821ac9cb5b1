package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestALongTestIsNamedAndSkipsAndFailuresAreListedAtTheEnd(t *testing.T) {
	var out bytes.Buffer
	now := time.Now()
	r := &report{out: &out, now: func() time.Time { return now }, said: now, output: map[string][]string{}, running: map[string]time.Time{}, skipped: map[string][]string{}}
	feed := func(lines string) {
		if err := r.read(strings.NewReader(lines)); err != nil {
			t.Fatal(err)
		}
	}
	feed(`{"Action":"start","Package":"connexease-functions/pkg/a"}
{"Action":"run","Package":"connexease-functions/pkg/a","Test":"TestSlow"}
`)
	now = now.Add(beat - time.Second)
	r.beat()
	if out.Len() != 0 {
		t.Errorf("said too early: %s", out.String())
	}
	now = now.Add(time.Second)
	r.beat()
	feed(`{"Action":"pass","Package":"connexease-functions/pkg/a","Test":"TestSlow","Elapsed":15}
{"Action":"run","Package":"connexease-functions/pkg/a","Test":"TestNot"}
{"Action":"output","Package":"connexease-functions/pkg/a","Test":"TestNot","Output":"    a_test.go:12: needs Java\n"}
{"Action":"skip","Package":"connexease-functions/pkg/a","Test":"TestNot"}
{"Action":"output","Package":"connexease-functions/pkg/a","Test":"TestNor","Output":"    b_test.go:3: needs Java\n"}
{"Action":"skip","Package":"connexease-functions/pkg/a","Test":"TestNor"}
{"Action":"output","Package":"connexease-functions/pkg/a","Test":"TestAlone","Output":"    b_test.go:6: seed 4711\n"}
{"Action":"output","Package":"connexease-functions/pkg/a","Test":"TestAlone","Output":"    b_test.go:7: needs Linux\n"}
{"Action":"output","Package":"connexease-functions/pkg/a","Test":"TestAlone","Output":"--- SKIP: TestAlone (0.00s)\n"}
{"Action":"skip","Package":"connexease-functions/pkg/a","Test":"TestAlone"}
{"Action":"run","Package":"connexease-functions/pkg/a","Test":"TestBad"}
{"Action":"output","Package":"connexease-functions/pkg/a","Test":"TestBad","Output":"    a_test.go:20: 1, want 2\n"}
{"Action":"fail","Package":"connexease-functions/pkg/a","Test":"TestBad"}
{"Action":"output","Package":"connexease-functions/pkg/a","Output":"-test.shuffle 7\n"}
{"Action":"fail","Package":"connexease-functions/pkg/a","Elapsed":15.2}
{"Action":"start","Package":"connexease-functions/pkg/b"}
{"Action":"run","Package":"connexease-functions/pkg/b","Test":"TestKilled"}
{"Action":"output","Package":"connexease-functions/pkg/b","Output":"signal: killed\n"}
{"Action":"fail","Package":"connexease-functions/pkg/b","Elapsed":0.1}
{"ImportPath":"connexease-functions/pkg/c","Action":"build-output","Output":"c.go:1: no such thing\n"}
`)
	if len(r.running) != 0 {
		t.Errorf("still running are %v", r.running)
	}
	r.end()
	want := `...   pkg/a TestSlow, for 15 s
    a_test.go:20: 1, want 2
-test.shuffle 7
FAIL  pkg/a  15.2 s
signal: killed
FAIL  pkg/b  0.1 s
c.go:1: no such thing
skip  2 tests, such as pkg/a TestNor: needs Java
skip  pkg/a TestAlone: needs Linux
1 passed, 3 skipped, 3 failed
FAIL  pkg/a TestBad
FAIL  pkg/a
FAIL  pkg/b
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestTestsSeeNothingOfTheShellsAWS(t *testing.T) {
	got := ownEnvironment([]string{"PATH=/bin", "AWS_PROFILE=mine", "AWS_ENDPOINT_URL_SQS=http://127.0.0.1:1", "HOME=/h"})
	if want := []string{"PATH=/bin", "HOME=/h"}; !slices.Equal(got, want) {
		t.Errorf("tests see %v, want %v", got, want)
	}
}

func TestArgumentsAfterTwoDashesAreOfAnotherRun(t *testing.T) {
	got := runs([]string{"-race", "./a", "./b", "--", "-short", "./c"})
	if len(got) != 2 || !slices.Equal(got[0], []string{"-race", "./a", "./b"}) || !slices.Equal(got[1], []string{"-short", "./c"}) {
		t.Errorf("runs are %q", got)
	}
}
