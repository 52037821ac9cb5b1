package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"connexease-functions/pkg/proof/must"
)

// samVersion is the version of the official SAM CLI on PyPI, aws-sam-cli.
const samVersion = "1.170.0"

// sam is an installed SAM CLI.
type sam struct{ python string }

// installSAM installs the SAM CLI in a venv of its own, if the cache lacks it. It runs as a module,
// because the venv is built under a temporary name and moved when complete, and a venv's scripts
// contain the path where they were built.
func installSAM(ctx context.Context, cache string) *sam {
	folder := filepath.Join(cache, "aws-sam-cli-"+samVersion)
	s := &sam{python: filepath.Join(folder, "bin", "python3")}
	if s.works(ctx) == nil {
		return s
	}
	python, err := exec.LookPath("python3")
	must.Hold(err == nil, "python3 is not installed; it runs the SAM CLI. Fix it with: sudo apt-get install python3-venv (Debian, Ubuntu) or brew install python (macOS)")
	must.OK(os.MkdirAll(cache, 0o755))
	temporary := must.Get(os.MkdirTemp(cache, "fetch-sam-"))
	defer func() { _ = os.RemoveAll(temporary) }()
	fmt.Printf("Installing the SAM CLI %s (200 MB, once, about a minute) ...\n", samVersion)
	venv := filepath.Join(temporary, "venv")
	if _, err := execute(ctx, "", os.Environ(), python, "-m", "venv", venv); err != nil {
		must.OK(fmt.Errorf("%w\nFix it with: sudo apt-get install python3-venv", err))
	}
	must.Get(execute(ctx, "", os.Environ(), filepath.Join(venv, "bin", "python3"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "aws-sam-cli=="+samVersion))
	// A folder in the way does not work, or a different run was first.
	if s.works(ctx) != nil {
		_ = os.Rename(folder, filepath.Join(temporary, "damaged"))
	}
	if err := os.Rename(venv, folder); err != nil && s.works(ctx) != nil {
		must.OK(err)
	}
	must.OK(s.works(ctx))
	return s
}

func (s *sam) works(ctx context.Context) error {
	text, err := s.run(ctx, "", nil, "--version")
	if err == nil && !strings.Contains(text, samVersion) {
		err = fmt.Errorf("the SAM CLI reports version %s", strings.TrimSpace(text))
	}
	return err
}

// arguments of a command line of SAM.
func (s *sam) arguments(args ...string) []string { return append([]string{"-m", "samcli"}, args...) }

func (s *sam) environment(more map[string]string) []string {
	env := map[string]string{"SAM_CLI_TELEMETRY": "0", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "PYTHONUNBUFFERED": "1"}
	maps.Copy(env, more)
	return ownEnvironment(env)
}

func (s *sam) run(ctx context.Context, folder string, env map[string]string, args ...string) (string, error) {
	text, err := execute(ctx, folder, s.environment(env), s.python, s.arguments(args...)...)
	if err != nil {
		return text, fmt.Errorf("sam %s: %w", args[0], err)
	}
	return text, nil
}

// baseImage returns the name of the image on which SAM builds a runtime's containers, as SAM
// reports it.
func (s *sam) baseImage(ctx context.Context, runtime, arch string) (string, error) {
	text, err := execute(ctx, "", s.environment(nil), s.python, "-c", `import sys
from samcli.local.docker.lambda_image import LambdaImage, Runtime
print(LambdaImage._INVOKE_REPO_PREFIX + "/" + Runtime.get_image_name_tag(sys.argv[1], sys.argv[2]))`, runtime, arch)
	return strings.TrimSpace(text), err
}
