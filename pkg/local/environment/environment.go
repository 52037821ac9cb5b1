// Package environment is the file by which shells and programs find the laptop's stack: env in its
// folder, .local where none is named.
package environment

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Name is the file's name.
const Name = "env"

// forShells makes a user's shell use this stack only: its AWS settings are those of a real account,
// and its proxy, which curl would send the secrets to, does not reach this machine.
const forShells = `unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE AWS_IGNORE_CONFIGURED_ENDPOINT_URLS
case ",${no_proxy:-}," in *,127.0.0.1,*) ;; *) export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}" ;; esac
case ",${NO_PROXY:-}," in *,127.0.0.1,*) ;; *) export NO_PROXY="127.0.0.1,localhost,::1${NO_PROXY:+,$NO_PROXY}" ;; esac
`

// Write writes the file into a folder, whole or not at all. Any shell can read it: . .local/env
func Write(folder string, variables map[string]string) error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		fmt.Fprintf(&text, "export %s='%s'\n", name, strings.ReplaceAll(variables[name], "'", `'\''`))
	}
	text.WriteString(forShells)
	temporary := filepath.Join(folder, Name+".new")
	if err := os.WriteFile(temporary, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(folder, Name))
}

var assignment = regexp.MustCompile(`(?m)^export (\w+)='((?:[^'\n]|'\\'')*)'$`)

// Read returns the variables of a folder's file; os.ErrNotExist means that no stack runs there.
func Read(folder string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(folder, Name))
	if err != nil {
		return nil, err
	}
	variables := map[string]string{}
	for _, m := range assignment.FindAllStringSubmatch(string(text), -1) {
		variables[m[1]] = strings.ReplaceAll(m[2], `'\''`, "'")
	}
	return variables, nil
}
