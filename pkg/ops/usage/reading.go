package usage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"connexease-functions/pkg/table"
)

const (
	// segments of the table are read at the same time: a page of each is in memory, and together
	// they read about as fast as one partition allows (Amazon DynamoDB: 3,000 read units a second).
	segments = 4
	// saving is how often the position is saved.
	saving = 2 * time.Second
	// positionFile is where a reading is.
	positionFile = "position.json"
)

// Source reads pages of a table.
type Source interface {
	ScanPage(ctx context.Context, s table.Selection, segment, segments int, after *table.ScanPosition) (table.Page, error)
}

// Reading is the reading of a query, which goes on after an interruption. What it has read is in its
// folder: hashes of ids, clients, campaigns, countries and days; no number and no text.
type Reading struct {
	folder string
	lock   *os.File
	query  Query

	mu       sync.Mutex
	at       position
	saved    time.Time
	messages *spill // sends, and statuses under this product's ids
	others   *spill // statuses under WhatsApp's ids
}

// position is saved in the folder.
type position struct {
	Query    Query     `json:"query"`
	Asked    string    `json:"asked"`
	Began    time.Time `json:"began"`
	Items    int64     `json:"items"` // that were read
	Segments [segments]struct {
		After *table.ScanPosition `json:"after,omitempty"`
		Done  bool                `json:"done,omitempty"`
	} `json:"segments"`
	Messages []int64 `json:"messages"` // sizes of the files
	Others   []int64 `json:"others"`
}

// Open begins the reading of a query in a folder, or goes on with the one that is there. asked is
// the query as it was typed: an age means a different time in each run, and the first one counts.
// ErrOther means that the folder has the reading of a different one.
func Open(folder, asked string, q Query) (*Reading, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	there, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 && !slices.ContainsFunc(there, func(e os.DirEntry) bool { return e.Name() == positionFile }) {
		return nil, errors.New("it is not empty, and has no reading")
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	r := &Reading{folder: folder, lock: lock, at: position{Query: q, Asked: asked, Began: time.Now().UTC()}}
	if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { // #nosec G115 -- a file descriptor
		return nil, errors.Join(fmt.Errorf("another process reads in %s", folder), lock.Close())
	}
	if err := r.open(asked); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *Reading) open(asked string) error {
	text, err := os.ReadFile(r.file())
	switch {
	case err == nil:
		var before position
		if err := json.Unmarshal(text, &before); err != nil {
			return fmt.Errorf("%s: %w", r.file(), err)
		}
		q := r.at.Query
		if before.Asked != asked || before.Query.Stack != q.Stack || before.Query.Table != q.Table || !slices.Equal(before.Query.By, q.By) {
			return ErrOther
		}
		r.at = before
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	r.query = r.at.Query
	if r.messages, err = openSpill(filepath.Join(r.folder, "messages"), 0, r.at.Messages); err != nil {
		return err
	}
	if r.others, err = openSpill(filepath.Join(r.folder, "others"), 0, r.at.Others); err != nil {
		return err
	}
	return r.save()
}

func (r *Reading) file() string { return filepath.Join(r.folder, positionFile) }

// Query returns what is counted: of a reading that goes on, what its first run meant.
func (r *Reading) Query() Query { return r.query }

// Items returns how many items of the table were read.
func (r *Reading) Items() int64 { return r.at.Items }

// Read reads the table, or what is left of it. progress is called after each page with the number of
// items read so far. After an error, or once ctx has ended, Read goes on from there.
func (r *Reading) Read(ctx context.Context, source Source, progress func(items int64)) error {
	var group errgroup.Group
	var failed atomic.Bool // pages that are under way then are paid, and count
	for n := range segments {
		group.Go(func() error {
			for !r.at.Segments[n].Done && !failed.Load() {
				if err := r.page(ctx, source, n, progress); err != nil {
					failed.Store(true)
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(err, r.save())
}

// page adds the next page of a segment: all of it, or, after an error, nothing that counts.
func (r *Reading) page(ctx context.Context, source Source, n int, progress func(int64)) error {
	page, err := source.ScanPage(ctx, selection, n, segments, r.at.Segments[n].After)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, it := range page.Items {
		to, one := r.messages, record{}
		if it.Text("kind") == "send" {
			one = r.query.ofSend(it)
		} else if status, ours := ofStatus(it); ours {
			one = status
		} else {
			to, one = r.others, status
		}
		if err := to.add(one); err != nil {
			return err
		}
	}
	at := &r.at.Segments[n]
	at.After, at.Done = page.Last, page.Last == nil
	r.at.Items += int64(page.Scanned)
	if time.Since(r.saved) > saving {
		if err := r.save(); err != nil {
			return err
		}
	}
	progress(r.at.Items)
	return nil
}

// save writes the records, and then the position that counts them.
func (r *Reading) save() (err error) {
	if r.at.Messages, err = r.messages.flush(); err != nil {
		return err
	}
	if r.at.Others, err = r.others.flush(); err != nil {
		return err
	}
	text, err := json.Marshal(r.at)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.file()+".new", text, 0o600); err != nil {
		return err
	}
	r.saved = time.Now()
	return os.Rename(r.file()+".new", r.file())
}

// Close leaves the reading as it is, for a later run.
func (r *Reading) Close() (err error) {
	for _, s := range []*spill{r.messages, r.others} {
		if s != nil {
			err = errors.Join(err, s.close())
		}
	}
	return errors.Join(err, r.lock.Close())
}

// Remove removes what was read, and the folder where it has nothing else.
func (r *Reading) Remove() error {
	err := r.Close()
	for _, name := range []string{"messages", "others", "known", "lock", positionFile} {
		err = errors.Join(err, os.RemoveAll(filepath.Join(r.folder, name)))
	}
	_ = os.Remove(r.folder) // which fails where there is more
	return err
}
