package command

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

func init() { register(exportCommand) }

func exportCommand(p *program) *cobra.Command {
	var contact, folder string
	c := &cobra.Command{
		Use:   "export -stack NAME|local CONTACT",
		Short: "Write everything that the table has of a person to a file, and a readable conversation",
		Long: "Write two files: all items of a person under all of their names, with whole payloads, as JSON;\n" +
			"and the conversation as one HTML page that loads nothing. It reads the whole table, and looks\n" +
			"into keys, attributes and payloads. Items that name other people too are in a list of their\n" +
			"own: read them before you hand the file over. Backups, the event archive, queues and logs\n" +
			"are not looked into. Payloads that are not text are base64.",
		RunE: func(c *cobra.Command, arguments []string) error {
			if len(arguments) == 1 && contact == "" {
				contact = arguments[0]
			}
			return p.export(c.Context(), contact, cmp.Or(folder, p.state))
		},
	}
	c.Flags().StringVar(&contact, "contact", "", "phone number in any form, or a user or group id")
	c.Flags().StringVar(&folder, "out", "", "folder of the files (default: that of -state)")
	c = needs(c, "dynamodb:DescribeTable dynamodb:Scan dynamodb:Query dynamodb:GetItem")
	c.Args = cobra.MaximumNArgs(1)
	return c
}

// notLookedInto is what neither an export nor an erasure reads.
var notLookedInto = []string{
	"backups of the table (35 days)", "the archive of the event bus", "messages that wait in queues and dead-letter queues", "logs", "media files: WhatsApp has them, the table only their ids",
}

// exported is the JSON file.
type exported struct {
	Contact       string           `json:"contact"`
	Names         []string         `json:"names"`
	Stack         string           `json:"stack"`
	Table         string           `json:"table"`
	ExportedAt    string           `json:"exported_at"`
	Counts        map[string]int   `json:"counts"` // items by kind
	NotLookedInto []string         `json:"not_looked_into"`
	Items         []map[string]any `json:"items"`
	OfOthersToo   []map[string]any `json:"of_others_too"` // they name other people as well
}

func (p *program) export(ctx context.Context, contact, folder string) error {
	_, db, names, err := p.person(ctx, contact)
	if err != nil {
		return err
	}
	own, shared, err := p.ofPerson(ctx, db, names, func(it table.Item) table.Item { return it })
	if err != nil {
		return err
	}
	if len(own)+len(shared) == 0 {
		return fmt.Errorf("the table %s has nothing of %s", db.Name(), contact)
	}
	if err := errors.Join(joined(ctx, db, own), joined(ctx, db, shared)); err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return whatsapp.Canonical(n) != n }) // the name as it was typed
	now := time.Now().UTC()
	all := exported{
		Contact: names[0], Names: names, Stack: p.stack, Table: db.Name(), ExportedAt: now.Format(time.RFC3339), Counts: map[string]int{},
		NotLookedInto: notLookedInto, Items: described(own), OfOthersToo: described(shared),
	}
	for _, it := range own {
		all.Counts[it.Text("kind")]++
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	page, err := conversationPage(&all, own)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	file := filepath.Join(folder, "export-"+notInFileNames.ReplaceAllString(names[0], "_"))
	if err := errors.Join(os.WriteFile(file+".json", append(text, '\n'), 0o600), os.WriteFile(file+".html", page, 0o600)); err != nil {
		return err
	}
	p.printf("%s.json has %d items of %s, under %d names, and %d that name other people too: read those before you hand it over.\n", file, len(own), contact, len(names), len(shared))
	p.printf("%s.html is the conversation. Backups, the event archive, queues and logs were not looked into.\n", file)
	return nil
}

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// described are items as JSON has them, in the order of time, each with its times as people
// write them.
func described(items []table.Item) []map[string]any {
	slices.SortFunc(items, func(a, b table.Item) int {
		apk, ask := a.Key()
		bpk, bsk := b.Key()
		return cmp.Or(cmp.Compare(a.Number("timestamp"), b.Number("timestamp")), cmp.Compare(apk, bpk), cmp.Compare(ask, bsk))
	})
	all := []map[string]any{}
	for _, it := range items {
		plain := it.Plain(base64.StdEncoding.EncodeToString)
		for name, of := range map[string]string{"time": "timestamp", "expires": "expires_at"} {
			if at := it.Number(of); at != 0 {
				plain[name] = time.Unix(at, 0).UTC().Format(time.RFC3339)
			}
		}
		all = append(all, plain)
	}
	return all
}
