package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func init() {
	register(page{path: "/laptop", title: "Laptop", place: 70, template: "laptop", laptop: true, show: showLaptop, actions: map[string]action{
		"/laptop/do": {do: doOnLaptop},
	}})
}

// controlLaptop is the laptop's control address: what the page does is what its requests do.
type controlLaptop interface {
	// Control does a request of the control address, and returns its response.
	Control(ctx context.Context, method, path, body string) (status int, text []byte)
}

// laptopRequest is a request of the control address.
type laptopRequest struct{ Method, Path, Body string }

// Curl is the command that does the same.
func (r laptopRequest) Curl() string {
	text := "curl -sS"
	if r.Method != http.MethodGet {
		text += " -X " + r.Method
	}
	text += " " + quoted("$CONTROL_URL", r.Path)
	if r.Body != "" {
		text += " -d '" + strings.ReplaceAll(r.Body, "'", `'\''`) + "'"
	}
	return text
}

// quoted is an address for a shell, whose variable is expanded.
func quoted(variable, path string) string {
	if strings.ContainsAny(path, " &?*()[]{}'\"$`\\") {
		return `"` + variable + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(path) + `"`
	}
	return variable + path
}

// button does a request by one click.
type button struct {
	Label, About string
	laptopRequest
}

// group is a part of the page.
type group struct {
	ID, Title, About string
	Now              []byte // the present setting, as JSON; nil: there is none
	Buttons          []button
}

// groups are the parts of the page whose buttons stand still.
func groups() []group {
	fault := func(label, about, body string) button {
		return button{label, about, laptopRequest{http.MethodPut, "/gateway/faults", body}}
	}
	callback := func(label, about, body string) button {
		return button{label, about, laptopRequest{http.MethodPut, "/gateway/callbacks", body}}
	}
	limit := func(label, about, body string) button {
		return button{label, about, laptopRequest{http.MethodPut, "/gateway/limits", body}}
	}
	scheduler := func(label, about, body string) button {
		return button{label, about, laptopRequest{http.MethodPut, "/schedules/faults", body}}
	}
	advance := func(by string) button {
		return button{"On by " + by, "", laptopRequest{http.MethodPost, "/schedules/advance?by=" + by, ""}}
	}
	rotate := func(name, about string) button {
		return button{"Rotate " + name, about, laptopRequest{http.MethodPut, "/secrets/" + name, ""}}
	}
	return []group{
		{ID: "faults", Title: "Faults of the Gateway", About: "What its next requests meet.", Buttons: []button{
			fault("Lose the next response", "the message leaves, and its sender cannot know: an unknown outcome", `[{"kind":"reset_after","times":1}]`),
			fault("Break the next connection", "before the message was read", `[{"kind":"reset_before","times":1}]`),
			fault("429 three times", "the rate limit, with Retry-After", `[{"kind":"rate_limit","times":3,"retry_after":"1"}]`),
			fault("Meta says not now", "GW_001 with 130429", `[{"kind":"meta_limit","times":1}]`),
			fault("Fail a fifth", "500 for one request of five", `[{"kind":"answer","status":500,"body":"oops","share":0.2}]`),
			fault("Payment required", "402 for the next", `[{"kind":"answer","status":402,"body":"{\"isSuccess\":false,\"errors\":{\"code\":\"PAY_001\"}}","times":1}]`),
			fault("Slow, 3 s", "the message is accepted at once", `[{"kind":"slow","delay_ms":3000}]`),
			fault("Away for 10 s", "its port is closed", `[{"kind":"refuse","delay_ms":10000}]`),
			fault("No faults", "", `[]`),
		}},
		{ID: "callbacks", Title: "Callbacks", About: "How messages come back as statuses.", Buttons: []button{
			callback("Sent, delivered, read", "at once", `{}`),
			callback("None", "nothing unknown settles", `{"off":true}`),
			callback("Late and shuffled", "2 s each, in any order", `{"delay_ms":2000,"shuffle":true}`),
			callback("Repeated three times", "", `{"repeat":3}`),
			callback("Half is lost", "", `{"loss":0.5}`),
			callback("The next one fails", "131026: undeliverable", `{"fail_times":1}`),
		}},
		{ID: "limits", Title: "Rate limits of each key", About: "Requests a second and a minute.", Buttons: []button{
			limit("80 a second", "the Gateway's usual limit", `{"per_second":80,"per_minute":4800}`),
			limit("20 a second", "of a number in coexistence", `{"per_second":20,"per_minute":1200}`),
			limit("1 a second", "", `{"per_second":1,"per_minute":60}`),
		}},
		{ID: "time", Title: "Scheduler's time", About: "What is scheduled up to then fires now. Nobody else's clock moves.", Buttons: []button{
			advance("10m"), advance("1h"), advance("24h"),
			scheduler("Fire twice", "Scheduler delivers at least once", `{"twice":true}`),
			scheduler("Fire nothing", "", `{"held":true}`),
			scheduler("Away", "every call fails", `{"away":true}`),
			scheduler("No faults", "", `{}`),
		}},
		{ID: "secrets", Title: "Secrets", About: "Each gets a new random value; functions notice within seconds of the first refusal.", Buttons: []button{
			rotate("webhook", "the value before stays valid for a while"),
			rotate("gateway", "the simulated Gateway refuses the old key at once"),
			rotate("clients", "of the client default; the environment file has the new one"),
		}},
	}
}

