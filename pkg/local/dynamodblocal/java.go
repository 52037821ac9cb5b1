package dynamodblocal

import (
	"context"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// Mend is an error that people can do something about: what is wrong, and the exact
// command that mends it. Its text is to be printed as it is.
type Mend struct{ Problem, Command string }

func (m *Mend) Error() string { return m.Problem + ". Mend it with: " + m.Command }

const (
	installJava = "sudo apt-get install openjdk-17-jre-headless (Debian, Ubuntu) or brew install openjdk@17 (macOS)"
	installNPM  = "sudo apt-get install npm (Debian, Ubuntu) or brew install node (macOS)"
	needsJava   = "; DynamoDB Local needs Java 17 or newer"
	oldestJava  = 17
)

func findJava() (string, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return "", &Mend{"java is not installed" + needsJava, installJava}
	}
	return java, nil
}

// checkJava returns a *Mend where this java cannot run DynamoDB Local. It costs
// a tenth of a second, so it is asked after a failed start only. macOS has a java on
// PATH that fails where none is installed.
func checkJava(ctx context.Context, java string, env []string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, java, "-version")
	command.Env = env
	command.WaitDelay = time.Second
	out, err := command.CombinedOutput()
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return &Mend{"the java on PATH does not run" + needsJava, installJava}
	}
	if version, major := javaVersion(string(out)); major > 0 && major < oldestJava {
		return &Mend{"the java on PATH is version " + version + needsJava, installJava}
	}
	return nil
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
