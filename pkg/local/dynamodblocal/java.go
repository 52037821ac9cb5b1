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

// Mend is an error that people can do something about: what is wrong, and the exact
// command that fixes it. Its text is to be printed as it is.
type Mend struct{ Problem, Command string }

func (m *Mend) Error() string { return m.Problem + ". Fix it with: " + m.Command }

const (
	installJava = "sudo apt-get install openjdk-17-jre-headless (Debian, Ubuntu) or brew install openjdk@17 (macOS)"
	installNPM  = "sudo apt-get install npm (Debian, Ubuntu) or brew install node (macOS)"
	needsJava   = "; DynamoDB Local needs Java 17 or newer"
	oldestJava  = 17
)

// Where systems keep a java that is not on PATH.
var (
	javaHomeTool = "/usr/libexec/java_home" // macOS: prints the newest one that was installed
	// kegs are Homebrew's folders of what it does not link, on Apple's and Intel's processors and on Linux.
	kegs = []string{"/opt/homebrew/opt/openjdk*/bin/java", "/usr/local/opt/openjdk*/bin/java", "/home/linuxbrew/.linuxbrew/opt/openjdk*/bin/java"}
)

const lookedAt = " (JAVA_HOME, PATH, macOS's java_home and Homebrew's folders were looked at)"

// java is one that may run DynamoDB Local.
type java struct{ path, where string }

// findJavas returns each java of this machine, the one that people chose first, and what is wrong
// with their choice where that has none.
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
		return nil, nil, &Mend{strings.Join(append(faults, "java is not installed"), ", ") + needsJava + lookedAt, installJava}
	}
	return found, faults, nil
}

// checkJava says why this java cannot run DynamoDB Local, or nothing. It costs a tenth of a
// second, so it is asked after a failed start only. macOS has a java on PATH that fails where none
// is installed.
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

// javaVersion reads what java -version prints. Up to Java 8 versions began with "1.".
// major is 0 where the text has none.
func javaVersion(text string) (version string, major int) {
	found := quotedVersion.FindStringSubmatch(text)
	if found == nil {
		return "", 0
	}
	major, _ = strconv.Atoi(found[2])
	return found[1], major
}
