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

func TestAMissingOrOlderJavaIsReportedWithItsFix(t *testing.T) {
	sh := "PATH=/usr/bin:/bin; "
	for name, c := range map[string]struct{ script, want string }{
		"none":            {"", "java is not installed; DynamoDB Local needs Java 17 or newer"},
		"older":           {`echo 'openjdk version "11.0.2" 2019-01-15' >&2; test "$1" = -version`, "the java on PATH is version 11.0.2; DynamoDB Local needs Java 17 or newer"},
		"only a stand-in": {"echo 'Unable to locate a Java Runtime.' >&2; exit 1", "the java on PATH does not run"},
	} {
		t.Run(name, func(t *testing.T) {
			onlyJava(t, c.script, sh)
			_, err := Start(t.Context(), t.TempDir())
			var fix *Fixable
			if !errors.As(err, &fix) || !strings.Contains(err.Error(), c.want) || !strings.Contains(fix.Command, "openjdk-17-jre-headless") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// noOtherJava hides the javas of this machine that are not on PATH.
func noOtherJava(t *testing.T) {
	t.Setenv("JAVA_HOME", "")
	tool, folders := javaHomeTool, kegs
	t.Cleanup(func() { javaHomeTool, kegs = tool, folders })
	javaHomeTool, kegs = "/nonexistent", nil
}

// fakeJava creates a java that prints its version and then fails, and returns its path.
func fakeJava(t *testing.T, home, version string) string {
	t.Helper()
	path := filepath.Join(home, "bin", "java")
	script := "#!/bin/sh\necho 'openjdk version \"" + version + "\"' >&2; test \"$1\" = -version || { echo \"this is \" $0; exit 3; }\n"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// As on macOS: a stub on PATH, an older java in JAVA_HOME, and Homebrew's, which is not linked.
func TestTheFirstJavaThatIsNewEnoughIsUsed(t *testing.T) {
	onlyJava(t, "echo 'Unable to locate a Java Runtime.' >&2; exit 1", "")
	home, keg := t.TempDir(), t.TempDir()
	fakeJava(t, home, "11.0.2")
	t.Setenv("JAVA_HOME", home)
	want := fakeJava(t, filepath.Join(keg, "openjdk@17"), "17.0.9")
	_, err := Start(t.Context(), t.TempDir())
	if want := "the java of JAVA_HOME (" + home + ") is version 11.0.2, the java on PATH does not run; DynamoDB Local needs Java 17 or newer" + lookedAt + ". Fix it with: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("without one: %v, want %s", err, want)
	}
	t.Setenv("JAVA_HOME", "/nowhere")
	_, err = Start(t.Context(), t.TempDir())
	if want := "JAVA_HOME (/nowhere) has no bin/java, the java on PATH does not run; "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("without one in JAVA_HOME: %v, want %s", err, want)
	}
	t.Setenv("JAVA_HOME", home)
	kegs = []string{filepath.Join(keg, "openjdk*/bin/java")}
	if _, err := Start(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "this is  "+want) {
		t.Errorf("with Homebrew's: %v", err)
	}
	kegs = nil
	javaHomeTool = filepath.Join(t.TempDir(), "java_home")
	if err := os.WriteFile(javaHomeTool, []byte("#!/bin/sh\necho '"+filepath.Join(keg, "openjdk@17")+"'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "this is  "+want) {
		t.Errorf("with java_home: %v", err)
	}
	t.Setenv("JAVA_HOME", filepath.Join(keg, "openjdk@17"))
	if _, err := Start(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "this is  "+want) {
		t.Errorf("with JAVA_HOME: %v", err)
	}
}

// onlyJava sets PATH to a folder with a java and what the supervisor needs, sh and rm.
func onlyJava(t *testing.T, script, before string) {
	t.Helper()
	noOtherJava(t)
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
