package usage

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	// alphabet is that of a record's key, whose letters name the buckets.
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	keyBytes = 16
	// mostLeaf is the largest bucket, in bytes, that is read into memory. A larger one is divided.
	mostLeaf = 256 << 10
	// deepest is how often a bucket is divided. What is larger still has one key.
	deepest = 4
)

// hashed returns an id as it is on disk: WhatsApp's have phone numbers inside.
func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:keyBytes])
}

// spill is records on disk, in buckets by a letter of their keys, so that those of one key can be
// brought together in bounded memory.
type spill struct {
	folder string
	depth  int // which letter names the bucket
	files  [len(alphabet)]*os.File
	open   [len(alphabet)]*bufio.Writer
	sizes  [len(alphabet)]int64
}

// openSpill opens a folder of records, and drops what is past the given sizes: what was written
// after the position was saved is read again. Without sizes it is empty.
func openSpill(folder string, depth int, sizes []int64) (*spill, error) {
	s := &spill{folder: folder, depth: depth}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	copy(s.sizes[:], sizes)
	for i := range s.files {
		f, err := os.OpenFile(filepath.Join(folder, fmt.Sprintf("%02d", i)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.files[i], s.open[i] = f, bufio.NewWriter(f)
		at, err := f.Seek(0, io.SeekEnd)
		if err == nil && at < s.sizes[i] {
			err = fmt.Errorf("%s is shorter than it was", f.Name())
		}
		if err == nil {
			err = f.Truncate(s.sizes[i])
		}
		if err == nil {
			_, err = f.Seek(s.sizes[i], io.SeekStart)
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *spill) add(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	at := strings.IndexByte(alphabet, r.Key[s.depth])
	n, err := s.open[at].Write(append(line, '\n'))
	s.sizes[at] += int64(n)
	return err
}

// flush writes what is in memory, and returns the files' sizes.
func (s *spill) flush() ([]int64, error) {
	for _, w := range s.open {
		if err := w.Flush(); err != nil {
			return nil, err
		}
	}
	return s.sizes[:], nil
}

func (s *spill) close() (err error) {
	for _, f := range s.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// leaves calls whole with each set of records that has all of the keys in it.
func leaves(spills []*spill, whole func(records func(each func(record) error) error) error) error {
	for _, s := range spills {
		if _, err := s.flush(); err != nil {
			return err
		}
	}
	for i := range alphabet {
		var size int64
		for _, s := range spills {
			size += s.sizes[i]
		}
		records := func(each func(record) error) error {
			for _, s := range spills {
				if err := s.read(i, each); err != nil {
					return err
				}
			}
			return nil
		}
		if size == 0 {
			continue
		}
		if size <= mostLeaf || spills[0].depth >= deepest {
			if err := whole(records); err != nil {
				return err
			}
		} else if err := divide(filepath.Join(spills[0].folder, "divided"), spills[0].depth+1, records, whole); err != nil {
			return err
		}
	}
	return nil
}

// divide does the same for one bucket that is too large.
func divide(folder string, depth int, records func(func(record) error) error, whole func(func(func(record) error) error) error) error {
	part, err := openSpill(folder, depth, nil)
	if err != nil {
		return err
	}
	if err = records(part.add); err == nil {
		err = leaves([]*spill{part}, whole)
	}
	return errors.Join(err, part.close(), os.RemoveAll(folder))
}

func (s *spill) read(i int, each func(record) error) error {
	in := json.NewDecoder(bufio.NewReader(io.NewSectionReader(s.files[i], 0, s.sizes[i])))
	for {
		var r record
		if err := in.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", s.files[i].Name(), err)
		}
		if err := each(r); err != nil {
			return err
		}
	}
}
