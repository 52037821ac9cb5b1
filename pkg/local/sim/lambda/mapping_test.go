package lambda

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"connexease-functions/pkg/local/sim/echo"
	"connexease-functions/pkg/proof/await"
)

const sources = "/2015-03-31/event-source-mappings"

// polled is a mapping whose last invocation is under way until it is let go.
type polled struct {
	began, ended, let chan struct{}
}

func (l *lambdaAPI) poll(source string) *polled {
	p := &polled{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	l.Map(Mapping{Function: "EchoFunction", SourceARN: source, BatchSize: 10, Poll: func(ctx context.Context) {
		p.began <- struct{}{}
		<-ctx.Done()
		p.ended <- struct{}{}
		<-p.let
	}})
	return p
}

func (l *lambdaAPI) sources(t *testing.T, query string) (all []mappingConfiguration) {
	t.Helper()
	var listed struct{ EventSourceMappings []mappingConfiguration }
	answer, body := echo.Send(t, l.server, "GET", sources+query, "")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || answer.StatusCode != 200 {
		t.Fatalf("%d %s %v", answer.StatusCode, body, err)
	}
	return listed.EventSourceMappings
}

func TestAMappingIsDisabledOnceItsInvocationsHaveEndedAndEnabledAgain(t *testing.T) {
	l := newLambdaAPI(t, 0)
	first, other := l.poll("arn:aws:sqs:us-east-1:1:First"), l.poll("arn:aws:sqs:us-east-1:1:Other")
	<-first.began
	<-other.began
	all := l.sources(t, "/?FunctionName=EchoFunction")
	if len(all) != 2 || all[0].State != "Enabled" || all[0].UUID == all[1].UUID || all[0].EventSourceArn != "arn:aws:sqs:us-east-1:1:First" || all[0].BatchSize != 10 {
		t.Fatalf("%+v", all)
	}
	if some := l.sources(t, "?EventSourceArn=arn:aws:sqs:us-east-1:1:Other"); len(some) != 1 || some[0] != all[1] {
		t.Errorf("%+v", some)
	}
	if none := l.sources(t, "?FunctionName=Nobody"); len(none) != 0 {
		t.Errorf("%+v", none)
	}
	update := func(body string, status int, want string) {
		t.Helper()
		answer, text := echo.Send(t, l.server, "PUT", sources+"/"+all[0].UUID, body)
		var m mappingConfiguration
		_ = json.Unmarshal([]byte(text), &m)
		if got := answer.Header.Get("X-Amzn-Errortype") + m.State; answer.StatusCode != status || got != want {
			t.Errorf("%s: %d %s %s, want %d %s", body, answer.StatusCode, got, text, status, want)
		}
	}
	update(`{"Enabled":true}`, 202, "Enabled")
	update(`{"Enabled":false}`, 202, "Disabling")
	<-first.ended
	update(`{"Enabled":true}`, 400, "ResourceInUseException")
	first.let <- struct{}{}
	await.Until(t, "it is disabled", func() bool { return l.sources(t, "")[0].State == "Disabled" })
	update(`{"Enabled":false}`, 202, "Disabled")
	update(`{"Enabled":true}`, 202, "Enabled")
	<-first.began
	if states := l.sources(t, ""); !slices.ContainsFunc(states, func(m mappingConfiguration) bool { return m.State == "Enabled" && m.UUID == all[1].UUID }) {
		t.Errorf("the other one is %+v", states)
	}
	for _, bad := range []string{``, `{}`, `{"Enabled":"no"}`, `{"Enabled":true,"BatchSize":1}`} {
		update(bad, 400, "InvalidParameterValueException")
	}
	if answer, _ := echo.Send(t, l.server, "PUT", sources+"/none", `{"Enabled":true}`); answer.StatusCode != 404 {
		t.Errorf("an unknown one: %d", answer.StatusCode)
	}
	stopped := make(chan struct{})
	go func() { l.StopPolling(); close(stopped) }()
	<-first.ended
	<-other.ended
	select {
	case <-stopped:
		t.Error("an invocation was not waited for")
	default:
	}
	close(first.let)
	close(other.let)
	<-stopped
	if all := l.sources(t, ""); len(all) != 0 {
		t.Errorf("%+v are left", all)
	}
}
