package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"connexease-functions/pkg/local/environment"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/must"
)

// local holds what runs: backends, engine, and SAM's API in front of the functions' containers.
type local struct {
	project *project
	sam     *sam
	env     map[string]string // of the backends
	engine  *engine
	args    []string // arguments of every sam local command, after its template
	api     *process

	later string    // id of the message that is scheduled
	due   time.Time // when it leaves
}

// startLocal starts everything in order, runs the proofs or waits for Ctrl-C, and ends everything
// in reverse order.
func (p *project) startLocal(ctx context.Context, s *sam, done *steps, serve bool) {
	e := must.Get(findEngine(ctx, filepath.Join(p.state, "dockerd.log")))
	defer e.stop()
	// Warm containers outlive sam local, and a killed run of this command leaves them behind.
	built := filepath.Join(p.state, "sam-functions")
	must.OK(e.removeContainers(built))
	err := must.Try(func() { p.withEngine(ctx, s, e, built, done, serve) })
	must.OK(errors.Join(err, e.removeContainers(built)))
}

func (p *project) withEngine(ctx context.Context, s *sam, e *engine, built string, done *steps, serve bool) {
	l := &local{project: p, sam: s, engine: e}
	image := must.Get(s.baseImage(ctx, p.template().Runtime(), p.arch)) // on which SAM builds its own
	base, what := e.base(ctx, image, p.arch)
	found := "the running container engine"
	if e.daemon != nil {
		found = "a container engine of its own"
	}
	done.done("%s, with %s", found, what)

	backends := l.startBackends(ctx)
	defer backends.stop()
	l.awaitBackends(ctx, backends)
	p.bootstraps(built, p.arch)
	done.done("go run ./pkg/local -backends: static binaries for %s, and they serve; containers reach them at %s", p.arch, stack.ContainerHost)

	l.args = append(base, "--env-vars", filepath.Join(p.state, "sam-variables.json"), "--add-host", stack.ContainerHost+":host-gateway")
	l.startAPI(ctx)
	defer l.api.stop()
	l.awaitAPI(ctx)
	done.done("sam local start-api: %s serves", l.env["API_URL"])
	if serve {
		l.serve(ctx)
	} else {
		l.prove(ctx, done)
	}
}

// startBackends runs README's command, but as a built binary, because go run passes no signal on.
func (l *local) startBackends(ctx context.Context) *process {
	p := l.project
	binary := filepath.Join(p.state, "local")
	must.Get(execute(ctx, p.root, ownEnvironment(nil), "go", "build", "-o", binary, "./pkg/local"))
	return must.Get(launch(filepath.Join(p.state, "backends.log"), p.root, ownEnvironment(nil), false,
		binary, "-backends", "-port", strconv.Itoa(p.port), "-state", p.state, "-parent", strconv.Itoa(os.Getpid())))
}

func (l *local) awaitBackends(ctx context.Context, b *process) {
	if err := until(ctx, 2*time.Minute, func(context.Context) (err error) {
		if err := b.running(); err != nil {
			return err
		}
		l.env, err = environment.Read(l.project.state)
		return err
	}); err != nil {
		must.OK(fmt.Errorf("backends: %w", err))
	}
}

// samEnvironment returns the backends' region and credentials, which SAM passes on to the
// functions, the engine's address, and a folder for the locks that SAM leaves behind.
func (l *local) samEnvironment() map[string]string {
	env := map[string]string{"TMPDIR": filepath.Join(l.project.state, "tmp")}
	maps.Copy(env, l.engine.environment())
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		env[name] = l.env[name]
	}
	return env
}

func (l *local) startAPI(ctx context.Context) {
	args := append([]string{"local", "start-api", "--port", strconv.Itoa(l.project.port), "--warm-containers", "EAGER", "--template-file", l.documented()}, l.args...)
	l.api = must.Get(launch(filepath.Join(l.project.state, "sam.log"), l.project.root, l.sam.environment(l.samEnvironment()), true, l.sam.python, l.sam.arguments(args...)...))
}

func (l *local) awaitAPI(ctx context.Context) {
	if err := until(ctx, 2*time.Minute, func(ctx context.Context) error {
		if err := l.api.running(); err != nil {
			return err
		}
		// Reaches both functions, without a valid token.
		for _, path := range []string{"/webhook", "/v1/wa/message"} {
			a := l.request(ctx, http.MethodPost, l.env["API_URL"]+path, "{}", nil)
			if a.err != nil {
				return a.err
			}
			if err := a.want(http.StatusUnauthorized, "AUTH_002"); err != nil {
				return fmt.Errorf("%w; %w", err, errFinal)
			}
		}
		return nil
	}); err != nil {
		must.OK(fmt.Errorf("sam local start-api: %w", err))
	}
}

// serve waits for Ctrl-C.
func (l *local) serve(ctx context.Context) {
	state := must.Get(filepath.Rel(l.project.root, l.project.state))
	fmt.Printf(`
Ready: template.yaml's API in SAM's containers. In another terminal, in this folder:

  . %[1]s/env
  curl -X POST $API_URL/webhook -H "Authorization: Bearer $WEBHOOK_SECRET" -d @pkg/local/fixtures/data/text.json
  curl -X POST $API_URL/v1/wa/message -H "Authorization: Bearer $CLIENT_KEY" -H "Idempotency-Key: first" -d '{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}'
  curl $CONTROL_URL/items
  curl $CONTROL_URL/gateway/messages

No queue feeds a function here (make run has that). Logs of SAM and the functions: %[1]s/sam.log. Ctrl-C ends everything.

`, state)
	select {
	case <-ctx.Done():
		fmt.Println("\nEnding ...")
	case <-l.api.ended:
		must.OK(errors.New("sam local start-api has ended"))
	}
}
