package dynamodblocal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestJavaVersionsAreReadInTheirOldAndNewForms(t *testing.T) {
	for text, want := range map[string]int{
		"openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime": 17,
		"java version \"1.8.0_202\"":                              8,
		"openjdk version \"21\" 2023-09-19":                       21,
		"openjdk version \"22-ea\" 2024-03-19":                    22,
		"Picked up _JAVA_OPTIONS: x\nopenjdk version \"11.0.2\"":  11,
		"command not understood":                                  0,
	} {
		if _, got := javaVersion(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestAMissingOrOlderJavaIsToldWithItsMend(t *testing.T) {
	sh := "PATH=/usr/bin:/bin; "
	for name, c := range map[string]struct{ script, want string }{
		"none":            {"", "java is not installed; DynamoDB Local needs Java 17 or newer"},
		"older":           {`echo 'openjdk version "11.0.2" 2019-01-15' >&2; test "$1" = -version`, "the java on PATH is version 11.0.2; DynamoDB Local needs Java 17 or newer"},
		"only a stand-in": {"echo 'Unable to locate a Java Runtime.' >&2; exit 1", "the java on PATH does not run"},
	} {
		t.Run(name, func(t *testing.T) {
			onlyJava(t, c.script, sh)
			_, err := Start(t.Context(), t.TempDir())
			var mend *Mend
			if !errors.As(err, &mend) || !strings.Contains(err.Error(), c.want) || !strings.Contains(mend.Command, "openjdk-17-jre-headless") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// onlyJava puts a java on a PATH that holds nothing else but what the supervisor
// needs: sh and rm.
func onlyJava(t *testing.T, script, before string) {
	t.Helper()
	if script != "" {
		script = before + script
	}
	tool(t, "java", script)
	for _, name := range []string{"sh", "rm"} {
		if err := os.Symlink("/bin/"+name, filepath.Join(os.Getenv("PATH"), name)); err != nil {
			t.Fatal(err)
		}
	}
}
