package dynamodblocal

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fixable is an error that the user can fix: the problem, and the exact command that fixes it. Its
// text is meant to be printed unchanged.
type Fixable struct{ Problem, Command string }

func (f *Fixable) Error() string { return f.Problem + ". Fix it with: " + f.Command }

const (
	installJava = "sudo apt-get install openjdk-17-jre-headless (Debian, Ubuntu) or brew install openjdk@17 (macOS)"
	installNPM  = "sudo apt-get install npm (Debian, Ubuntu) or brew install node (macOS)"
	needsJava   = "; DynamoDB Local needs Java 17 or newer"
	oldestJava  = 17
)

// Places of a java that is not on PATH.
var (
	javaHomeTool = "/usr/libexec/java_home" // macOS: prints the newest installed one
	// kegs lists Homebrew's folders of unlinked packages, on Apple's and Intel's processors and on
	// Linux.
	kegs = []string{"/opt/homebrew/opt/openjdk*/bin/java", "/usr/local/opt/openjdk*/bin/java", "/home/linuxbrew/.linuxbrew/opt/openjdk*/bin/java"}
)

const lookedAt = " (JAVA_HOME, PATH, macOS's java_home and Homebrew's folders were looked at)"

// java is a candidate to run DynamoDB Local.
type java struct{ path, where string }

// NeedsJava returns a *Fixable if this machine has no java at all, before anything is fetched for it.
func NeedsJava(ctx context.Context) error {
	_, _, err := findJavas(ctx)
	return err
}

// findJavas returns every java of this machine, the user's choice first, and what is wrong with
// that choice if it has no java.
func findJavas(ctx context.Context) (found []java, faults []string, err error) {
	add := func(path, where string) bool {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			return false
		}
		if !slices.ContainsFunc(found, func(j java) bool { return j.path == path }) {
			found = append(found, java{path, where})
		}
		return true
	}
	if home := os.Getenv("JAVA_HOME"); home != "" && !add(filepath.Join(home, "bin", "java"), "of JAVA_HOME ("+home+")") {
		faults = append(faults, "JAVA_HOME ("+home+") has no bin/java")
	}
	if path, err := exec.LookPath("java"); err == nil {
		add(path, "on PATH")
	}
	asked, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if home, err := exec.CommandContext(asked, javaHomeTool).Output(); err == nil {
		path := filepath.Join(strings.TrimSpace(string(home)), "bin", "java")
		add(path, path)
	}
	for _, keg := range kegs {
		paths, _ := filepath.Glob(keg)
		for _, path := range paths {
			add(path, path)
		}
	}
	if len(found) == 0 {
		return nil, nil, &Fixable{strings.Join(append(faults, "java is not installed"), ", ") + needsJava + lookedAt, installJava}
	}
	return found, faults, nil
}

// checkJava says why this java cannot run DynamoDB Local; "" if it can. It takes a tenth of a
// second, so it is called only after a failed start. macOS has a java on PATH that fails if none is
// installed.
func checkJava(ctx context.Context, j java, env []string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, j.path, "-version")
	command.Env = env
	command.WaitDelay = time.Second
	out, err := command.CombinedOutput()
	if ctx.Err() != nil {
		return ""
	}
	if err != nil {
		return "the java " + j.where + " does not run"
	}
	if version, major := javaVersion(string(out)); major > 0 && major < oldestJava {
		return "the java " + j.where + " is version " + version
	}
	return ""
}

var quotedVersion = regexp.MustCompile(`version "((?:1\.)?(\d+)[^"]*)"`)

// javaVersion parses the output of java -version. Versions up to Java 8 begin with "1.". major is 0
// if there is no version.
func javaVersion(text string) (version string, major int) {
	found := quotedVersion.FindStringSubmatch(text)
	if found == nil {
		return "", 0
	}
	major, _ = strconv.Atoi(found[2])
	return found[1], major
}