type fixtureName struct{ Name, About string }

type laptopPage struct {
	Groups   []group
	Fixtures []fixtureName
	Done     *done
}

// done is the last thing that the page did.
type done struct {
	laptopRequest
	Status int
	Text   []byte
	At     time.Time
}

// settings are where the present setting of a group is read.
var settings = map[string]string{"faults": "/gateway/faults", "callbacks": "/gateway/callbacks", "limits": "/gateway/limits", "time": "/schedules"}

func showLaptop(v *visit) (any, error) {
	p := &laptopPage{Groups: groups()}
	for i, g := range p.Groups {
		if path := settings[g.ID]; path != "" {
			_, p.Groups[i].Now = v.Laptop.Control(v.ctx, http.MethodGet, path, "")
		}
	}
	var functions struct {
		Functions []struct {
			Name        string
			PIDs        []int
			Invocations int
		}
	}
	_, text := v.Laptop.Control(v.ctx, http.MethodGet, "/functions", "")
	if err := json.Unmarshal(text, &functions); err != nil {
		return nil, fmt.Errorf("the functions cannot be listed: %w", err)
	}
	processes := group{ID: "processes", Title: "Processes", Now: text,
		About: "As a crash does: callers that wait get what API Gateway says, and the next request a fresh process."}
	for _, f := range functions.Functions {
		processes.Buttons = append(processes.Buttons, button{"Kill " + f.Name, fmt.Sprintf("%s so far; process %s", plural(f.Invocations, "invocation"), strings.Trim(fmt.Sprint(f.PIDs), "[]")),
			laptopRequest{http.MethodDelete, "/functions/" + f.Name + "/processes", ""}})
	}
	p.Groups = append(p.Groups, processes)
	var fixtures struct{ Fixtures []fixtureName }
	if _, text = v.Laptop.Control(v.ctx, http.MethodGet, "/trigger", ""); json.Unmarshal(text, &fixtures) == nil {
		p.Fixtures = fixtures.Fixtures
	}
	v.session.mu.Lock()
	defer v.session.mu.Unlock()
	p.Done = v.session.done
	return p, nil
}

// doOnLaptop does a request that the page offers. The CSRF token says that the page sent it, so it
// may do whatever curl may.
func doOnLaptop(v *visit) (string, error) {
	r := laptopRequest{v.form("method"), v.form("path"), v.form("body")}
	if name := v.form("fixture"); name != "" {
		q := url.Values{"fresh": {"1"}}
		for _, member := range []string{"from", "text", "ago", "repeat"} {
			if value := strings.TrimSpace(v.form(member)); value != "" {
				q.Set(member, value)
			}
		}
		r = laptopRequest{http.MethodPost, "/trigger/" + url.PathEscape(name) + "?" + q.Encode(), ""}
	}
	if !strings.HasPrefix(r.Path, "/") || !slices.Contains([]string{http.MethodPut, http.MethodPost, http.MethodDelete}, r.Method) {
		return "", wrongf("%s %s is not something that the control address does", r.Method, r.Path)
	}
	status, text := v.Laptop.Control(v.ctx, r.Method, r.Path, r.Body)
	if strings.HasPrefix(r.Path, "/secrets/") {
		text = nil // it has the new value
	}
	v.session.mu.Lock()
	v.session.done = &done{r, status, bytes.TrimSpace(text), time.Now()}
	v.session.mu.Unlock()
	v.lead("/laptop#done")
	return "", nil
}
