// Package contract holds what callers of the HTTP API see against its description,
// pkg/api/openapi.yaml: each response that a test sees is validated by it, and each response that
// it describes is seen by a test.
package contract

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"connexease-functions/pkg/api"
)

// Path is the description's, relative to the project's folder.
const Path = "pkg/api/openapi.yaml"

// untold are headers that a response need not describe.
var untold = []string{"Content-Type", "Cache-Control", "Content-Length", "Date", "Apigw-Requestid"}

// Contract is the description, and what of it was seen.
type Contract struct {
	Document *openapi3.T

	mu    sync.Mutex
	seen  map[string]bool            // by operation, status of the description and code
	valid map[[sha256.Size]byte]bool // sums of responses that it has, because each check compiles its schema
}

// Load reads and validates the description of the project in a folder.
func Load(root string) (*Contract, error) {
	document, err := openapi3.NewLoader().LoadFromFile(filepath.Join(root, Path))
	if err == nil {
		err = document.Validate(context.Background(), openapi3.IsOpenAPI31OrLater())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Path, err)
	}
	return &Contract{Document: document, seen: map[string]bool{}, valid: map[[sha256.Size]byte]bool{}}, nil
}

// Response is what a caller saw.
type Response struct {
	Route  string // as in template.yaml: a method and a path with its parameters' names
	Status int
	Header http.Header
	Body   []byte
}

// sum is that of all that the description says something of.
func (r Response) sum() [sha256.Size]byte {
	r.Header = r.Header.Clone()
	for _, name := range untold {
		if name != "Content-Type" {
			r.Header.Del(name)
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // there is nothing in it that JSON does not have
	}
	return sha256.Sum256(text)
}

// operation returns what the description says of a route; nil: nothing.
func (c *Contract) operation(route string) (method, path string, item *openapi3.PathItem, o *openapi3.Operation) {
	method, path, _ = strings.Cut(route, " ")
	if item = c.Document.Paths.Value(path); item != nil {
		o = item.GetOperation(method)
	}
	return method, path, item, o
}

// Check returns an error where the description does not have a response: its status, a member, a
// code or a header. It remembers what it saw. A route that API Gateway does not have is unknown to
// the functions as well.
func (c *Contract) Check(r Response) error {
	method, path, item, operation := c.operation(r.Route)
	if operation == nil {
		if r.Status == http.StatusNotFound || r.Status == http.StatusUnauthorized {
			return nil
		}
		return fmt.Errorf("%s does not have %s", Path, r.Route)
	}
	sum := r.sum()
	c.mu.Lock()
	valid := c.valid[sum]
	c.mu.Unlock()
	if valid {
		return nil
	}
	request, err := http.NewRequest(method, "/", nil)
	if err != nil {
		return err
	}
	err = openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: request, Route: &routers.Route{Spec: c.Document, Path: path, PathItem: item, Method: method, Operation: operation},
		},
		Status: r.Status, Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		return fmt.Errorf("%s: %s %d: %w", Path, r.Route, r.Status, err)
	}
	status := statusOf(operation, r.Status)
	told := slices.AppendSeq(slices.Clone(untold), maps.Keys(operation.Responses.Value(status).Value.Headers))
	for name := range r.Header {
		if !slices.ContainsFunc(told, func(one string) bool { return strings.EqualFold(one, name) }) {
			return fmt.Errorf("%s: %s %d does not have the header %s", Path, r.Route, r.Status, name)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[place(operation, status, "")], c.seen[place(operation, status, api.CodeOf(r.Body))] = true, true
	c.valid[sum] = true
	return nil
}

func place(o *openapi3.Operation, status, code string) string {
	return strings.TrimSpace(o.OperationID + " " + status + " " + code)
}

// Unseen returns what of the description no response had yet: the statuses of the operations with a
// tag, and the codes of their examples.
func (c *Contract) Unseen(tag string) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, item := range c.Document.Paths.Map() {
		for _, o := range item.Operations() {
			if !slices.Contains(o.Tags, tag) {
				continue
			}
			for status, r := range o.Responses.Map() {
				if status == "default" { // API Gateway's own
					continue
				}
				wanted := []string{""}
				for _, e := range r.Value.Content["application/json"].Examples {
					wanted = append(wanted, CodeOfExample(e.Value))
				}
				for _, code := range wanted {
					if p := place(o, status, code); !c.seen[p] {
						all = append(all, p)
					}
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// statusOf is the description's name of the status that a response has.
func statusOf(o *openapi3.Operation, status int) string {
	exact := strconv.Itoa(status)
	for _, name := range []string{exact, exact[:1] + "XX"} {
		if o.Responses.Value(name) != nil {
			return name
		}
	}
	return "default"
}

// CodeOfExample is the error code of an example; empty for a success.
func CodeOfExample(e *openapi3.Example) string {
	body, err := json.Marshal(e.Value)
	if err != nil {
		panic(err) // it was read from YAML
	}
	return api.CodeOf(body)
}
