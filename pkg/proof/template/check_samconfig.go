package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// section is a table of samconfig.toml: keys and their values, without quotes.
type section map[string]string

// readSamconfig reads the little of TOML that samconfig.toml uses.
func readSamconfig(text string) (map[string]section, error) {
	all := map[string]section{}
	current := section{}
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			current = section{}
			all[strings.TrimSuffix(name, "]")] = current
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("samconfig.toml:%d cannot be read", number+1)
		}
		current[strings.TrimSpace(key)] = strings.Trim(strings.TrimSpace(value), `"`)
	}
	return all, nil
}

// Overrides returns the parameters that samconfig.toml sets for an environment's stack.
func Overrides(samconfig, environment string) (map[string]string, error) {
	all, err := readSamconfig(samconfig)
	if err != nil {
		return nil, err
	}
	parameters := map[string]string{}
	for pair := range strings.FieldsSeq(all[environment+".deploy.parameters"]["parameter_overrides"]) {
		name, value, _ := strings.Cut(pair, "=")
		parameters[name] = value
	}
	return parameters, nil
}

// samconfigIsComplete: environments inherit nothing, so each has everything that a build and a
// deployment without flags need, and none names a region.
func samconfigIsComplete(p *proof) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	all, err := readSamconfig(p.samconfig)
	if err != nil {
		return []string{err.Error()}
	}
	stacks := map[string]string{}
	for _, environment := range []string{"default", "staging", "prod"} {
		build := all[environment+".build.parameters"]
		if want := (section{"cached": "false", "parallel": "true", "build_in_source": "true"}); !maps.Equal(build, want) {
			fault("%s: build is %v, not %v", environment, build, want)
		}
		deploy := all[environment+".deploy.parameters"]
		if want := slices.Sorted(maps.Keys(all["prod.deploy.parameters"])); !slices.Equal(slices.Sorted(maps.Keys(deploy)), want) || len(want) == 0 {
			fault("%s: deploy has other settings than prod: %v", environment, slices.Sorted(maps.Keys(deploy)))
		}
		for key, want := range (section{"resolve_s3": "true", "capabilities": "CAPABILITY_IAM", "fail_on_empty_changeset": "false"}) {
			if deploy[key] != want {
				fault("%s: %s is %q, not %q", environment, key, deploy[key], want)
			}
		}
		if stack := deploy["stack_name"]; stack == "" || stacks[stack] != "" {
			fault("%s: stack_name %q is missing or a different environment's", environment, stack)
		}
		stacks[deploy["stack_name"]] = environment
		if environment != "default" && deploy["confirm_changeset"] != "true" {
			fault("%s: is changed without confirmation", environment)
		}
		for pair := range strings.FieldsSeq(deploy["parameter_overrides"]) {
			name, value, _ := strings.Cut(pair, "=")
			n := find(p.Root(), "Parameters", name)
			if n == nil {
				fault("%s: unknown parameter %s", environment, name)
			} else if why := allows(n, value); why != "" {
				fault("%s: %s %s", environment, pair, why)
			}
		}
	}
	// What else names a stack means the development stack, as it is deployed.
	for _, name := range []string{"default.sync.parameters", "default.logs.parameters"} {
		if all[name] == nil {
			fault("there is no %s", name)
		}
		for key, value := range all[name] {
			if want, is := all["default.deploy.parameters"][key]; is && value != want {
				fault("%s: %s is %q, the stack is deployed with %q", name, key, value, want)
			}
		}
	}
	for name, s := range all {
		if strings.Contains(name, ".sync.") && !strings.HasPrefix(name, "default.") {
			fault("%s: sam sync is for the development stack alone", name)
		}
		if s["region"]+s["profile"] != "" {
			fault("%s pins a region or a profile: those are the user's", name)
		}
	}
	return faults
}
