package contract_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"go.yaml.in/yaml/v3"

	"connexease-functions/pkg/api"
	"connexease-functions/pkg/local/fixtures"
	"connexease-functions/pkg/local/sim/httpapi"
	"connexease-functions/pkg/local/template"
	"connexease-functions/pkg/order"
	"connexease-functions/pkg/proof/contract"
	"connexease-functions/pkg/proof/docs"
)

func load(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := contract.Load(docs.Root(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// operations returns the description's operations by route.
func operations(c *contract.Contract) map[string]*openapi3.Operation {
	all := map[string]*openapi3.Operation{}
	for path, item := range c.Document.Paths.Map() {
		for method, o := range item.Operations() {
			all[method+" "+path] = o
		}
	}
	return all
}

// statuses returns the statuses that an operation has, a range as one of it, with the codes of
// their examples.
func statuses(o *openapi3.Operation) map[int][]string {
	all := map[int][]string{}
	for name, r := range o.Responses.Map() {
		if name == "default" {
			continue
		}
		status, err := strconv.Atoi(strings.ReplaceAll(name, "XX", "18"))
		if err != nil {
			panic(err)
		}
		all[status] = []string{}
		for _, e := range r.Value.Content["application/json"].Examples {
			if code := contract.CodeOfExample(e.Value); code != "" {
				all[status] = append(all[status], code)
			}
		}
	}
	return all
}

// codes are all failures of ours.
func codes(t *testing.T) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs.Root(t), "pkg/api/response.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`= "([A-Z]+_[0-9]{3})"`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	if len(all) < 20 {
		t.Fatalf("response.go has the codes %v", all)
	}
	slices.Sort(all)
	return all
}

func response(route string, status int, body string) contract.Response {
	return contract.Response{Route: route, Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
}

func TestItHasTheRoutesOfTheTemplateEachWithItsFunction(t *testing.T) {
	described, deployed := map[string]string{}, map[string]string{}
	for route, o := range operations(load(t)) {
		described[route] = strings.Join(o.Tags, " ")
	}
	from, err := template.Load(filepath.Join(docs.Root(t), "template.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	functions, err := from.Functions()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range functions {
		for _, r := range f.Routes {
			deployed[r.Method+" "+r.Path] = filepath.Base(f.Folder)
		}
	}
	if !maps.Equal(described, deployed) {
		t.Errorf("%s has %v, template.yaml %v", contract.Path, described, deployed)
	}
}

// SEND_003 has the Gateway's status.
func TestItHasEachCodeOfOursWhereItsExampleIsAndNowhereElse(t *testing.T) {
	c := load(t)
	described := map[string]bool{}
	for route, o := range operations(c) {
		passes := o.OperationID == "sendMessage"
		for status, examples := range statuses(o) {
			for _, code := range codes(t) {
				body := api.Fail(api.Code(code), "", nil).Body
				has := slices.Contains(examples, code)
				described[code] = described[code] || has
				ofGateways := code == string(api.RefusedUnread) && passes && status >= http.StatusBadRequest && status != http.StatusGatewayTimeout
				if err := c.Check(response(route, status, body)); (err == nil) != (has || ofGateways) {
					t.Errorf("%s %d %s: an example %t, checked %v", route, status, code, has, err)
				}
				if want := api.Fail(api.Code(code), "", nil).Status; has && !ofGateways && status != want {
					t.Errorf("%s: %s has the status %d, want %d", route, code, status, want)
				}
			}
		}
	}
	for _, code := range codes(t) {
		if !described[code] {
			t.Errorf("%s does not have %s", contract.Path, code)
		}
	}
}

func TestCodesOfTheGatewayAreAnOpenSet(t *testing.T) {
	c := load(t)
	for route, o := range operations(c) {
		for status := range statuses(o) {
			// 504 is ours alone: the Gateway's is an outcome that nobody knows.
			passes := o.OperationID == "sendMessage" && status >= http.StatusBadRequest && status != http.StatusGatewayTimeout
			for body, fits := range map[string]bool{
				`{"isSuccess":false,"errors":{"code":"NEW_001"}}`:                                      true,
				`{"isSuccess":false,"errors":{"code":"NEW_001","group":"G","more":[1]},"trace":"abc"}`: true,
				`{"isSuccess":false,"errors":{}}`:                                                      false,
				`{"isSuccess":false}`:                                                                  false,
				`{"errors":{"code":"NEW_001"}}`:                                                        false,
				`{"isSuccess":true,"errors":{"code":"NEW_001"}}`:                                       false,
			} {
				if err := c.Check(response(route, status, body)); (err == nil) != (passes && fits) {
					t.Errorf("%s %d %s: %v", route, status, body, err)
				}
			}
		}
	}
}

// Each way in which a response may differ from the description.
func TestAResponseThatIsNotDescribedIsFound(t *testing.T) {
	c := load(t)
	const look, missing = "GET /v1/wa/message/{id}", `{"isSuccess":false,"errors":{"code":"REQ_003","group":"NOT_FOUND","description":"There is no such message."}}`
	const found = `{"isSuccess":true,"data":{"id":"msg_7sapylbosybc6lyliv3yrdgiwn","state":"queued","explanation":"It waits.","statuses":[],"attempts":0}}`
	good := []contract.Response{response(look, 200, found), response(look, 404, missing), response(look, 500, `{"message":"Internal Server Error"}`)}
	for _, r := range good {
		if err := c.Check(r); err != nil {
			t.Fatal(err)
		}
	}
	bad := map[string]contract.Response{
		"a status":              response(look, 409, missing),
		"a route":               response("PUT /v1/wa/message/{id}", 200, found),
		"a code":                response(look, 404, strings.Replace(missing, "REQ_003", "REQ_004", 1)),
		"a code of another":     response(look, 404, strings.Replace(missing, "REQ_003", "CANCEL_001", 1)),
		"a missing group":       response(look, 404, strings.Replace(missing, `"group":"NOT_FOUND",`, "", 1)),
		"a missing description": response(look, 404, strings.Replace(missing, `,"description":"There is no such message."`, "", 1)),
		"a member more":         response(look, 404, strings.Replace(missing, `"code"`, `"more":1,"code"`, 1)),
		"a missing member":      response(look, 200, strings.Replace(found, `"attempts":0`, `"type":"text"`, 1)),
		"an unknown member":     response(look, 200, strings.Replace(found, `"attempts":0`, `"attempts":0,"more":1`, 1)),
		"a state":               response(look, 200, strings.Replace(found, "queued", "waiting", 1)),
		"a time":                response(look, 200, strings.Replace(found, `"attempts":0`, `"attempts":0,"send_at":"tomorrow"`, 1)),
		"no JSON":               response(look, 200, "ok"),
		"a header":              {Route: look, Status: 200, Header: http.Header{"Content-Type": {"application/json"}, "X-More": {"1"}}, Body: []byte(found)},
		"a type of content":     {Route: look, Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(found)},
	}
	for what, r := range bad {
		if c.Check(r) == nil {
			t.Errorf("%s is not found: %d %s", what, r.Status, r.Body)
		}
	}
}

func TestWhatNoTestSawIsNamed(t *testing.T) {
	c := load(t)
	all := c.Unseen("webhook")
	if !slices.Contains(all, "receive 200") || !slices.Contains(all, "receive 401 AUTH_003") || slices.ContainsFunc(all, func(p string) bool { return strings.HasPrefix(p, "sendMessage") }) {
		t.Fatalf("of the webhook nothing was seen, but %q", all)
	}
	if err := c.Check(response("POST /webhook", 401, api.Fail(api.MalformedToken, "", nil).Body)); err != nil {
		t.Fatal(err)
	}
	if rest := c.Unseen("webhook"); len(rest) != len(all)-2 || slices.Contains(rest, "receive 401") || slices.Contains(rest, "receive 401 AUTH_003") {
		t.Errorf("after AUTH_003 %q", rest)
	}
}

func TestResponsesOfAPIGatewayItselfAreDescribed(t *testing.T) {
	c := load(t)
	for route := range operations(c) {
		method, path, _ := strings.Cut(route, " ")
		request := httptest.NewRequest(method, strings.NewReplacer("{", "", "}", "").Replace(path), strings.NewReader(strings.Repeat(" ", 10<<20+1)))
		recorder := httptest.NewRecorder()
		httpapi.New([]httpapi.Route{{Method: method, Path: path}}, nil).ServeHTTP(recorder, request)
		if recorder.Code != http.StatusRequestEntityTooLarge {
			t.Fatalf("%s: %d %s", route, recorder.Code, recorder.Body)
		}
		for _, status := range []int{recorder.Code, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable} {
			if err := c.Check(contract.Response{Route: route, Status: status, Header: recorder.Header(), Body: recorder.Body.Bytes()}); err != nil {
				t.Error(err)
			}
		}
	}
}

// source is all that the functions are made of.
func source(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"functions/*/*.go", "pkg/api/*.go", "pkg/order/*.go"} {
		files, err := filepath.Glob(filepath.Join(docs.Root(t), pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

func TestExamplesOfFailuresAreInTheProductsWords(t *testing.T) {
	words := source(t)
	for name, e := range load(t).Document.Components.Examples {
		body, err := json.Marshal(e.Value.Value)
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Errors struct {
				Code, Group, Description string
				Params                   map[string]any
			}
		}
		if err := json.Unmarshal(body, &said); err != nil || !slices.Contains(codes(t), said.Errors.Code) {
			continue // a success, or the Gateway's
		}
		ours := api.Fail(api.Code(said.Errors.Code), said.Errors.Description, said.Errors.Params)
		var want any
		if err := json.Unmarshal([]byte(ours.Body), &want); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(want); err != nil || string(again) != string(body) {
			t.Errorf("%s is %s, want %s", name, body, again)
		}
		if !strings.Contains(words, strconv.Quote(said.Errors.Description)) && !strings.Contains(words, "`"+said.Errors.Description+"`") {
			t.Errorf("%s says %q, which no function says", name, said.Errors.Description)
		}
	}
}

// rows are the rows of a table of a README: the cells of those whose first has this form.
func rows(t *testing.T, readme, section string, first *regexp.Regexp) (all [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs.Root(t), readme))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	if !found {
		t.Fatalf("%s has no section %s", readme, section)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	for line := range strings.Lines(rest) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | "); strings.HasPrefix(line, "|") && first.MatchString(cells[0]) {
			all = append(all, cells)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s, %s has no such rows", readme, section)
	}
	return all
}

var aCode = regexp.MustCompile("`([A-Z]+_[0-9]{3})`")

func TestREADMEsTablesOfCodesAreTheDescriptions(t *testing.T) {
	said, described := map[string]bool{}, map[string]bool{}
	for _, row := range rows(t, "functions/send/README.md", "Error codes", aCode) {
		for _, m := range aCode.FindAllStringSubmatch(row[0], -1) {
			status := strings.TrimSpace(row[1])
			if status == "as given" {
				status = "418"
			}
			said["send "+status+" "+m[1]] = true
		}
	}
	for _, row := range rows(t, "functions/webhook/README.md", "Contract", aCode) {
		status := ""
		for _, m := range regexp.MustCompile("(?:([0-9]{3}) )?`([A-Z]+_[0-9]{3})`").FindAllStringSubmatch(row[0], -1) {
			if m[1] != "" {
				status = m[1]
			}
			said["webhook "+status+" "+m[2]] = true
		}
	}
	for _, o := range operations(load(t)) {
		for status, examples := range statuses(o) {
			for _, code := range examples {
				if slices.Contains(codes(t), code) {
					described[o.Tags[0]+" "+strconv.Itoa(status)+" "+code] = true
				}
			}
		}
	}
	if !maps.Equal(said, described) {
		t.Errorf("the READMEs have %q, %s %q", slices.Sorted(maps.Keys(said)), contract.Path, slices.Sorted(maps.Keys(described)))
	}
}

func TestTheEnvelopeHasTheMembersThatAreRead(t *testing.T) {
	_, refused := order.FromEnvelope([]byte(`{"nothing":1,"message":{}}`))
	if refused == nil {
		t.Fatal("an unknown member is accepted")
	}
	m := regexp.MustCompile(`an envelope has ([A-Za-z, ]+)`).FindStringSubmatch(refused.Body)
	if m == nil {
		t.Fatalf("refused by %s", refused.Body)
	}
	read := strings.Split(m[1], ", ")
	slices.Sort(read)
	if described := slices.Sorted(maps.Keys(load(t).Document.Components.Schemas["Envelope"].Value.Properties)); !slices.Equal(described, read) {
		t.Errorf("the envelope has %v, %s %v", read, contract.Path, described)
	}
}

func TestREADMEsHeadersAreDescribed(t *testing.T) {
	said, described := map[string]bool{"is_fake": true, "mmlite": true}, map[string]bool{}
	for _, row := range rows(t, "functions/send/README.md", "HTTP", regexp.MustCompile("^ `[A-Z]")) {
		name, _, _ := strings.Cut(strings.Trim(strings.TrimSpace(row[0]), "`"), ":")
		name, _, _ = strings.Cut(name, "`")
		said[name] = true
	}
	for _, p := range operations(load(t))["POST /v1/wa/message"].Parameters {
		described[p.Value.Name] = true
	}
	if !maps.Equal(said, described) {
		t.Errorf("README has %v, %s %v", slices.Sorted(maps.Keys(said)), contract.Path, slices.Sorted(maps.Keys(described)))
	}
}

// inOrder writes a node's JSON with its members in their order, as a response has them.
func inOrder(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		var members []string
		for i := 0; i+1 < len(n.Content); i += 2 {
			members = append(members, inOrder(n.Content[i])+":"+inOrder(n.Content[i+1]))
		}
		return "{" + strings.Join(members, ",") + "}"
	case yaml.SequenceNode:
		var items []string
		for _, item := range n.Content {
			items = append(items, inOrder(item))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	if n.Tag == "!!str" || n.Tag == "!!timestamp" {
		text, err := json.Marshal(n.Value)
		if err != nil {
			panic(err)
		}
		return string(text)
	}
	return n.Value
}

// examples are the values of all members named value below a node.
func examples(n *yaml.Node) (all []string) {
	for i, part := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "value" {
			all = append(all, names.ReplaceAllString(inOrder(part), "${1}name"))
			continue
		}
		all = append(all, examples(part)...)
	}
	return all
}

// names are what each example has of its own: people and messages.
var names = regexp.MustCompile(`1555[0-9]{7}|(msg_)[a-z2-7]{26}`)

// What READMEs print for a request to the API is an example, but for what they leave out.
func TestREADMEsResponsesAreExamples(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(docs.Root(t), contract.Path))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	all, compared := examples(&document), 0
	for _, x := range docs.Exchanges(t) {
		for line := range strings.Lines(x.Printed) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, `{"isSuccess"`) {
				continue
			}
			compared++
			like := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(names.ReplaceAllString(line, "${1}name")), "…", ".*") + "$")
			if !slices.ContainsFunc(all, like.MatchString) {
				t.Errorf("%s has no example like README's %s", contract.Path, line)
			}
		}
	}
	if compared < 15 {
		t.Errorf("%d responses were compared", compared)
	}
}

