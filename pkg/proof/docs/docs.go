// Package docs reads the project's READMEs for tests that run their commands, compare their
// responses and check their tables, so that no test depends on which README has which sentence.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Root returns the checkout's folder: the nearest one above the working directory with a go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := Folder()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Folder is Root where no test has begun yet.
func Folder() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no folder above the working directory has a go.mod (%v)", err)
}

// Files returns the paths of all README.md and of .github's documents, relative to Root, sorted.
func Files(t testing.TB) []string {
	t.Helper()
	root := Root(t)
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && strings.HasPrefix(name, ".") && name != ".github" {
			return filepath.SkipDir
		}
		if !d.IsDir() && (name == "README.md" || filepath.Ext(name) == ".md" && strings.Contains(path, "/.github/")) {
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			found = append(found, relative)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(found)
	return found
}

// Text returns all of these files one after the other.
func Text(t testing.TB) string {
	t.Helper()
	var all strings.Builder
	for _, name := range Files(t) {
		text, err := os.ReadFile(filepath.Join(Root(t), name)) // #nosec G304 -- a file of this checkout
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
		all.WriteByte('\n')
	}
	return all.String()
}

// Blocks returns the fenced blocks of a language, such as "sh", "json" or "yaml".
func Blocks(t testing.TB, language string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(Text(t), -1) {
		all = append(all, m[1])
	}
	return all
}

// Block returns the first block of a language that contains text.
func Block(t testing.TB, language, with string) string {
	t.Helper()
	for _, block := range Blocks(t, language) {
		if strings.Contains(block, with) {
			return block
		}
	}
	t.Fatalf("no README has a block of %s with %q", language, with)
	return ""
}

// Examples returns the documented events: those of the READMEs and of pkg/events/examples.
func Examples(t testing.TB) (all []string) {
	t.Helper()
	for _, block := range Blocks(t, "json") {
		if strings.HasPrefix(block, `{"detail-type"`) {
			all = append(all, block)
		}
	}
	files, err := filepath.Glob(filepath.Join(Root(t), "pkg/events/examples/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("pkg/events/examples has %d examples, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name) // #nosec G304 -- a file of this checkout
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

// Exchange is a command and the response that the README prints for it.
type Exchange struct {
	Command string
	// Response matches the whole output; the README has … for parts that differ between runs.
	Response *regexp.Regexp
	Printed  string
}

// Exchanges returns each curl command that is followed by its response.
func Exchanges(t testing.TB) (all []Exchange) {
	t.Helper()
	for _, m := range regexp.MustCompile("(?s)```sh\n([^`]*?curl[^`]*?)```\n+```json\n(.*?)\n```").FindAllStringSubmatch(Text(t), -1) {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(m[2]), "…", ".*") + "$"
		all = append(all, Exchange{Command: m[1], Printed: m[2], Response: regexp.MustCompile(pattern)})
	}
	return all
}
