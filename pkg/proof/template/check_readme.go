package template

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"connexease-functions/pkg/events/schema"
	"connexease-functions/pkg/local/sim/connexease"
)

// inCode is a name between backticks.
var inCode = regexp.MustCompile("`([^`]+)`")

// rows returns the rows of the READMEs' tables whose first column has this heading, without the
// heading and its rule, each as its cells.
func rows(text, heading string) (all [][]string) {
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "| "+heading+" |"):
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			var cells []string
			for cell := range strings.SplitSeq(strings.Trim(strings.ReplaceAll(line, `\|`, "¦"), "|"), "|") {
				cells = append(cells, strings.TrimSpace(cell))
			}
			all = append(all, cells)
		}
	}
	return all
}

func codes(cell string) (all []string) {
	for _, m := range inCode.FindAllStringSubmatch(cell, -1) {
		all = append(all, m[1])
	}
	return all
}

// both reports names that are on one side only.
func both(what string, written, real []string) (faults []string) {
	for _, name := range written {
		if !slices.Contains(real, name) {
			faults = append(faults, fmt.Sprintf("README names an unknown %s: %s", what, name))
		}
	}
	for _, name := range real {
		switch n := count(written, name); {
		case n == 0:
			faults = append(faults, fmt.Sprintf("README does not have the %s %s", what, name))
		case n > 1:
			faults = append(faults, fmt.Sprintf("README has the %s %s in %d rows", what, name, n))
		}
	}
	return faults
}

func count(all []string, name string) (n int) {
	for _, one := range all {
		if one == name {
			n++
		}
	}
	return n
}

// readmeIsBound: READMEs name exactly the alarms, parameters, faults, members, saved queries and
// regions that exist, and API Gateway's throttles.
func readmeIsBound(p *proof) (faults []string) {
	var written, real []string
	for _, row := range rows(p.readmes, "alarm") {
		written = append(written, codes(row[0])...)
	}
	for id := range p.every("AWS::CloudWatch::Alarm") {
		real = append(real, id)
	}
	faults = append(faults, both("alarm", written, real)...)
	faults = append(faults, p.settings()...)

	_, list, _ := strings.Cut(p.readmes, "Faults: ")
	list, _, _ = strings.Cut(list, ";")
	faults = append(faults, both("fault", codes(regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(list, "")), connexease.FaultKinds)...)

	for what, want := range map[string]string{"detail types": schema.Types(), "members of the detail": schema.Table()} {
		if !strings.Contains(p.readmes, want) {
			faults = append(faults, "README does not have the table of "+what)
		}
	}
	faults = append(faults, p.throttles()...)
	faults = append(faults, p.savedQueries()...)
	faults = append(faults, p.regions()...)
	return append(faults, p.secretsByStandardInput()...)
}

// settings compares the table of parameters, with their defaults.
func (p *proof) settings() (faults []string) {
	var written, real []string
	for _, row := range rows(p.readmes, "parameter") {
		names := codes(row[0])
		written = append(written, names...)
		defaults := strings.Split(strings.Trim(row[1], "`"), ", ")
		for i, name := range names {
			value := defaults[min(i, len(defaults)-1)]
			if want := ref(find(p.Root(), "Parameters", name, "Default")); value != want {
				faults = append(faults, fmt.Sprintf("README: the default of %s is %q, not %q", name, want, value))
			}
		}
	}
	for name := range each(find(p.Root(), "Parameters")) {
		real = append(real, name)
	}
	return append(faults, both("parameter", written, real)...)
}

