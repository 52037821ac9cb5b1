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

	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/local/template"
)

const x86 = "x86_64"

// machines maps SAM's names of processors to ELF's.
var machines = map[string]elf.Machine{"arm64": elf.EM_AARCH64, x86: elf.EM_X86_64}

// goArch is Go's name for a processor of SAM's.
func goArch(arch string) string {
	if arch == x86 {
		return "amd64"
	}
	return arch
}

// functions returns the template's functions.
func (p *project) functions() ([]template.Function, error) {
	t, err := template.Load(filepath.Join(p.root, "template.yaml"), nil)
	if err != nil {
		return nil, err
	}
	return t.Functions()
}

// bootstraps reads the binaries of a build, by function, and refuses those that would not run in
// Lambda: for a different processor, or with a dependency on the libc of the build machine.
func (p *project) bootstraps(build, arch string) (map[string][]byte, error) {
	functions, err := p.functions()
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

	build := func() (map[string][]byte, error) {
		if _, err := s.run(ctx, copied, nil, "build"); err != nil {
			return nil, err
		}
		return p.bootstraps(filepath.Join(copied, ".aws-sam", "build"), "arm64")
	}
	first, err := build()
	if err != nil {
		return err
	}
	done.done("sam build, no flags: %d static binaries for arm64", len(first))

	if _, err := output(ctx, copied, environment(nil), "make", "build"); err != nil {
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

// endpoints lists the variables that a function in a container needs besides the template's own:
// SAM passes on only variables that the template declares, and the deployed template declares none
// of these.
var endpoints = []string{"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SCHEDULER"}

// localTemplate returns template.yaml for this machine's processor, with the endpoints
// declared, and its runtime.
func localTemplate(source []byte, arch string) (text []byte, runtime string, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(source, &doc); err != nil {
		return nil, "", fmt.Errorf("template.yaml: %w", err)
	}
	if len(doc.Content) == 0 {
		return nil, "", errors.New("template.yaml is empty")
	}
	function := member(member(doc.Content[0], "Globals"), "Function")
	if r := member(function, "Runtime"); r.Value == "" {
		return nil, "", errors.New("template.yaml has no Globals.Function.Runtime")
	} else {
		runtime = r.Value
	}
	*member(function, "Architectures") = yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: arch}}}
	variables := member(member(function, "Environment"), "Variables")
	for _, name := range endpoints {
		*member(variables, name) = yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle}
	}
	text, err = yaml.Marshal(&doc)
	return text, runtime, err
}

// member returns a member of a mapping, and creates it if it is absent.
func member(n *yaml.Node, name string) *yaml.Node {
	if n.Kind == 0 {
		n.Kind = yaml.MappingNode
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	value := &yaml.Node{}
	n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
	return value
}

// builtTemplate returns the template that sam local runs.
func (p *project) builtTemplate() string { return filepath.Join(p.state, "build", "template.yaml") }

// buildLocal builds for this machine.
func (p *project) buildLocal(ctx context.Context, s *sam, done *steps) error {
	source, err := os.ReadFile(filepath.Join(p.root, "template.yaml"))
	if err != nil {
		return err
	}
	text, _, err := localTemplate(source, p.arch)
	if err != nil {
		return err
	}
	path := filepath.Join(p.state, "template.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	if _, err := s.run(ctx, p.root, map[string]string{"LAMBDA_ARCH": goArch(p.arch)}, "build", "--template-file", path,
		"--base-dir", p.root, "--build-dir", filepath.Dir(p.builtTemplate()), "--build-in-source", "--parallel"); err != nil {
		return err
	}
	built, err := p.bootstraps(filepath.Dir(p.builtTemplate()), p.arch)
	if err != nil {
		return err
	}
	done.done("sam build for this machine: %d static binaries for %s", len(built), p.arch)
	return nil
}
