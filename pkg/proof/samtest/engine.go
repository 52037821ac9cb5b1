package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"connexease-functions/pkg/proof/must"
)

// engine is a running container engine.
type engine struct {
	host     string   // its address, for DOCKER_HOST
	daemon   *process // nil if it was already running
	folder   string   // folder of the daemon that was started here
	bridge   bool     // whether starting it created the bridge's interface
	standIns []string // images that were created here
}

// findEngine returns the running engine. If there is none, it starts one that changes nothing on
// the machine except the bridge's interface: no rules, no forwarding, a folder and a socket of its
// own.
func findEngine(ctx context.Context, log string) (*engine, error) {
	e, runs, err := lookForEngine(ctx)
	if err != nil || runs {
		return e, err
	}
	return startEngine(ctx, log)
}

// lookForEngine reports the running engine, or that one can be started, or what to install.
func lookForEngine(ctx context.Context) (e *engine, runs bool, err error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, false, errors.New("there is no docker command, so SAM has no containers to run in. " + fixEngine)
	}
	e = &engine{host: os.Getenv("DOCKER_HOST")}
	if e.host == "" {
		// The engine that docker uses. SAM would not find it, as it does not support contexts.
		e.host, _ = execute(ctx, "", os.Environ(), "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
		e.host = strings.TrimSpace(e.host)
	}
	answers := e.answers(ctx)
	if answers == nil {
		return e, true, nil
	}
	if _, err := exec.LookPath("dockerd"); err != nil || os.Geteuid() != 0 {
		return nil, false, fmt.Errorf("no container engine responds, and SAM has no containers to run in. %s\n%w", fixEngine, answers)
	}
	return e, false, nil
}

const fixEngine = "Fix it with: start Docker (Docker Desktop, colima, systemctl start docker), or as root: apt-get install docker.io; the test starts it itself then"

// bridgeInterface is Docker's default.
const bridgeInterface = "/sys/class/net/docker0"

