// Command local runs the whole product on one machine: go run ./pkg/local, or make run.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"connexease-functions/pkg/local/bridge"
	"connexease-functions/pkg/local/control"
	"connexease-functions/pkg/local/environment"
	"connexease-functions/pkg/local/parent"
	"connexease-functions/pkg/local/sim/httpapi"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
)

func main() {
	port := flag.String("port", "8080", "port of the API on 127.0.0.1; the control address has the next one")
	backends := flag.Bool("backends", false, "start everything but the functions, for sam local")
	database := flag.String("dynamodb", "", "endpoint of a DynamoDB to use instead of starting DynamoDB Local")
	state := flag.String("state", ".local", "folder for the environment file, logs and binaries")
	forward := flag.String("forward", "", "HTTP address that each event is posted to")
	starter := flag.Int("parent", 0, "process id of the parent; this process ends with it")
	flag.Parse()
	if *starter == 0 && underGoRun() {
		*starter = os.Getppid()
	}
	if err := run(*port, *backends, *database, *state, *forward, *starter); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(givenPort string, backends bool, database, givenState, forward string, starter int) error {
	port, err := stack.CheckPort(givenPort)
	if err != nil {
		return err
	}
	if err := checkForward(forward); err != nil {
		return err
	}
	if err := checkTemporary(); err != nil {
		return err
	}
	state, err := filepath.Abs(givenState)
	if err != nil {
		return err
	}
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup intends
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	defer stop()
	go parent.Follow(starter, stop)
	lock, err := lockFolder(state, port)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	controlListener, err := stack.Listen(port+1, port)
	if err != nil {
		return err
	}
	defer func() { _ = controlListener.Close() }()
	logs, err := os.Create(filepath.Join(state, "functions.log"))
	if err != nil {
		return err
	}
	defer func() { _ = logs.Close() }()
	recorded := control.NewRecorder(logs)
	seen := &summaries{next: recorded, recorded: recorded}
	s, err := stack.Start(ctx, stack.Options{
		Root: ".", State: state, Port: port, Backends: backends, DynamoDB: database,
		Overrides: control.Parameters(),
		Progress:  func(line string) { fmt.Println(line) }, Logs: seen,
		Observe:           func(x httpapi.Exchange) { printExchange(x, seen) },
		ObserveBatch:      func(b stack.Batch) { printBatch(b, seen) },
		ObserveInvocation: func(i simlambda.Invocation) { printInvocation(i, seen) },
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil // interrupted by the user during the start
		}
		return err
	}
	defer s.Close()
	controlURL := "http://" + controlListener.Addr().String()
	if backends {
		remove, err := writeForSAM(ctx, s, state)
		if err != nil {
			return err
		}
		defer remove()
		ports, err := s.ContainerPorts()
		if err != nil {
			return err
		}
		opened, err := bridge.Docker(ports)
		if err != nil {
			return err
		}
		defer opened.Close()
	}
	save := func() error { return control.WriteEnvironment(s, state, controlURL) }
	if err := save(); err != nil {
		return err
	}
	defer func() { _ = os.Remove(filepath.Join(state, environment.Name)) }()
	shown, err := control.NewConsole(ctx, s, ".", state, recorded)
	if err != nil {
		return err
	}
	defer func() { _ = shown.Close() }() // the queues end as well
	server := &http.Server{Handler: control.New(s, save, shown), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(controlListener) }()
	defer func() { _ = server.Close() }()
	printReady(s, controlURL, givenState, backends)
	if forward != "" {
		fmt.Printf("Each event is posted to %s.\n\n", forward)
		go newForwarder(forward, os.Stdout).run(ctx, s.Bus)
	}
	select {
	case <-ctx.Done():
		stop() // a second Ctrl-C ends this process at once, and all others with it
		fmt.Println("\nEnding once running requests are done; press Ctrl-C again to end at once ...")
		return nil
	case err := <-s.Failed():
		return err
	}
}

// underGoRun reports whether go run started this process. go run passes no signal on, and its death
// would leave the stack behind.
func underGoRun() bool {
	path, err := os.Executable()
	return err == nil && strings.Contains(path, string(filepath.Separator)+"go-build")
}

func printReady(s *stack.Stack, controlURL, state string, backends bool) {
	if backends {
		fmt.Printf(`Backends are ready; . %[1]s/env has their addresses. One invocation, in another terminal in this folder:

  sam local invoke SendFunction --event event.json --template-file %[1]s/%[2]s --env-vars %[1]s/%[3]s --add-host %[4]s:host-gateway

Docker must be running first. Ctrl-C ends the backends.
`, state, samTemplate, samVariables, stack.ContainerHost)
		return
	}
	fmt.Printf(`
Ready. Look at %[3]s in a browser: what comes and goes, and what is stored.

In another terminal, in this folder:

  . %[4]s/env

Receive a message:

  curl -X POST $API_URL/webhook -H "Authorization: Bearer $WEBHOOK_SECRET" -d @pkg/local/fixtures/data/text.json

Send one through the simulated Gateway; run it twice and it is sent once:

  curl -X POST $API_URL/v1/wa/message -H "Authorization: Bearer $CLIENT_KEY" -H "Idempotency-Key: first" -d '%[1]s'

Send one through the queue, and look it up ({id} is in the response):

  curl -X POST $API_URL/v1/wa/message -H "Authorization: Bearer $CLIENT_KEY" -H "Idempotency-Key: second" -H "Prefer: respond-async" -d '%[1]s'
  curl $API_URL/v1/wa/message/{id} -H "Authorization: Bearer $CLIENT_KEY"

Everything that is stored, and what the Gateway accepted:

  curl $CONTROL_URL/items
  curl $CONTROL_URL/gateway/messages

Events as they arrive on the bus that your rules will use (make run FORWARD=http://... posts each):

  make listen

DynamoDB Local listens on every address of this machine, everything else on 127.0.0.1 only: in a network
that you do not trust, block port %[5]s with a firewall.

API %[2]s   control %[3]s   function logs %[4]s/functions.log   Ctrl-C ends everything.

`, `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`, s.APIURL, controlURL, state, s.DynamoDBURL[strings.LastIndexByte(s.DynamoDBURL, ':')+1:])
}
