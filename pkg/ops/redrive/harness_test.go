package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"connexease-functions/pkg/config"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

const (
	root = "../../.."
	days = 365 // RetentionDays's default
)

var backends *stack.Stack

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if testing.Short() {
			return m.Run()
		}
		cache, err := os.UserCacheDir()
		if err == nil {
			backends, err = stack.Start(context.Background(), stack.Options{
				Root: root, Backends: true, Cache: filepath.Join(cache, "connexease-functions"), Progress: func(line string) { fmt.Println(line) },
			})
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer backends.Close()
		return m.Run()
	}())
}

// world is a table, and the program's environment, its DynamoDB behind a proxy.
type world struct {
	t        *testing.T
	table    string
	database *harness.Proxy
	stack    string
}

func newWorld(t *testing.T) *world {
	if testing.Short() {
		t.Skip(harness.NeedsJava)
	}
	t.Helper()
	w := &world{t: t, table: newTable(t), database: harness.NewProxy(t, backends.DynamoDBURL), stack: local}
	env := backends.Environment()
	env["AWS_ENDPOINT_URL_DYNAMODB"], env["TABLE_NAME"] = w.database.URL, w.table
	for name, value := range env {
		t.Setenv(name, value)
	}
	return w
}

func newTable(t *testing.T) string {
	if testing.Short() {
		t.Skip(harness.NeedsJava)
	}
	t.Helper()
	tpl, err := template.Load(filepath.Join(root, "template.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := tpl.Tables()
	if err != nil {
		t.Fatal(err)
	}
	tables[0].TableName = aws.String(harness.Name("Events"))
	if _, err := backends.DB.CreateTable(t.Context(), tables[0]); err != nil {
		t.Fatal(err)
	}
	return *tables[0].TableName
}

// put writes events as a delivery of ten days ago did.
func put(t *testing.T, name string, events ...whatsapp.Event) {
	t.Helper()
	at := time.Now().AddDate(0, 0, -10)
	if r := table.New(backends.DB, name, days).Put(t.Context(), events, at); r.Err != nil || len(r.Unsaved) > 0 {
		t.Fatal(r.Err)
	}
}

// run runs the program as make redrive does.
func (w *world) run(arguments ...string) (string, error) {
	w.t.Helper()
	var out bytes.Buffer
	err := run(w.t.Context(), append([]string{"-template", filepath.Join(root, "template.yaml"), "-stack", w.stack}, arguments...), &out)
	return out.String(), err
}

func (w *world) ok(arguments ...string) string {
	w.t.Helper()
	out, err := w.run(arguments...)
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", arguments, err, out)
	}
	return out
}

// items returns a whole table by "pk sk".
func items(t *testing.T, name string) map[string]item {
	t.Helper()
	all := map[string]item{}
	pages := dynamodb.NewScanPaginator(backends.DB, &dynamodb.ScanInput{TableName: &name, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range page.Items {
			all[item(it).text("pk")+" "+item(it).text("sk")] = it
		}
	}
	return all
}

// proxied is a table that repeats nothing and meets the proxy's faults.
func (w *world) proxied() *table.Table {
	w.t.Helper()
	cfg, err := config.AWS()
	if err != nil {
		w.t.Fatal(err)
	}
	return table.New(config.DynamoDB(cfg), w.table, days)
}
