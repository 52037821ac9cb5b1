package stack

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"connexease-functions/pkg/local/loopback"
	"connexease-functions/pkg/local/output"
	"connexease-functions/pkg/local/progress"
	"connexease-functions/pkg/local/sim/httpapi"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/local/template"
)

func (s *Stack) buildFunctions(ctx context.Context) error {
	s.options.Progress("Building the functions ...")
	for _, f := range s.functions {
		if err := s.build(ctx, f, runtime.GOOS, s.binary(f)); err != nil {
			return err
		}
	}
	return nil
}

// build builds a function for this machine's processor.
func (s *Stack) build(ctx context.Context, f template.Function, system, binary string) error {
	build := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags", "-s -w",
		"-o", binary, "./"+f.Folder)
	build.Dir = s.options.Root
	// From this module, regardless of the environment of go run.
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+runtime.GOARCH, "GOWORK=off", "GOFLAGS=-buildvcs=false")
	var out output.Buffer
	build.Stdout, build.Stderr = &out, &out
	err := progress.While(s.options.Progress, func(after time.Duration) string {
		return fmt.Sprintf("Building ./%s: %d packages in %v", f.Folder, len(packagePath.FindAllString(out.String(), -1)), after)
	}, build.Run)
	if err != nil {
		return fmt.Errorf("go build ./%s failed:\n%s", f.Folder, strings.TrimSpace(packagePath.ReplaceAllString(out.String(), "")))
	}
	return nil
}

// packagePath matches a package as go build -v names it once it is compiled; the rest are errors.
var packagePath = regexp.MustCompile(`(?m)^[\w./~+-]+\n`)

func (s *Stack) binary(f template.Function) string {
	return filepath.Join(s.options.State, "bin", filepath.Base(f.Folder))
}

func (s *Stack) environment(f template.Function) map[string]string {
	env := s.Environment()
	maps.Copy(env, f.Environment)
	return env
}

// startFunctions registers the functions with the Lambda endpoint, and returns their routes. No
// process starts before the first invocation.
func (s *Stack) startFunctions(functions []template.Function) ([]httpapi.Route, error) {
	l, err := Listen(0, 0)
	if err != nil {
		return nil, err
	}
	s.LambdaURL = "http://" + l.Addr().String()
	var routes []httpapi.Route
	var targets []simlambda.Target
	for _, f := range functions {
		function := simlambda.New(simlambda.Config{
			Name: f.Name, Command: []string{s.binary(f)}, Env: s.environment(f), Timeout: f.Timeout,
			MemoryMB: f.MemoryMB, MaxProcesses: s.options.MaxProcesses, Logs: s.options.Logs,
		})
		s.Functions[f.Name] = function
		for _, r := range f.Routes {
			routes = append(routes, httpapi.Route{Method: r.Method, Path: r.Path, Function: function})
		}
		targets = append(targets, simlambda.Target{Function: function, Retries: f.Retries, OnFailure: s.onFailure(f)})
	}
	s.lambda = simlambda.NewInvokeAPI(targets, s.options.RetryDelays, s.options.ObserveInvocation)
	s.serve(l, loopback.Only(s.lambda))
	return routes, nil
}
