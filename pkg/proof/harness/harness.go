// Package harness supports the tests of both functions: one DynamoDB Local and one Secrets Manager
// endpoint for a package's tests, a table for each test, a DynamoDB that misbehaves on demand, and
// a scan of everything that was logged.
package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/local/output"
	"connexease-functions/pkg/local/sim/httpapi"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/contract"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/laptop"
	"connexease-functions/pkg/proof/must"
	"connexease-functions/pkg/table"
)

// root is the project's folder.
var root = must.Get(docs.Folder())

// Backends are the backends of the package under test.
var Backends *stack.Stack

// Logs collects the logs of all handlers of the run, for the scan at its end.
var Logs Buffer

var (
	built    string // folder of the functions, which the first stack builds
	areBuilt bool
)

// Run starts the backends, runs the tests, and fails if a log line of any of them matches one of
// the leaks.
func Run(m *testing.M, leaks []string) int {
	flag.Parse()
	if testing.Short() {
		Backends = &stack.Stack{} // without a backend, as NewTable skips
		return m.Run()
	}
	var err error
	Backends, err = stack.Start(context.Background(), stack.Options{
		Root: root, Backends: true, Progress: func(line string) { fmt.Println(line) }, Overrides: map[string]string{"BulkLane": "yes"}, // as make run
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer Backends.Close()
	if built, err = os.MkdirTemp("", "built-"); err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(built) }()
	code := m.Run()
	if found := Scan(Logs.String(), leaks); len(found) > 0 {
		fmt.Printf("--- FAIL: the logs of the tests contain secrets or personal data: %q\n", found)
		return 1
	}
	if missing := unseen(); code == 0 && len(missing) > 0 {
		fmt.Printf("--- FAIL: no test saw what %s has: %q\n", contract.Path, missing)
		return 1
	}
	return code
}

// Description is that of the API, and what the package's tests have seen of it.
var Description = sync.OnceValue(func() *contract.Contract { return must.Get(contract.Load(root)) })

// unseen returns what no test has seen of the operations that the package under test serves; nothing
// where only some tests ran.
func unseen() []string {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if flag.Lookup(name).Value.String() != "" {
			return nil
		}
	}
	return Description().Unseen(filepath.Base(must.Get(os.Getwd())))
}

// times matches the only long numbers in log lines, apart from the digits of ids: both may be
// anything, and neither is personal data.
var times = regexp.MustCompile(`"Timestamp":\d+|"timestamp":"[^"]*"|"(messageId|recordId|requestId|apiRequestId)":"[^"]*"`)

// Scan returns the leaks in a log, each with its surroundings.
func Scan(log string, leaks []string) (found []string) {
	log = times.ReplaceAllString(log, "")
	for _, leak := range leaks {
		if at := strings.Index(log, leak); at >= 0 {
			found = append(found, log[max(0, at-40):min(len(log), at+60)])
		}
	}
	return found
}

// Buffer keeps what is written to it at once by several.
type Buffer = output.Buffer

var names atomic.Int64

// Name returns a name that no other test has.
func Name(prefix string) string { return prefix + strconv.FormatInt(names.Add(1), 10) }

// NewTable creates a table as template.yaml describes it, until the test has ended.
func NewTable(t testing.TB) (name string) {
	t.Helper()
	laptop.NeedsJava(t)
	name = Name("Events")
	if err := Backends.CreateTable(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dropTable(t, name) })
	return name
}

// dropTable deletes a table: DynamoDB Local keeps all of them in memory.
func dropTable(t testing.TB, name string) error {
	_, err := Backends.DB.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &name})
	return err
}

// DropTable deletes the template's table from the package's DynamoDB Local: a stack that starts there
// begins without the items that the stack of an earlier test has left.
func DropTable(t testing.TB) {
	t.Helper()
	var gone *types.ResourceNotFoundException // that stack did not start
	if err := dropTable(t, Backends.TableName); err != nil && !errors.As(err, &gone) {
		t.Fatal(err)
	}
}

// StartStack starts a laptop stack on the package's DynamoDB Local, at its own address or behind a
// proxy, until the test has ended. Its table is its own; they start one at a time.
func StartStack(t testing.TB, o stack.Options) *stack.Stack {
	t.Helper()
	laptop.NeedsJava(t)
	o.Root, o.Table = root, Name("Stack")
	if o.Logs == nil {
		o.Logs = &Logs
	}
	if o.State == "" {
		o.State, o.Built = built, areBuilt
	}
	var mu sync.Mutex
	var undescribed []error
	observe := o.Observe
	o.Observe = func(x httpapi.Exchange) {
		if x.RouteKey != "" {
			err := Description().Check(contract.Response{Route: x.RouteKey, Status: x.Status, Header: x.ResponseHeaders, Body: x.Response})
			mu.Lock()
			defer mu.Unlock()
			undescribed = append(undescribed, err)
		}
		if observe != nil {
			observe(x)
		}
	}
	s, err := stack.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	areBuilt = areBuilt || o.State == built
	t.Cleanup(func() {
		s.Close()
		_ = dropTable(t, o.Table)
		if err := errors.Join(undescribed...); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Item is an item of the table.
type Item = table.Item

// Items returns a whole table, keyed by "pk sk".
func Items(t testing.TB, name string) map[string]Item {
	t.Helper()
	all := map[string]Item{}
	if err := table.New(Backends.DB, name, 0).Scan(t.Context(), table.Selection{}, func(it Item) {
		pk, sk := it.Key()
		all[pk+" "+sk] = it
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
