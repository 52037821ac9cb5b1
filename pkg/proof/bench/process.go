package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
)

// zipSize returns the size of a file in a zip archive, as uploaded to Lambda.
func zipSize(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	w, err := z.Create("bootstrap")
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, f); err != nil {
		return 0, err
	}
	err = z.Close()
	return int64(zipped.Len()), err
}
