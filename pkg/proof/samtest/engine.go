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
)

// engine is a container engine that answers.
type engine struct {
	host     string   // its address, for DOCKER_HOST
	daemon   *process // nil where it ran already
	folder   string   // of the daemon that was started here
	bridge   bool     // whether starting it made the bridge's interface
	standIns []string // images that were made here
}

// findEngine takes the engine that answers. Where none does, it starts one that
// touches nothing of the machine but the bridge's interface: no rules, no forwarding, a
// folder and a socket of its own.
func findEngine(ctx context.Context, log string) (*engine, error) {
	e, runs, err := lookForEngine(ctx)
	if err != nil || runs {
		return e, err
	}
	return startEngine(ctx, log)
}

// lookForEngine says which engine answers, or that one can be started, or what to install.
func lookForEngine(ctx context.Context) (e *engine, runs bool, err error) {
	if _, err := exec.LookPath("docker"); err != nil {
		return nil, false, errors.New("there is no docker command, so SAM has no containers to run in. " + mendEngine)
	}
	e = &engine{host: os.Getenv("DOCKER_HOST")}
	if e.host == "" {
		// The engine that docker uses, which SAM would not find: it knows no contexts.
		e.host, _ = output(ctx, "", os.Environ(), "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
		e.host = strings.TrimSpace(e.host)
	}
	answers := e.answers(ctx)
	if answers == nil {
		return e, true, nil
	}
	if _, err := exec.LookPath("dockerd"); err != nil || os.Geteuid() != 0 {
		return nil, false, fmt.Errorf("no container engine answers, and SAM has no containers to run in. %s\n%w", mendEngine, answers)
	}
	return e, false, nil
}

const mendEngine = "Fix it with: start Docker (Docker Desktop, colima, systemctl start docker), or as root: apt-get install docker.io; the test starts it itself then"

// bridgeInterface is Docker's default.
const bridgeInterface = "/sys/class/net/docker0"

func startEngine(ctx context.Context, log string) (_ *engine, err error) {
	e := &engine{}
	// Not below the checkout: a socket's path has 107 bytes at the most.
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

// stop removes what was made here, and ends the engine where it was started here.
func (e *engine) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if e.daemon != nil {
		e.daemon.stop()
		if e.bridge {
			_, _ = output(ctx, "", os.Environ(), "ip", "link", "delete", filepath.Base(bridgeInterface))
		}
		if err := os.RemoveAll(e.folder); err != nil {
			fmt.Fprintln(os.Stderr, "What the engine kept could not be removed:", err)
		}
		return
	}
	for _, image := range e.standIns {
		_, _ = e.docker(ctx, "image", "rm", "--force", image)
	}
}

// environment tells docker and SAM which engine it is.
func (e *engine) environment() map[string]string {
	if e.host == "" {
		return nil // their own default
	}
	return map[string]string{"DOCKER_HOST": e.host}
}

func (e *engine) docker(ctx context.Context, args ...string) (string, error) {
	text, err := output(ctx, "", environment(e.environment()), "docker", args...)
	return strings.TrimSpace(text), err
}

func (e *engine) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// Not info, which succeeds with half an answer.
	_, err := e.docker(ctx, "version", "--format", "{{.Server.Version}}")
	return err
}

// removeContainers ends those of SAM's that run what was built in a folder. It is an
// error where one stays.
func (e *engine) removeContainers(built string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	list := func() (ids []string, err error) {
		text, err := e.docker(ctx, "ps", "--all", "--no-trunc", "--filter", "label=sam.cli.container.type=lambda", "--format", "{{.ID}} {{.Mounts}}")
		for line := range strings.Lines(text) {
			// Docker Desktop puts its own folder before a path.
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
		return fmt.Errorf("containers %s stay: %w", strings.Join(ids, ", "), removed)
	}
	return err
}

// pullLimit bounds the base image's way here: 60 MB. A registry that is out of reach
// is told in seconds.
const pullLimit = 2 * time.Minute

const standIn = "connexease-functions/stand-in"

// base makes SAM's base image available, and returns what tells SAM of it. Where no
// registry can be reached and the engine does not have the image, a stand-in takes its
// place, under a name of its own: static binaries need nothing of the real one.
func (e *engine) base(ctx context.Context, image, arch string) (args []string, what string, err error) {
	args = []string{"--skip-pull-image"}
	pulling, cancel := context.WithTimeout(ctx, pullLimit)
	_, pulled := e.docker(pulling, "pull", "--quiet", image)
	cancel()
	if pulled == nil {
		return args, "Amazon's base image", nil
	}
	if _, err := e.docker(ctx, "image", "inspect", image); err == nil {
		return args, "Amazon's base image, as this engine has it", nil
	}
	name := standIn + ":" + arch
	archive := filepath.Join(os.TempDir(), fmt.Sprintf("stand-in-%d.tar", os.Getpid()))
	defer func() { _ = os.Remove(archive) }()
	if err := writeStandIn(archive, arch); err != nil {
		return nil, "", fmt.Errorf("%w\n%w", err, pulled)
	}
	// SAM builds its image with the emulator beside the base, in the same repository.
	e.standIns = []string{standIn + ":rapid-" + arch, name}
	_, err = e.docker(ctx, "import", "--change", "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime",
		"--change", "WORKDIR /var/task", archive, name)
	return append(args, "--invoke-image", name), "a stand-in base image, as no registry is reached", err
}

// writeStandIn makes an image's file system of what SAM's build of it runs.
func writeStandIn(path, arch string) error {
	var binary []byte
	busybox, err := exec.LookPath("busybox")
	if err == nil {
		binary, err = os.ReadFile(busybox)
	}
	if err == nil {
		err = isStatic(binary, arch)
	}
	if err != nil {
		return fmt.Errorf("neither SAM's base image nor a static busybox can be had (%w). Fix it with: apt-get install busybox-static", err)
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