// throttles: READMEs say at how many requests a second API Gateway refuses some.
func (p *proof) throttles() (faults []string) {
	number := func(path ...string) string {
		n, _ := strconv.Atoi(ref(find(p.Root(), path...)))
		return message.NewPrinter(language.English).Sprint(n)
	}
	settings := []string{"Resources", "HttpApi", "Properties"}
	webhook := number(append(settings, "RouteSettings", webhookRoute, "ThrottlingRateLimit")...)
	sends, others := number("Parameters", "SendRequestsPerSecond", "Default"), number(append(settings, "DefaultRouteSettings", "ThrottlingRateLimit")...)
	words := strings.Join(strings.Fields(p.readmes), " ")
	for _, want := range []string{
		"API Gateway's own: over " + webhook + " requests a second",
		"the route's throttle of " + webhook + " a second",
		"over `SendRequestsPerSecond` (" + sends + ") requests a second to `POST /v1/wa/message`, or " + others + " to the other routes",
	} {
		if !strings.Contains(words, want) {
			faults = append(faults, "README does not say: "+want)
		}
	}
	return faults
}

// savedQueries: those that READMEs refer to exist.
func (p *proof) savedQueries() (faults []string) {
	var names []string
	for _, n := range p.every("AWS::Logs::QueryDefinition") {
		names = append(names, strings.ToLower(strings.TrimPrefix(ref(find(n, "Properties", "Name")), "${AWS::StackName}/")))
	}
	named := regexp.MustCompile(`saved query "([^"]+)"`).FindAllStringSubmatch(p.readmes, -1)
	if named == nil {
		faults = append(faults, "README names no saved query")
	}
	for _, m := range named {
		if !slices.Contains(names, strings.ToLower(m[1])) {
			faults = append(faults, "README names an unknown saved query: "+m[1])
		}
	}
	return faults
}

// regions: READMEs name the regions that make lint-template checks.
func (p *proof) regions() (faults []string) {
	linted := func(variable string) []string {
		text := strings.ReplaceAll(p.makefile, "\\\n", " ")
		m := regexp.MustCompile(`(?m)^` + variable + ` = (.*)$`).FindStringSubmatch(text)
		if m == nil {
			faults = append(faults, "the Makefile has no "+variable)
			return nil
		}
		if !strings.Contains(p.makefile, "-r $("+variable+")") {
			faults = append(faults, "make lint-template does not check "+variable)
		}
		return strings.Fields(m[1])
	}
	table := rows(p.readmes, "where")
	if len(table) != 2 {
		return append(faults, fmt.Sprintf("README has %d rows of regions", len(table)))
	}
	faults = append(faults, both("region", codes(table[0][1]), linted("REGIONS"))...)
	return append(faults, both("region without pipes", codes(table[1][1]), linted("REGIONS_WITHOUT_PIPES"))...)
}

// commandsRunTests: go test succeeds even if no test matches, so a command of the Makefile or of a
// README would always pass once its test is renamed.
func commandsRunTests(p *proof) (faults []string) {
	seen := 0
	for _, m := range regexp.MustCompile(`go test [^\n|`+"`"+`]*?-(?:run|fuzz) ((?:Test|Fuzz)\w+) (?:[^\n|`+"`"+`]* )?\./([\w/]+)`).FindAllStringSubmatch(p.makefile+p.readmes, -1) {
		seen++
		if !strings.Contains(p.tests(m[2]), "\nfunc "+m[1]) {
			faults = append(faults, fmt.Sprintf("%s has no %s", m[2], m[1]))
		}
	}
	if seen < leastCommands {
		faults = append(faults, fmt.Sprintf("only %d commands name a test", seen))
	}
	return faults
}

// leastCommands is the present number of such commands in the Makefile and READMEs.
const leastCommands = 9

// secretsByStandardInput: a typed secret would stay in the shell's history, and an argument shows
// in the list of processes.
func (p *proof) secretsByStandardInput() (faults []string) {
	texts := []string{p.readmes}
	walk(p.Root(), func(n *yaml.Node) { texts = append(texts, n.Value) })
	seen := 0
	for _, text := range texts {
		for _, m := range regexp.MustCompile(`--secret-string\s+(\S+)`).FindAllStringSubmatch(text, -1) {
			if seen++; strings.TrimRight(m[1], ";,") != "file:///dev/stdin" {
				faults = append(faults, "a secret is on the command line: "+m[0])
			}
		}
	}
	if seen == 0 {
		faults = append(faults, "no command puts a secret in")
	}
	return faults
}
