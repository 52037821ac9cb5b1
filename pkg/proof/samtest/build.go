package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"connexease-functions/pkg/local/template"
)

const x86 = "x86_64"

// machines maps SAM's names of processors to ELF's.
var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, x86: elf.EM_X86_64}

func (p *project) template() (*template.Template, error) {
	return template.Load(filepath.Join(p.root, "template.yaml"), nil)
}

// bootstraps reads the binaries of a build, by function, and refuses those that would not run in
// Lambda: for a different processor, or with a dependency on the libc of the build machine.
func (p *project) bootstraps(build, arch string) (map[string][]byte, error) {
	t, err := p.template()
	if err != nil {
		return nil, err
	}
	functions, err := t.Functions()
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	for _, f := range functions {
		path := filepath.Join(build, f.Name, "bootstrap")
		binary, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if err := isStatic(binary, arch); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[f.Name] = binary
	}
	if len(all) == 0 {
		return nil, errors.New("template.yaml has no functions")
	}
	return all, nil
}

// isStatic refuses a binary for a different processor, or one that needs a libc.
func isStatic(binary []byte, arch string) error {
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		return err
	}
	if file.Machine != machines[arch] {
		return fmt.Errorf("it is for %s, want %s", file.Machine, machines[arch])
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New("it is not static")
		}
	}
	return nil
}

// changed ends up in the binaries through a change in pkg/.
const changed = "A_CHANGE_IN_PKG_THAT_REACHED_THE_BINARY"

// proveDeployed does in a copy what a deployment does in the checkout.
func (p *project) proveDeployed(ctx context.Context, s *sam, done *steps) error {
	copied, err := p.copy()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(copied) }()
	if _, err := s.run(ctx, copied, nil, "validate", "--lint"); err != nil {
		return err
	}
	done.done("sam validate --lint: template.yaml is valid")

	var releases []string // what each build tells versions apart by
	build := func() (map[string][]byte, error) {
		if _, err := s.run(ctx, copied, nil, "build"); err != nil {
			return nil, err
		}
		built := filepath.Join(copied, ".aws-sam", "build")
		release, err := os.ReadFile(filepath.Join(built, "Release", "release"))
		if err != nil {
			return nil, err
		}
		releases = append(releases, string(release))
		return p.bootstraps(built, "arm64")
	}
	first, err := build()
	if err != nil {
		return err
	}
	done.done("sam build, no flags: %d static binaries for arm64", len(first))

	if _, err := output(ctx, copied, ownEnvironment(nil), "make", "build"); err != nil {
		return err
	}
	for name, binary := range first {
		path := filepath.Join(copied, "bin", strings.ToLower(strings.TrimSuffix(name, "Function")), "bootstrap")
		own, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(own, binary) {
			return fmt.Errorf("%s of sam build is not %s of make build", name, path)
		}
	}
	done.done("make build gives the same binaries, byte for byte")

	change := fmt.Sprintf("package api\n\nimport \"os\"\n\nvar _ = os.Getenv(%q)\n", changed)
	if err := os.WriteFile(filepath.Join(copied, "pkg", "api", "changed.go"), []byte(change), 0o644); err != nil {
		return err
	}
	second, err := build()
	if err != nil {
		return err
	}
	for name, binary := range second {
		if bytes.Contains(first[name], []byte(changed)) || !bytes.Contains(binary, []byte(changed)) {
			return fmt.Errorf("sam build gave an old binary of %s after a change in pkg/", name)
		}
	}
	done.done("sam build after a change in pkg/: the change is in each binary")

	if _, err := build(); err != nil {
		return err
	}
	template, err := os.OpenFile(filepath.Join(copied, "template.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = template.WriteString("# a change\n")
	if err = errors.Join(err, template.Close()); err != nil {
		return err
	}
	if _, err := build(); err != nil {
		return err
	}
	if releases[0] == releases[1] || releases[1] != releases[2] || releases[2] == releases[3] {
		return fmt.Errorf("a release must be new after a change of the code and of the template, and only then: %q", releases)
	}
	done.done("the layer Release is new after a change of the code, and of the template, and else the same")
	return nil
}

// copy copies the sources to a new checkout, so that the user's own .aws-sam and bin stay
// unchanged.
func (p *project) copy() (folder string, err error) {
	if folder, err = os.MkdirTemp("", "connexease-sam-"); err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(folder)
		}
	}()
	for _, name := range []string{"functions", "pkg"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join(p.root, name))); err != nil {
			return "", err
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "Makefile", "samconfig.toml", "template.yaml"} {
		text, err := os.ReadFile(filepath.Join(p.root, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return "", err
		}
	}
	return folder, nil
}
