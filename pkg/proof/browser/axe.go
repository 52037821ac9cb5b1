package browser

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/chromedp/chromedp"

	"connexease-functions/pkg/local/dynamodblocal"
)

// The npm package of axe-core, Deque's accessibility rules, and the SHA-512 of its archive. It is
// fetched once, not committed.
const (
	axePackage   = "axe-core"
	axeVersion   = "4.11.1"
	axeIntegrity = "BASOg+YwO2C+346x3LZOeoovTIoTrRqEsqMa6fmfAV0P+U9mFr9NsyOEpiYvFjbc64NMrSswhV50WdXzdb/Z5A=="
	maxAxe       = 16 << 20
)

// axe returns the script of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := dynamodblocal.Cache()
	if err != nil {
		return "", err
	}
	name := filepath.Join(cache, axePackage+"-"+axeVersion+".tgz")
	archive, err := os.ReadFile(name)
	if err != nil {
		if archive, err = fetchAxe(cache); err != nil {
			return "", err
		}
	}
	if sum := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(sum[:]) != axeIntegrity {
		return "", fmt.Errorf("%s is not the pinned archive. Fix it with: rm %s", name, name)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("%s has no axe.min.js: %w", name, err)
		}
		if header.Name == "package/axe.min.js" {
			script, err := io.ReadAll(io.LimitReader(files, maxAxe))
			return string(script), err
		}
	}
})

// fetchAxe lets npm put the archive into the cache.
func fetchAxe(cache string) ([]byte, error) {
	temporary, err := os.MkdirTemp("", "axe-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	pack := exec.Command("npm", "pack", "--ignore-scripts", "--loglevel=error", axePackage+"@"+axeVersion)
	pack.Dir = temporary
	if out, err := pack.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("npm could not fetch %s@%s, which is needed once and needs the network: %w %s", axePackage, axeVersion, err, out)
	}
	name := axePackage + "-" + axeVersion + ".tgz"
	archive, err := os.ReadFile(filepath.Join(temporary, name))
	if err == nil {
		err = os.MkdirAll(cache, 0o755)
	}
	if err == nil { // by renaming, as several packages may fetch it at once
		if err = os.WriteFile(filepath.Join(cache, name+".new"), archive, 0o644); err == nil {
			err = os.Rename(filepath.Join(cache, name+".new"), filepath.Join(cache, name))
		}
	}
	return archive, err
}

// Axe returns what the page violates of WCAG 2.2 AA and of good practice, a line each.
func (b *Tab) Axe() []string {
	b.t.Helper()
	script, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	Eval[int](b, script+"; 0")
	return Run(b, chromedp.Evaluate[[]string](`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"]})
		.then((r) => r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + v.help + ": " + n.html.slice(0, 200) + " " + (n.failureSummary ?? ""))))`,
		chromedp.EvalAwaitPromise))
}
