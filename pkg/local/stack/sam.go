package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// ContainerHost is the host name of this machine, as seen from containers.
const ContainerHost = "host.docker.internal"

// unknownService is an address without a server: calls to an AWS service that the stack lacks must
// not reach AWS.
const unknownService = "http://127.0.0.1:1"

// SAMVariables returns the functions' environments by logical id, in the form of sam local's
// --env-vars and with addresses as seen from containers. Everything in them belongs to this stack,
// including credentials and region.
func (s *Stack) SAMVariables() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, f := range s.functions {
		env := s.environment(f)
		for name, value := range env {
			env[name] = strings.Replace(value, "http://127.0.0.1:", "http://"+ContainerHost+":", 1)
		}
		maps.Copy(env, map[string]string{"AWS_ENDPOINT_URL": unknownService, "AWS_SESSION_TOKEN": ""})
		all[f.Name] = env
	}
	return all
}

// WriteSAMTemplate builds the functions for containers of this machine into a folder, and writes a
// template for sam local that declares every variable of SAMVariables with its value. SAM drops
// variables that a template does not declare, and the deployed one declares no endpoints.
func (s *Stack) WriteSAMTemplate(ctx context.Context, path, folder string) error {
	architecture := runtime.GOARCH
	if architecture == "amd64" {
		architecture = "x86_64"
	}
	variables, resources := s.SAMVariables(), map[string]any{}
	for _, f := range s.functions {
		code := filepath.Join(folder, f.Name)
		if err := s.build(ctx, f, "linux", filepath.Join(code, "bootstrap")); err != nil {
			return err
		}
		events := map[string]any{}
		for i, r := range f.Routes {
			events["Route"+strconv.Itoa(i)] = map[string]any{"Type": "HttpApi", "Properties": map[string]any{"Method": r.Method, "Path": r.Path}}
		}
		resources[f.Name] = map[string]any{
			"Type": "AWS::Serverless::Function",
			"Properties": map[string]any{
				"Runtime": s.tpl.Runtime(), "Handler": "bootstrap", "Architectures": []string{architecture}, "CodeUri": code,
				"Timeout": int(f.Timeout.Seconds()), "MemorySize": f.MemoryMB, "Events": events,
				"Environment": map[string]any{"Variables": variables[f.Name]},
			},
		}
	}
	// JSON is YAML.
	text, err := json.MarshalIndent(map[string]any{
		"AWSTemplateFormatVersion": "2010-09-09", "Transform": "AWS::Serverless-2016-10-31", "Resources": resources,
	}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// ContainerPorts returns the ports that functions in containers call.
func (s *Stack) ContainerPorts() ([]int, error) {
	var ports []int
	for _, address := range []string{s.DynamoDBURL, s.SecretsURL, s.SQSURL, s.LambdaURL, s.BusURL, s.ScheduleURL, s.GatewayURL} {
		u, err := url.Parse(address)
		if err != nil {
			return nil, err
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			return nil, fmt.Errorf("address %s: %w", address, err)
		}
		ports = append(ports, port)
	}
	return ports, nil
}
