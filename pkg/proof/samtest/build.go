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
	"connexease-functions/pkg/proof/must"
)

const x86 = "x86_64"

// machines maps SAM's names of processors to ELF's.
var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, x86: elf.EM_X86_64}

func (p *project) template() *template.Template {
	return must.Get(template.Load(filepath.Join(p.root, "template.yaml"), nil))
}

// bootstraps reads the binaries of a build, by function, and refuses those that would not run in
// Lambda: for a different processor, or with a dependency on the libc of the build machine.
func (p *project) bootstraps(build, arch string) map[string][]byte {
	all := map[string][]byte{}
	for _, f := range must.Get(p.template().Functions()) {
		path := filepath.Join(build, f.Name, "bootstrap")
		all[f.Name] = must.Get(os.ReadFile(path))
		if err := isStatic(all[f.Name], arch); err != nil {
			must.OK(fmt.Errorf("%s: %w", path, err))
		}
	}
	must.Hold(len(all) > 0, "template.yaml has no functions")
	return all
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
func (p *project) proveDeployed(ctx context.Context, s *sam, done *steps) {
	copied := must.Get(os.MkdirTemp("", "connexease-sam-"))
	defer func() { _ = os.RemoveAll(copied) }()
	p.copy(copied)
	must.Get(s.run(ctx, copied, nil, "validate", "--lint"))
	done.done("sam validate --lint: template.yaml is valid")

	var releases []string // what each build tells versions apart by
	build := func() map[string][]byte {
		must.Get(s.run(ctx, copied, nil, "build"))
		built := filepath.Join(copied, ".aws-sam", "build")
		releases = append(releases, string(must.Get(os.ReadFile(filepath.Join(built, "Release", "release")))))
		return p.bootstraps(built, "arm64")
	}
	first := build()
	done.done("sam build, no flags: %d static binaries for arm64", len(first))

	must.Get(execute(ctx, copied, ownEnvironment(nil), "make", "build"))
	for name, binary := range first {
		path := filepath.Join(copied, "bin", strings.ToLower(strings.TrimSuffix(name, "Function")), "bootstrap")
		must.Hold(bytes.Equal(must.Get(os.ReadFile(path)), binary), "%s of sam build is not %s of make build", name, path)
	}
	done.done("make build gives the same binaries, byte for byte")

	change := fmt.Sprintf("package api\n\nimport \"os\"\n\nvar _ = os.Getenv(%q)\n", changed)
	must.OK(os.WriteFile(filepath.Join(copied, "pkg", "api", "changed.go"), []byte(change), 0o644))
	for name, binary := range build() {
		fresh := !bytes.Contains(first[name], []byte(changed)) && bytes.Contains(binary, []byte(changed))
		must.Hold(fresh, "sam build gave an old binary of %s after a change in pkg/", name)
	}
	done.done("sam build after a change in pkg/: the change is in each binary")

	build()
	file := filepath.Join(copied, "template.yaml")
	must.OK(os.WriteFile(file, append(must.Get(os.ReadFile(file)), "# a change\n"...), 0o644))
	build()
	once := releases[0] != releases[1] && releases[1] == releases[2] && releases[2] != releases[3]
	must.Hold(once, "a release must be new after a change of the code and of the template, and only then: %q", releases)
	done.done("the layer Release is new after a change of the code, and of the template, and else the same")
}

// copy copies the sources to a new checkout in a folder, so that the user's own .aws-sam and bin
// stay unchanged.
func (p *project) copy(folder string) {
	for _, name := range []string{"functions", "pkg"} {
		must.OK(os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join(p.root, name))))
	}
	for _, name := range []string{"go.mod", "go.sum", "Makefile", "samconfig.toml", "template.yaml"} {
		must.OK(os.WriteFile(filepath.Join(folder, name), must.Get(os.ReadFile(filepath.Join(p.root, name))), 0o644))
	}
}
