// Command bench measures both functions against the least that could do their work, in one run on
// one machine, and prints each figure as a ratio: make bench. With the argument lanes it measures
// queues: make lanes.
package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/must"
)

func main() {
	run := table
	if slices.Contains(os.Args, "lanes") {
		run = lanes
	}
	if err := must.Try(func() { run(context.Background()) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// bench holds what all measurements share.
type bench struct {
	ctx    context.Context
	stack  *stack.Stack
	state  string
	empty  string // path of the empty handler
	secret string
	logs   bytes.Buffer // of the functions; read after they have responded
}

// close ends what was started.
func (b *bench) close() {
	if b.stack != nil {
		b.stack.Close()
	}
	_ = os.RemoveAll(b.state)
}

func compile(out, folder string, env ...string) {
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", out, folder)
	build.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	text, err := build.CombinedOutput()
	must.Hold(err == nil, "go build %s: %s", folder, text)
}

// measurement returns one line of the table.
type measurement func(*bench) string

// of runs a measurement on a fresh stack, because DynamoDB Local slows down as its stream grows.
func (m measurement) of(ctx context.Context) string {
	b := &bench{ctx: ctx, state: must.Get(os.MkdirTemp("", "bench-"))}
	defer b.close()
	b.empty = filepath.Join(b.state, "empty")
	compile(b.empty, "./pkg/proof/bench/empty")
	b.stack = must.Get(stack.Start(ctx, stack.Options{Root: ".", State: b.state, Logs: &b.logs}))
	b.secret, _ = b.stack.Secrets.Current(stack.WebhookSecret)
	return m(b)
}

func table(ctx context.Context) {
	fmt.Printf("%-42s %-10s %-10s %-8s %s\n", "what", "ours", "bare", "ratio", "bar")
	for _, m := range []measurement{
		oneEvent, thousand, perUpdate, coldStart, peaks, refusal, warmSend, look, page, replay, validation, sendColdStart, sendMemory, sizes,
	} {
		fmt.Println(m.of(ctx))
	}
}

func row(what string, ours, bare time.Duration, bar string) string {
	return fmt.Sprintf("%-42s %-10s %-10s %-8.2f %s", what, short(ours), short(bare), float64(ours)/float64(bare), bar)
}

func short(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

func median(all []time.Duration) time.Duration { return percentile(all, 50) }

func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[len(all)*p/100]
}

// request returns an HTTP API event with a body; headers are added to its own.
func request(route, token, body string, headers map[string]string) []byte {
	method, path, _ := strings.Cut(route, " ")
	all := map[string]string{"authorization": "Bearer " + token, "content-type": "application/json", "host": "127.0.0.1", "user-agent": "bench"}
	maps.Copy(all, headers)
	return must.Get(json.Marshal(map[string]any{
		"version": "2.0", "routeKey": route, "rawPath": path, "headers": all,
		"requestContext": map[string]any{"http": map[string]string{"method": method, "path": path}, "timeEpoch": time.Now().UnixMilli()},
		"body":           body, "isBase64Encoded": false,
	}))
}

// invoke fails on any response but 200.
func (b *bench) invoke(f *simlambda.Function, payload []byte) time.Duration {
	return b.expect(f, payload, 200)
}

func (b *bench) expect(f *simlambda.Function, payload []byte, status int) time.Duration {
	start := time.Now()
	result, err := f.Invoke(b.ctx, payload)
	took := time.Since(start)
	answered := err == nil && result.FunctionError == "" && strings.Contains(string(result.Payload), fmt.Sprintf(`"statusCode":%d`, status))
	must.Hold(answered, "%s: %s %v", f.Name(), result.Payload, err)
	return took
}

// stored returns the items that the function wrote for a delivery, to put the same directly.
func (b *bench) stored() (all []map[string]types.AttributeValue) {
	pages := dynamodb.NewScanPaginator(b.stack.DB, &dynamodb.ScanInput{TableName: &b.stack.TableName})
	for pages.HasMorePages() {
		all = append(all, must.Get(pages.NextPage(b.ctx)).Items...)
	}
	return all
}

func renamed(item map[string]types.AttributeValue, suffix string) map[string]types.AttributeValue {
	copied := maps.Clone(item)
	pk := item["pk"].(*types.AttributeValueMemberS)
	copied["pk"] = &types.AttributeValueMemberS{Value: pk.Value + suffix}
	return copied
}

// warm compares a function with an operation alone plus the round trip to an empty handler. It
// interleaves them, so that a noisy machine affects all three alike.
func (b *bench) warm(what string, f *simlambda.Function, event func(n int) []byte, alone func(n int), bar string) string {
	empty := simlambda.New(simlambda.Config{
		Name: "empty", Command: []string{b.empty}, Env: b.stack.Environment(), Timeout: 10 * time.Second, MemoryMB: 512, Logs: io.Discard,
	})
	defer func() { _ = empty.Close() }()
	var ours, bare, trip []time.Duration
	for n := range 1500 {
		o, t := b.invoke(f, event(n+1)), b.invoke(empty, event(n+1))
		start := time.Now()
		alone(n)
		p := time.Since(start)
		if n >= 300 { // the virtual machine of DynamoDB Local warms up
			ours, bare, trip = append(ours, o), append(bare, p), append(trip, t)
		}
	}
	return row(what, median(ours), median(bare)+median(trip), bar)
}

// cold compares the first responses of new processes of a function with those of a handler that
// makes the same calls, with an item like the function's.
func (b *bench) cold(what, function string, env map[string]string, like map[string]types.AttributeValue, event func(n int) []byte) string {
	fields := map[string]string{}
	for k, v := range like {
		if s, ok := v.(*types.AttributeValueMemberS); ok {
			fields[k] = s.Value
		}
	}
	env["CALLS"], env["ITEM"] = function, string(must.Get(json.Marshal(fields)))
	var ours, bare []time.Duration
	for n := range 60 {
		env["SUFFIX"] = fmt.Sprint(n)
		o, p := b.first(filepath.Join(b.state, "bin", function), env, event(n+1)), b.first(b.empty, env, event(n+1))
		if n >= 10 {
			ours, bare = append(ours, o), append(bare, p)
		}
	}
	return row(what, median(ours), median(bare), "1.25 x the same first calls")
}

// first starts a process and waits for its first response.
func (b *bench) first(binary string, env map[string]string, event []byte) time.Duration {
	all := b.stack.Environment()
	maps.Copy(all, env)
	f := simlambda.New(simlambda.Config{Name: "first", Command: []string{binary}, Env: all, Timeout: 28 * time.Second, MemoryMB: 512, Logs: io.Discard})
	defer func() { _ = f.Close() }()
	return b.invoke(f, event)
}

// sizes returns the sizes of the deployed binaries.
func sizes(b *bench) string {
	var lines []string
	for _, name := range []string{"webhook", "send"} {
		out := filepath.Join(b.state, "bootstrap")
		compile(out, "./functions/"+name, "GOOS=linux", "GOARCH=arm64")
		binary := must.Get(os.ReadFile(out))
		lines = append(lines, fmt.Sprintf("%-42s %.2f MB / %.2f MB %20s", name+": arm64 binary / zip", float64(len(binary))/1e6, float64(zipSize(binary))/1e6, "11 MB / 4.3 MB"))
	}
	return strings.Join(lines, "\n")
}

// zipSize returns the size of a binary in a zip archive, as uploaded to Lambda.
func zipSize(binary []byte) int {
	var zipped bytes.Buffer
	z := zip.NewWriter(&zipped)
	must.Get(must.Get(z.Create("bootstrap")).Write(binary))
	must.OK(z.Close())
	return zipped.Len()
}
