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
func (p *project) startLocal(ctx context.Context, s *sam, done *steps, serve bool) (err error) {
	e, err := findEngine(ctx, filepath.Join(p.state, "dockerd.log"))
	if err != nil {
		return err
	}
	defer e.stop()
	// Warm containers outlive sam local, and a killed run of this command leaves them behind.
	built := filepath.Join(p.state, "sam-functions")
	if err := e.removeContainers(built); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.removeContainers(built)) }()
	l := &local{project: p, sam: s, engine: e}
	base, what, err := l.base(ctx, e)
	if err != nil {
		return err
	}
	found := "the running container engine"
	if e.daemon != nil {
		found = "a container engine of its own"
	}
	done.done("%s, with %s", found, what)

	backends, err := l.startBackends(ctx)
	if err != nil {
		return err
	}
	defer backends.stop()
	if _, err := p.bootstraps(built, p.arch); err != nil {
		return err
	}
	done.done("go run ./pkg/local -backends: static binaries for %s, and they serve; containers reach them at %s", p.arch, stack.ContainerHost)

	l.args = append(base, "--env-vars", filepath.Join(p.state, "sam-variables.json"), "--add-host", stack.ContainerHost+":host-gateway")
	if err := l.startAPI(ctx); err != nil {
		return err
	}
	defer l.api.stop()
	done.done("sam local start-api: %s serves", l.env["API_URL"])
	if serve {
		return l.serve(ctx)
	}
	return l.prove(ctx, done)
}

// base makes the image available on which SAM builds its own.
func (l *local) base(ctx context.Context, e *engine) (args []string, what string, err error) {
	t, err := l.project.template()
	if err != nil {
		return nil, "", err
	}
	image, err := l.sam.baseImage(ctx, t.Runtime(), l.project.arch)
	if err != nil {
		return nil, "", err
	}
	return e.base(ctx, image, l.project.arch)
}

// startBackends runs README's command, but as a built binary, because go run passes no signal on.
func (l *local) startBackends(ctx context.Context) (*process, error) {
	p := l.project
	binary := filepath.Join(p.state, "local")
	if _, err := output(ctx, p.root, ownEnvironment(nil), "go", "build", "-o", binary, "./pkg/local"); err != nil {
		return nil, err
	}
	b, err := launch(filepath.Join(p.state, "backends.log"), p.root, ownEnvironment(nil), false,
		binary, "-backends", "-port", strconv.Itoa(p.port), "-state", p.state, "-parent", strconv.Itoa(os.Getpid()))
	if err != nil {
		return nil, err
	}
	err = until(ctx, 2*time.Minute, func(context.Context) error {
		if err := b.running(); err != nil {
			return err
		}
		l.env, err = environment.Read(p.state)
		return err
	})
	if err != nil {
		b.stop()
		return nil, fmt.Errorf("backends: %w", err)
	}
	return b, nil
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

func (l *local) startAPI(ctx context.Context) error {
	args := append([]string{"local", "start-api", "--port", strconv.Itoa(l.project.port), "--warm-containers", "EAGER", "--template-file", l.documented()}, l.args...)
	var err error
	if l.api, err = launch(filepath.Join(l.project.state, "sam.log"), l.project.root, l.sam.environment(l.samEnvironment()), true, l.sam.python, l.sam.arguments(args...)...); err != nil {
		return err
	}
	err = until(ctx, 2*time.Minute, func(ctx context.Context) error {
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
	})
	if err != nil {
		l.api.stop()
		return fmt.Errorf("sam local start-api: %w", err)
	}
	return nil
}

// serve waits for Ctrl-C.
func (l *local) serve(ctx context.Context) error {
	state, err := filepath.Rel(l.project.root, l.project.state)
	if err != nil {
		return err
	}
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
		return nil
	case <-l.api.ended:
		return errors.New("sam local start-api has ended")
	}
}
