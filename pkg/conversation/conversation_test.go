package conversation_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/conversation"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func TestMain(m *testing.M) { os.Exit(harness.Run(m, nil)) }

func newTable(t *testing.T) *table.Table {
	t.Helper()
	return table.New(harness.Backends.DB, harness.NewTable(t), 365)
}

// put stores a value of the field messages.
func put(t *testing.T, db *table.Table, value string) {
	t.Helper()
	body := `{"object":"whatsapp_business_account","entry":[{"id":"4","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"15550100099","phone_number_id":"3"},` + value + `}}]}]}`
	if r := db.Put(t.Context(), whatsapp.Split([]byte(body)), time.Now()); r.Err != nil || len(r.Unsaved) > 0 || r.Quarantined > 0 {
		t.Fatalf("%+v", r)
	}
}

// text is one message of a person.
func text(id, from string, at int, words string) string {
	return fmt.Sprintf(`"messages":[{"from":%q,"id":"wamid.%s","timestamp":"%d","type":"text","text":{"body":%q}}]`, from, id, at, words)
}

// threeNames proves that three names belong to one person.
func threeNames(t *testing.T, db *table.Table) {
	t.Helper()
	put(t, db, `"contacts":[{"wa_id":"15550100001","user_id":"US.77001"}],`+text("both", "15550100001", 1764000000, "under both"))
	put(t, db, `"messages":[{"from":"15550100001","id":"wamid.system","timestamp":"1764000001","type":"system","system":{"body":"moved","type":"user_changed_number","wa_id":"15550100002"}}]`)
}

func read(t *testing.T, db *table.Table, ask conversation.Ask) *conversation.Page {
	t.Helper()
	page, err := conversation.Read(t.Context(), db, time.Now(), ask)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func ids(messages []conversation.Message) (all []string) {
	for _, m := range messages {
		all = append(all, m.PK+" "+m.SK)
	}
	return all
}

// A walk through a conversation meets each message once that was there at the start, whatever
// comes in between, with whichever time.
func TestAWalkMeetsEachMessageOnceWhateverComesMeanwhile(t *testing.T) {
	names := []string{"15550100001", "15550100002", "US.77001"}
	for _, seed := range []uint64{1, 2, 3} {
		random := rand.New(rand.NewPCG(seed, 0)) // #nosec G404 -- reproducible
		db := newTable(t)
		threeNames(t, db)
		number := 0
		arrive := func() {
			number++
			name := names[random.IntN(len(names))]
			who := `"from":"` + name + `"`
			if strings.HasPrefix(name, "US.") {
				who = `"from_user_id":"` + name + `"`
			}
			// Few times, and ids that several messages share, so that many are of one instant.
			put(t, db, fmt.Sprintf(`"messages":[{%s,"id":"wamid.%d","timestamp":"%d","type":"text","text":{"body":"%d"}}]`,
				who, random.IntN(12), 1764000000+random.IntN(8), number))
		}
		for range 40 {
			arrive()
		}
		start := ids(read(t, db, conversation.Ask{Contact: "+1 (555) 010-0001", Limit: 100}).Messages)
		if len(start) != 42 {
			t.Fatalf("it begins with %d messages", len(start))
		}
		for _, older := range []bool{true, false} {
			ask := conversation.Ask{Contact: names[random.IntN(3)], Limit: 1 + random.IntN(7)}
			if !older {
				// A cursor is made up as easily as it is read: this one is before every time.
				ask.After = base64.RawURLEncoding.EncodeToString([]byte(`["0","0","0"]`))
			}
			met := map[string]int{}
			for pages := 0; ; pages++ {
				page := read(t, db, ask)
				if len(page.Messages) > ask.Limit || pages > 300 {
					t.Fatalf("page %d has %d messages", pages, len(page.Messages))
				}
				for _, id := range ids(page.Messages) {
					met[id]++
				}
				if !slices.IsSortedFunc(page.Messages, func(a, b conversation.Message) int { return a.At.Compare(b.At) }) {
					t.Errorf("a page is not in order: %v", ids(page.Messages))
				}
				// Back and forth: the page between two cursors is the same from both sides.
				if older && page.Before != "" {
					older := read(t, db, conversation.Ask{Contact: ask.Contact, Limit: ask.Limit, Before: page.Before})
					back := read(t, db, conversation.Ask{Contact: ask.Contact, Limit: ask.Limit, After: older.After})
					if fmt.Sprint(ids(back.Messages)) != fmt.Sprint(ids(page.Messages)) {
						t.Errorf("back: %v, want %v", ids(back.Messages), ids(page.Messages))
					}
				}
				if older && page.Before == "" || !older && len(page.Messages) == 0 {
					break
				}
				ask.Before, ask.After = page.Before, ""
				if !older {
					ask.Before, ask.After = "", page.After
				}
				if pages < 25 {
					arrive()
				}
			}
			for _, id := range start {
				if met[id] != 1 {
					t.Errorf("seed %d, older %t: %s was met %d times", seed, older, id, met[id])
				}
			}
			for id, times := range maps.All(met) {
				if times > 1 {
					t.Errorf("%s was met %d times", id, times)
				}
			}
		}
	}
}

func TestARequestThatCannotBeCarriedOutSaysWhy(t *testing.T) {
	db := table.New(nil, "none", 0) // nothing is read
	for param, ask := range map[string]conversation.Ask{
		"contact": {}, "limit": {Contact: "1", Limit: 101}, "before": {Contact: "1", Before: "x"}, "after": {GroupID: "1", After: "W10"},
	} {
		_, err := conversation.Read(t.Context(), db, time.Now(), ask)
		var wrong conversation.Invalid
		if !errors.As(err, &wrong) || len(wrong) != 1 || wrong[param] == "" {
			t.Errorf("%s: %v", param, err)
		}
	}
}
