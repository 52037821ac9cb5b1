// Package command has the commands of the operator's program, ops, one file a step of each.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Run runs one command, and returns the process's exit code: 0, or 1 where it failed.
func Run(ctx context.Context, arguments []string) int {
	p := &program{terminal: newTerminal(os.Stdin, os.Stdout, os.Stderr)}
	if err := p.run(ctx, arguments); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(os.Stderr, sentence(err))
		}
		return 1
	}
	return 0
}

// sentence returns an error as a line of its own.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// errSaid is the error of a command whose output already says what is wrong.
var errSaid = errors.New("it failed")

// program is one run of ops.
type program struct {
	*terminal
	stack    string // local, or the name of a deployed stack
	state    string // folder of the laptop's stack
	template string // path of template.yaml
	yes      bool   // ask nothing
	// watch is called with each IAM action in use, such as dynamodb:Scan; may be nil.
	watch func(action string)
}

// commands holds the commands' constructors. Each command's file adds its own in init.
var commands []func(*program) *cobra.Command

func register(c func(*program) *cobra.Command) { commands = append(commands, c) }

func (p *program) run(ctx context.Context, arguments []string) error {
	root := &cobra.Command{
		Use:   "ops",
		Short: "Operate a stack: the laptop's, or one in AWS",
		Long: "Operate a stack: the laptop's (make run), or one in AWS, with your own credentials.\n" +
			"Each command's --help says which IAM actions they must allow.",
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.stack, "stack", local, "name of a deployed stack, or local")
	flags.StringVar(&p.state, "state", ".local", "folder of the laptop's stack")
	flags.StringVar(&p.template, "template", "template.yaml", "path of template.yaml")
	flags.BoolVar(&p.yes, "yes", set("YES"), "do not ask for confirmation (or YES=1)")
	for _, add := range commands {
		root.AddCommand(add(p))
	}
	root.SetArgs(long(arguments))
	root.SetOut(p.out)
	root.SetErr(p.messages)
	root.SetIn(p.in)
	return root.ExecuteContext(ctx)
}

// set reports whether an environment variable is a yes.
func set(name string) bool {
	return slices.Contains([]string{"1", "yes", "true"}, strings.ToLower(os.Getenv(name)))
}

var oneDash = regexp.MustCompile(`^-[a-z]{2}`)

// long adds a second dash to each flag, so that -stack is the same as --stack.
func long(arguments []string) []string {
	all := slices.Clone(arguments)
	for i, a := range all {
		if a == "--" {
			break
		}
		if oneDash.MatchString(a) {
			all[i] = "-" + a
		}
	}
	return all
}

// permissions is the annotation that holds a command's IAM actions.
const permissions = "permissions"

// discovery lists the IAM actions with which every command finds a stack's resources.
const discovery = "cloudformation:DescribeStacks cloudformation:ListStackResources"

// needs adds the IAM actions that a command uses on a deployed stack to its help.
func needs(c *cobra.Command, actions string) *cobra.Command {
	all := strings.Fields(discovery + " " + actions)
	c.Args = cobra.NoArgs
	c.Annotations = map[string]string{permissions: strings.Join(all, " ")}
	c.Long = strings.TrimSpace(c.Long) + "\n\nIAM actions that it needs in AWS; none for the laptop's stack:\n  " + strings.Join(all, "\n  ")
	return c
}
