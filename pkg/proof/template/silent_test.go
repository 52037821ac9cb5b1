package template

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// without returns a copy of the scanned code, from which a test may remove things.
func without(s *source, take func(*source)) *source {
	c := &source{map[string]*code{}, maps.Clone(s.logKeys)}
	for id, f := range s.functions {
		c.functions[id] = &code{
			maps.Clone(f.variables), maps.Clone(f.operations), maps.Clone(f.indexes), maps.Clone(f.metrics), maps.Clone(f.routes), maps.Clone(f.numbers),
		}
	}
	take(c)
	return c
}

// A check that looks up its subject by name must fail when it is missing.
func TestACheckReportsAMissingSubject(t *testing.T) {
	constant := func(function, name string) func(*proof) {
		return func(p *proof) {
			p.source = without(p.source, func(s *source) { delete(s.functions[function].numbers, name) })
		}
	}
	line := func(pattern string) func(*proof) {
		return func(p *proof) {
			found := regexp.MustCompile(pattern)
			if !found.MatchString(p.readmes) {
				t.Errorf("README has no %s", pattern)
			}
			p.readmes = found.ReplaceAllString(p.readmes, "")
		}
	}
	for what, c := range map[string]struct {
		take        func(*proof)
		check, says string
	}{
		"records at once, send":    {constant("SendFunction", "parallel"), "times", `no constant "parallel"`},
		"records at once, webhook": {constant("WebhookFunction", "parallelDrains"), "times", `no constant "parallelDrains"`},
		"webhook's budget":         {constant("WebhookFunction", "budget"), "times", "budget"},
		"send's margin":            {constant("SendFunction", "answerMargin"), "times", "leaves no time"},
		"send's limit of HTTP":     {constant("SendFunction", "httpLimit"), "times", "httpLimit"},
		"a function with a queue": {func(p *proof) {
			p.source = without(p.source, func(s *source) { delete(s.functions, "WebhookFunction") })
		}, "times", "has no code"},
		"metrics": {func(p *proof) {
			p.source = without(p.source, func(s *source) { clear(s.functions["SendFunction"].metrics) })
		}, "metrics", "does not write it"},
		"keys of log lines": {func(p *proof) { p.source = without(p.source, func(s *source) { clear(s.logKeys) }) }, "queries", "no line of"},
		"routes": {func(p *proof) {
			p.source = without(p.source, func(s *source) { clear(s.functions["SendFunction"].routes) })
		}, "routes", "SendFunction has the routes"},
		"variables": {func(p *proof) {
			p.source = without(p.source, func(s *source) { clear(s.functions["SendFunction"].variables) })
		}, "variables", "does not read"},
		"operations": {func(p *proof) {
			p.source = without(p.source, func(s *source) { clear(s.functions["SendFunction"].operations) })
		}, "grants", "never calls"},
		"an alarm's row":         {line(`(?m)^.*EventsStuck.*what happened|` + "`EventsLate`"), "readme", "does not have the alarm EventsLate"},
		"the table of alarms":    {line(`(?m)^\| alarm \|`), "readme", "does not have the alarm WebhookFailing"},
		"a parameter's row":      {line("(?m)^\\| `GatewayUrl`.*\n"), "readme", "does not have the parameter GatewayUrl"},
		"a fault":                {line("`reset_during`"), "readme", "does not have the fault reset_during"},
		"the list of faults":     {line("Faults: "), "readme", "does not have the fault answer"},
		"a member of the detail": {line("(?m)^\\| `is_fake` \\|.*\n"), "readme", "table of members"},
		"a detail type":          {line("(?m)^\\| 4 \\|.*\n"), "readme", "table of detail types"},
		"saved queries":          {line("saved quer(y|ies)"), "readme", "names no saved query"},
		"regions":                {line(`(?m)^\| all of it \|.*\n`), "readme", "1 rows of regions"},
		"a region":               {line("`eu-west-1` "), "readme", "does not have the region eu-west-1"},
		"linted regions":         {func(p *proof) { p.makefile = strings.ReplaceAll(p.makefile, "REGIONS = ", "REGIONS := ") }, "readme", "the Makefile has no REGIONS"},
		"a fuzz test": {func(p *proof) {
			p.tests = func(folder string) string { return strings.ReplaceAll(testsOf(folder), "FuzzSplit", "FuzzCut") }
		}, "commands", "pkg/whatsapp has no FuzzSplit"},
		"the test of what SAM makes": {func(p *proof) {
			p.tests = func(folder string) string {
				return strings.ReplaceAll(testsOf(folder), "func TestWhatSAM", "func TestSAM")
			}
		}, "commands", "pkg/proof/template has no TestWhatSAMMakes"},
		"a long run of README": {func(p *proof) {
			p.tests = func(folder string) string {
				return strings.ReplaceAll(testsOf(folder), "func TestAStorm", "func TestStorm")
			}
		}, "commands", "functions/send has no TestAStorm"},
		"all commands":        {func(p *proof) { p.makefile = "" }, "commands", "commands name a test"},
		"the lint of regions": {func(p *proof) { p.makefile = strings.ReplaceAll(p.makefile, " -r $(REGIONS)", "") }, "readme", "does not check REGIONS"},
	} {
		p := project(t, nil)
		c.take(p)
		if faults := checks[c.check](p); !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, c.says) }) {
			t.Errorf("%s gone: %s says %q, want …%s…", what, c.check, faults, c.says)
		}
	}
}

// A check that no edit triggers might never report anything.
func TestEveryCheckIsSeenToFail(t *testing.T) {
	for name := range checks {
		if name != "commands" && !slices.ContainsFunc(edits, func(e edit) bool { return e.check == name }) { // seen above
			t.Errorf("no edit triggers %s", name)
		}
	}
	for _, e := range edits {
		if checks[e.check] == nil {
			t.Errorf("there is no check %s", e.check)
		}
	}
}