// validate returns why the description does not have a request; nil where it has it.
func validate(t *testing.T, c *contract.Contract, method, target, body string, headers map[string]string) error {
	t.Helper()
	router, err := gorillamux.NewRouter(c.Document)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, "http://127.0.0.1:8080"+target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	route, path, err := router.FindRoute(r)
	if err != nil {
		t.Fatal(err)
	}
	return openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
		Request: r, Route: route, PathParams: path, Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
}

func TestREADMEsRequestsAndEveryMessageAreDescribed(t *testing.T) {
	c := load(t)
	curl := regexp.MustCompile(`(?s)curl[^\n]* \$API_URL(/[^\s?]*\S*)(.*?)(?:\n[a-z]|$)`)
	header, data := regexp.MustCompile(`-H "([A-Za-z-]+): ([^"$]*)"`), regexp.MustCompile(`(?s)-d '([^']*)'`)
	requests := 0
	for _, x := range docs.Exchanges(t) {
		for _, m := range curl.FindAllStringSubmatch(x.Command, -1) {
			body := data.FindStringSubmatch(m[0])
			if body == nil || m[1] == "/webhook" {
				continue
			}
			requests++
			headers := map[string]string{}
			for _, h := range header.FindAllStringSubmatch(m[0], -1) {
				headers[h[1]] = h[2]
			}
			if err := validate(t, c, "POST", m[1], body[1], headers); err != nil {
				t.Errorf("%s: %v", m[0], err)
			}
		}
	}
	if requests < 10 {
		t.Errorf("READMEs have %d sends", requests)
	}
	for _, name := range fixtures.Sends() {
		body, err := fixtures.Send(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range []string{string(body), `{"message":` + string(body) + `}`} {
			if err := validate(t, c, "POST", "/v1/wa/message", one, nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// What the description refuses, the function refuses as well.
func TestARequestThatIsNotDescribedIsRefused(t *testing.T) {
	c := load(t)
	const text = `{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":"Hello"}}`
	for _, member := range []string{
		`"idempotencyKey":"a b"`, `"idempotencyKey":7`, `"sender":"a b"`, `"validFor":0`, `"validFor":1036801`, `"onUnknown":"retry"`, `"lane":"slow"`, `"sendAt":"tomorrow"`, `"after":7`,
		`"onClosedWindow":"close"`, `"onUnknownWindow":"shut"`, `"fallback":7`, `"purpose":"fun"`, `"reader":"a b"`, `"campaign":""`, `"isFake":"yes"`, `"mmlite":1`, `"idempotencykey":"a"`,
	} {
		body := `{` + member + `,"message":` + text + `}`
		if validate(t, c, "POST", "/v1/wa/message", body, nil) == nil {
			t.Errorf("%s has %s", contract.Path, body)
		}
		if o, refused := order.FromEnvelope([]byte(body)); refused == nil {
			t.Errorf("%s is read as %+v", body, o)
		}
	}
	for name, value := range map[string]string{
		"Idempotency-Key": "a, b", "Valid-For": "1h", "On-Unknown": "retry", "Sender": "a b", "Send-At": "tomorrow", "Lane": "slow",
		"On-Closed-Window": "close", "On-Unknown-Window": "shut", "Purpose": "fun",
	} {
		if validate(t, c, "POST", "/v1/wa/message", text, map[string]string{name: value}) == nil {
			t.Errorf("%s has %s: %s", contract.Path, name, value)
		}
		event, err := json.Marshal(map[string]any{
			"version": "2.0", "routeKey": "POST /v1/wa/message", "body": text, "headers": map[string]string{name: value},
			"requestContext": map[string]any{"http": map[string]string{"method": "POST"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		request, err := api.ReadRequest(event)
		if err != nil {
			t.Fatal(err)
		}
		if o, refused := order.FromHTTP(request, "crm"); refused == nil {
			t.Errorf("%s: %s is read as %+v", name, value, o)
		}
	}
}