func startEngine(ctx context.Context, log string) (_ *engine, err error) {
	e := &engine{}
	// Not below the checkout: a socket's path has at most 107 bytes.
	if e.folder, err = os.MkdirTemp("", "sam-engine-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	e.host = "unix://" + filepath.Join(e.folder, "docker.sock")
	_, none := os.Stat(bridgeInterface)
	e.bridge = none != nil
	if e.daemon, err = launch(log, "", os.Environ(), false, "dockerd", "--log-level=warn", "--storage-driver=vfs", "--host", e.host,
		"--data-root", filepath.Join(e.folder, "root"), "--exec-root", filepath.Join(e.folder, "exec"), "--pidfile", filepath.Join(e.folder, "pid"),
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"); err != nil {
		return nil, err
	}
	err = until(ctx, 40*time.Second, func(ctx context.Context) error {
		if err := e.daemon.running(); err != nil {
			return err
		}
		return e.answers(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("dockerd does not start: %w", err)
	}
	return e, nil
}

// stop removes what was created here, and ends the engine if it was started here.
func (e *engine) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if e.daemon != nil {
		e.daemon.stop()
		if e.bridge {
			_, _ = execute(ctx, "", os.Environ(), "ip", "link", "delete", filepath.Base(bridgeInterface))
		}
		if err := os.RemoveAll(e.folder); err != nil {
			fmt.Fprintln(os.Stderr, "The engine's data could not be removed:", err)
		}
		return
	}
	for _, image := range e.standIns {
		_, _ = e.docker(ctx, "image", "rm", "--force", image)
	}
}

// environment returns the variables that point docker and SAM to the engine.
func (e *engine) environment() map[string]string {
	if e.host == "" {
		return nil // their own default
	}
	return map[string]string{"DOCKER_HOST": e.host}
}

func (e *engine) docker(ctx context.Context, args ...string) (string, error) {
	text, err := execute(ctx, "", ownEnvironment(e.environment()), "docker", args...)
	return strings.TrimSpace(text), err
}

func (e *engine) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// Not info, which succeeds with half a response.
	_, err := e.docker(ctx, "version", "--format", "{{.Server.Version}}")
	return err
}

// removeContainers removes SAM's containers that run binaries of a folder. It returns an error if
// one remains.
func (e *engine) removeContainers(built string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list := func() (ids []string, err error) {
		text, err := e.docker(ctx, "ps", "--all", "--no-trunc", "--filter", "label=sam.cli.container.type=lambda", "--format", "{{.ID}} {{.Mounts}}")
		for line := range strings.Lines(text) {
			// Docker Desktop prefixes paths with its own folder.
			if id, mounts, _ := strings.Cut(line, " "); strings.Contains(mounts, built+string(filepath.Separator)) {
				ids = append(ids, id)
			}
		}
		return ids, err
	}
	ids, err := list()
	if err != nil || len(ids) == 0 {
		return err
	}
	_, removed := e.docker(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...)
	if ids, err = list(); len(ids) > 0 {
		return fmt.Errorf("containers %s remain: %w", strings.Join(ids, ", "), removed)
	}
	return err
}

// pullLimit bounds the download of the base image: 60 MB. An unreachable registry fails within
// seconds.
const pullLimit = 2 * time.Minute

const standIn = "connexease-functions/stand-in"

// base makes SAM's base image available, and returns the arguments with which SAM uses it. If no
// registry can be reached and the engine does not have the image, a stand-in under a name of its
// own replaces it: static binaries need nothing of the real one.
func (e *engine) base(ctx context.Context, image, arch string) (args []string, what string) {
	args = []string{"--skip-pull-image"}
	pulling, cancel := context.WithTimeout(ctx, pullLimit)
	_, pulled := e.docker(pulling, "pull", "--quiet", image)
	cancel()
	if pulled == nil {
		return args, "Amazon's base image"
	}
	if _, err := e.docker(ctx, "image", "inspect", image); err == nil {
		return args, "Amazon's base image, as this engine has it"
	}
	name := standIn + ":" + arch
	archive := filepath.Join(os.TempDir(), fmt.Sprintf("stand-in-%d.tar", os.Getpid()))
	defer func() { _ = os.Remove(archive) }()
	if err := writeStandIn(archive, arch); err != nil {
		must.OK(fmt.Errorf("%w\n%w", err, pulled))
	}
	// SAM builds its image with the emulator alongside the base, in the same repository.
	e.standIns = []string{standIn + ":rapid-" + arch, name}
	must.Get(e.docker(ctx, "import", "--change", "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime",
		"--change", "WORKDIR /var/task", archive, name))
	return append(args, "--invoke-image", name), "a stand-in base image, as no registry can be reached"
}

// writeStandIn writes an image's file system with what SAM's build runs.
func writeStandIn(path, arch string) error {
	var binary []byte
	if err := must.Try(func() {
		binary = must.Get(os.ReadFile(must.Get(exec.LookPath("busybox"))))
		must.OK(isStatic(binary, arch))
	}); err != nil {
		return fmt.Errorf("neither SAM's base image nor a static busybox is available (%w). Fix it with: apt-get install busybox-static", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(file)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "bin/", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777},
		{Typeflag: tar.TypeDir, Name: "var/task/", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "var/runtime/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755, Size: int64(len(binary))},
		{Typeflag: tar.TypeSymlink, Name: "bin/sh", Linkname: "busybox"},
		{Typeflag: tar.TypeSymlink, Name: "bin/mv", Linkname: "busybox"},
		{Typeflag: tar.TypeSymlink, Name: "bin/chmod", Linkname: "busybox"},
	} {
		err = errors.Join(err, w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			_, written := w.Write(binary)
			err = errors.Join(err, written)
		}
	}
	return errors.Join(err, w.Close(), file.Close())
}
