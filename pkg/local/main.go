// Command local runs the whole product on one machine: go run ./pkg/local, or make run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"connexease-functions/pkg/local/control"
	"connexease-functions/pkg/local/sim/httpapi"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
)

func main() {
	port := flag.Int("port", 8080, "port of the API on 127.0.0.1; the control address has the next one")
	backends := flag.Bool("backends", false, "start all but the functions, for sam local")
	database := flag.String("dynamodb", "", "endpoint of a DynamoDB to use instead of starting DynamoDB Local")
	state := flag.String("state", ".local", "folder for the environment file, logs and binaries")
	forward := flag.String("forward", "", "http address that each event is posted to")
	follow := flag.Bool("end-with-parent", underGoRun(), "end when the process that started this one has ended")
	flag.Parse()
	if err := run(*port, *backends, *database, *state, *forward, *follow); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(port int, backends bool, database, state, forward string, follow bool) error {
	if err := checkForward(forward); err != nil {
		return err
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if follow {
		go endWithParent(stop)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("there is no folder to cache in: %w", err)
	}
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	logs, err := os.Create(filepath.Join(state, "functions.log"))
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	seen := &summaries{next: logs}
	controlListener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+1))
	if err != nil {
		return fmt.Errorf("port %d, for the control address, is taken. Mend it with: make run PORT=%d", port+1, port+10)
	}
	defer func() { _ = controlListener.Close() }()
	s, err := stack.Start(ctx, stack.Options{
		Root: ".", State: state, Port: port, Backends: backends, DynamoDB: database, Cache: filepath.Join(cache, "connexease-functions"),
		Progress: func(line string) { fmt.Println(line) }, Logs: seen,
		Observe:           func(x httpapi.Exchange) { printExchange(x, seen) },
		ObserveBatch:      func(b stack.Batch) { printBatch(b, seen) },
		ObserveInvocation: func(i simlambda.Invocation) { printInvocation(i, seen) },
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil // ended by the user while it started
		}
		return err
	}
	defer s.Close()
	controlURL := "http://" + controlListener.Addr().String()
	if backends {
		if err := writeVariables(s, state); err != nil {
			return err
		}
		defer func() { _ = os.Remove(filepath.Join(state, samVariables)) }()
	}
	save := func() error { return writeEnvironment(s, state, controlURL) }
	if err := save(); err != nil {
		return err
	}
	defer func() { _ = os.Remove(filepath.Join(state, "env")) }()
	server := &http.Server{Handler: control.New(s, save), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(controlListener) }()
	defer func() { _ = server.Close() }()
	printReady(s, controlURL, backends)
	if forward != "" {
		fmt.Printf("Each event is posted to %s.\n\n", forward)
		go newForwarder(forward, os.Stdout).run(ctx, s.Bus)
	}
	select {
	case <-ctx.Done():
		stop() // a second Ctrl-C ends the process at once, and all others with it
		fmt.Println("\nEnding when what is under way is done; Ctrl-C again ends at once ...")
		return nil
	case err := <-s.Failed():
		return err
	}
}

// underGoRun reports whether go run started this process. It passes no signal on, and
// its death would leave the stack behind.
func underGoRun() bool {
	path, err := os.Executable()
	return err == nil && strings.Contains(path, string(filepath.Separator)+"go-build")
}

// endWithParent calls end when the parent process has gone.
func endWithParent(end func()) {
	parent := os.Getppid()
	for range time.Tick(200 * time.Millisecond) {
		if os.Getppid() != parent {
			end()
			return
		}
	}
}

// writeEnvironment writes .local/env, which any shell reads: . .local/env
func writeEnvironment(s *stack.Stack, state, controlURL string) error {
	secret, _ := s.Secrets.Current(stack.WebhookSecret)
	env := s.Environment()
	env["API_URL"] = s.APIURL
	env["EVENT_BUS_NAME"] = s.Bus.Name()
	env["CONTROL_URL"] = controlURL
	env["GATEWAY_URL"] = s.GatewayURL
	env["QUEUE_URL"] = s.QueueURL
	env["TABLE_NAME"] = s.TableName
	env["WEBHOOK_SECRET"] = secret
	env["CLIENT_KEY"] = s.ClientKey()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&text, "export %s='%s'\n", name, strings.ReplaceAll(env[name], "'", `'\''`))
	}
	temporary := filepath.Join(state, "env.new")
	if err := os.WriteFile(temporary, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(state, "env"))
}

// samVariables is the file that sam local takes as --env-vars: the functions' environment
// as their containers see this machine.
const samVariables = "sam-variables.json"

func writeVariables(s *stack.Stack, state string) error {
	all := s.FunctionEnvironments()
	for _, env := range all {
		for name, value := range env {
			env[name] = strings.Replace(value, "http://127.0.0.1:", "http://host.docker.internal:", 1)
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(state, samVariables), text, 0o600)
}

func printReady(s *stack.Stack, controlURL string, backends bool) {
	if backends {
		fmt.Printf("Backends are ready; . .local/env has their addresses, .local/%s the functions' for sam local. Ctrl-C ends them.\n", samVariables)
		return
	}
	fmt.Printf(`
Ready. In another terminal, in this folder:

  . .local/env

A message comes in:

  curl -X POST $API_URL/webhook -H "Authorization: Bearer $WEBHOOK_SECRET" -d @pkg/local/fixtures/data/text.json

One goes out, to a simulated Gateway; run it twice and it is sent once:

  curl -X POST $API_URL/v1/wa/message -H "Authorization: Bearer $CLIENT_KEY" -H "Idempotency-Key: first" -d '%[1]s'

The same by the queue, and what became of it ({id} is in the answer):

  curl -X POST $API_URL/v1/wa/message -H "Authorization: Bearer $CLIENT_KEY" -H "Idempotency-Key: second" -H "Prefer: respond-async" -d '%[1]s'
  curl $API_URL/v1/wa/message/{id} -H "Authorization: Bearer $CLIENT_KEY"

Everything that is stored, and what the Gateway took:

  curl $CONTROL_URL/items
  curl $CONTROL_URL/gateway/messages

Events as they come, on the bus that your rules will listen to (make run FORWARD=http://... posts each):

  make listen

API %[2]s   control %[3]s   function logs .local/functions.log   Ctrl-C ends everything.

`, `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`, s.APIURL, controlURL)
}
