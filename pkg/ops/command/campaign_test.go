package command

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"connexease-functions/pkg/ledger"
	simlambda "connexease-functions/pkg/local/sim/lambda"
	"connexease-functions/pkg/proof/docs"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
)

// ofCampaign is a message of a campaign for HTTP; more are further members.
func ofCampaign(campaign, key, more string) string {
	return fmt.Sprintf(`{"campaign":%q,"idempotencyKey":%q,%s"message":{"messaging_product":"whatsapp","to":"15550100001","type":"text","text":{"body":%[2]q}}}`, campaign, key, more)
}

// bulk is the member of an envelope that waits in the bulk lane.
const bulk = `"lane":"bulk",`

// send sends an envelope, and returns the status and the message's id.
func (r *running) send(body string, async bool) (int, string) {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodPost, r.Env["API_URL"]+"/v1/wa/message", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+r.Env["CLIENT_KEY"])
	if async {
		request.Header.Set("Prefer", "respond-async")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header.Get("Message-Id")
}

// counts reads the output of show as states and numbers.
func counts(out string) string {
	return strings.Join(strings.Fields(strings.Join(regexp.MustCompile(`(?m)^  \w+ +\d+`).FindAllString(out, -1), " ")), " ")
}

func TestACampaignIsPausedShownCancelledAndResumedOnTheLaptop(t *testing.T) {
	r := start(t)
	posted := func() int {
		var all struct{ Count int }
		r.JSON(http.MethodGet, "/gateway/messages", "", &all)
		return all.Count
	}
	// README's commands, as they stand there.
	block := strings.ReplaceAll(docs.Block(t, "sh", "make campaign NAME=spring DO=pause"), "make campaign", "make -s campaign STATE="+r.State)
	shell := exec.Command("sh", "-ec", ". "+filepath.Join(r.State, "env")+"\n"+block)
	shell.Dir = project(t)
	out, err := shell.CombinedOutput()
	for _, want := range []string{"is disabled", `"status":"queued"`, "Campaign spring: 1 messages", "queued           1\n", "1 messages are cancelled", "is enabled"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("README's commands print no %q: %v %s", want, err, out)
		}
	}
	if status, _ := r.send(ofCampaign("spring", "spring-1", `"contact":null,`), false); status == 200 {
		t.Error("the key of a cancelled message sends")
	}
	run := func(arguments ...string) string {
		t.Helper()
		out, err := r.ops("", "campaign", arguments...)
		if err != nil {
			t.Fatalf("%v: %v %s", arguments, err, out)
		}
		return out
	}
	if status, _ := r.send(ofCampaign("summer", "summer-0", ""), false); status != 200 {
		t.Fatalf("status %d", status)
	}
	if out, err := r.ops("spring\n", "campaign", "pause", "-name", "summer"); err == nil || !strings.Contains(out, "everything else that waits there stops") || !strings.Contains(out, "Nothing was paused") {
		t.Errorf("%v %s", err, out)
	}
	run("-name", "summer", "pause", "-yes")
	if out := run("pause", "-name", "summer"); !strings.Contains(out, "BulkQueue is disabled") { // asks nothing
		t.Error(out)
	}
	for n := range 3 {
		if status, id := r.send(ofCampaign("summer", fmt.Sprint("summer-", n+1), bulk), true); status != 202 {
			t.Errorf("%d %s", status, id)
		}
	}
	if status, id := r.send(ofCampaign("autumn", "autumn-1", bulk), true); status != 202 {
		t.Errorf("%d %s", status, id)
	}
	if status, id := r.send(ofCampaign("password", "password-1", ""), true); status != 202 {
		t.Errorf("%d %s", status, id)
	}
	r.Until("the other lane goes on", func() bool { return strings.Contains(run("show", "-name", "password"), "(read 1)") })
	if status, id := r.send(ofCampaign("summer", "summer-4", bulk+`"sendAt":"`+time.Now().Add(time.Hour).Format(time.RFC3339)+`",`), false); status != 202 {
		t.Errorf("%d %s", status, id)
	}
	r.Until("the first was read", func() bool { return strings.Contains(run("show", "-name", "summer"), "(read 1)") })
	if out := run("show", "-name", "summer"); counts(out) != "scheduled 1 queued 3 accepted 1" || !strings.Contains(out, "read units") || !strings.Contains(out, "20% have left or ended") {
		t.Errorf("%s", out)
	}
	if out := run("cancel", "-name", "summer", "-yes"); !strings.Contains(out, "4 messages are cancelled; 0 were") {
		t.Error(out)
	}
	if out := run("cancel", "-name", "summer", "-yes"); !strings.Contains(out, "Nothing of campaign summer waits") {
		t.Error(out)
	}
	if schedules := r.Try(http.MethodGet, r.Env["CONTROL_URL"]+"/schedules", ""); strings.Contains(schedules, "msg_") {
		t.Errorf("schedules are left: %s", schedules)
	}
	if n := posted(); n != 2 {
		t.Errorf("%d left while the bulk lane was paused", n)
	}
	run("resume", "-name", "summer")
	r.Until("the other campaign's is sent", func() bool { return counts(run("show", "-name", "autumn")) == "accepted 1" })
	if out := run("show", "-name", "summer"); counts(out) != "accepted 1 cancelled 4" || posted() != 3 {
		t.Errorf("%s, %d posted", out, posted())
	}
	for want, arguments := range map[string][]string{
		"Say what to do":               {"-name", "summer"},
		"unknown command":              {"-name", "summer", "stop"},
		"Name a campaign":              {"show"},
		"1 to 64 letters":              {"show", "-name", "a b"},
		"has no messages of campaign ": {"show", "-name", "winter"},
	} {
		if out, err := r.ops("", "campaign", arguments...); err == nil || !strings.Contains(strings.ToLower(out), strings.ToLower(want)) {
			t.Errorf("%v: %v %s", arguments, err, out)
		}
	}
}

// queue writes the row of a queued message.
func (w *world) queue(campaign, key string) {
	w.t.Helper()
	now := time.Now()
	r := ledger.Request{
		Source: ledger.Async, ID: ledger.ID("http/crm", key), Client: "crm", Keyed: true, Fingerprint: "f", Payload: []byte(`{}`),
		RespondBy: now.Add(time.Minute), ProcessEnds: now.Add(time.Minute), RetentionDays: days,
	}
	_, action := ledger.Begin(&r, now)
	if result, err := table.New(harness.Backends.DB, w.table, days).WriteSend(w.t.Context(), action.Write, table.About{Campaign: campaign}); err != nil || result.Refused {
		w.t.Fatal(result, err)
	}
}

func TestAnInterruptedCancellationGoesOnWhereItWas(t *testing.T) {
	w := newWorld(t)
	const all = 40
	for n := range all {
		w.queue("spring", fmt.Sprint("spring-", n))
	}
	w.queue("springtime", "other")
	if out, err := w.ops("campaign", "cancel", "-name", "spring"); err == nil || !strings.Contains(out, "40 messages of campaign spring") || !strings.Contains(out, "Nothing was cancelled") {
		t.Errorf("%v %s", err, out)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	updates := make(chan struct{}, all)
	w.database.Set(func(_ http.ResponseWriter, action string, _ []byte) bool {
		if action == "UpdateItem" {
			if updates <- struct{}{}; len(updates) == all/2 {
				interrupt()
			}
		}
		return false
	})
	out, err := opsUntil(ctx, t, w.state, w.stack, "", "campaign", "cancel", "-name", "spring", "-yes")
	if !regexp.MustCompile(`\b(1\d|2\d) of 40 messages are cancelled: .*Run it again for the rest`).MatchString(out) || err == nil {
		t.Errorf("%v %s", err, out)
	}
	w.database.Set(nil)
	if out, err = w.ops("campaign", "cancel", "-name", "spring", "-yes"); err != nil || !regexp.MustCompile(`\b(1\d|2\d) messages are cancelled`).MatchString(out) {
		t.Errorf("%v %s", err, out)
	}
	for name, want := range map[string]string{"spring": "cancelled 40", "springtime": "queued 1"} {
		if out, err := w.ops("campaign", "show", "-name", name); err != nil || counts(out) != want {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	for key, it := range harness.Items(t, w.table) {
		want := "1" // one write each
		if it.Text("campaign") == "springtime" {
			want = "0"
		}
		if it.Text("v") != want {
			t.Errorf("%s has v=%s", key, it.Text("v"))
		}
	}
}

// In AWS a mapping's queue and function have physical names, and a change takes a while.
func TestPausingADeployedStackDisablesTheMappingOfItsQueue(t *testing.T) {
	c := &cloud{resources: map[string][2]string{
		sendID: {"demo-SendFunction-1", "AWS::Lambda::Function"}, outboundQueue: {"https://sqs.us-east-1.amazonaws.com/1/demo-OutboundQueue-1", "AWS::SQS::Queue"},
	}}
	api := simlambda.NewInvokeAPI(nil, nil, nil)
	t.Cleanup(api.Close)
	t.Cleanup(api.StopPolling)
	for _, queue := range []string{"demo-OutboundQueue-12", "demo-OutboundQueue-1", "demo-BulkQueue-1"} {
		api.Map(simlambda.Mapping{Function: "demo-SendFunction-1", SourceARN: "arn:aws:sqs:us-east-1:1:" + queue, Poll: func(ctx context.Context) { <-ctx.Done() }})
	}
	c.lambda = api
	c.inTheCloud(t)
	states := func() string {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/2015-03-31/event-source-mappings/", nil))
		var all []string
		for _, m := range regexp.MustCompile(`"State":"(\w+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
			all = append(all, m[1])
		}
		return strings.Join(all, " ")
	}
	run := func(said, want string, arguments ...string) {
		t.Helper()
		if out, err := ops(t, t.TempDir(), "demo", "spring\n", append([]string{"campaign", "-name", "spring"}, arguments...)...); (err == nil) != strings.Contains(said, " is ") || !strings.Contains(out, said) || states() != want {
			t.Errorf("%v: %v %s, the mappings are %s", arguments, err, out, states())
		}
	}
	run("OutboundQueue is disabled", "Enabled Disabled Enabled", "pause")
	run("OutboundQueue is enabled", "Enabled Enabled Enabled", "resume")
	c.resources[bulkQueue] = [2]string{"https://sqs.us-east-1.amazonaws.com/1/demo-BulkQueue-1", "AWS::SQS::Queue"}
	run("BulkQueue is disabled", "Enabled Enabled Disabled", "pause")
	run("OutboundQueue is disabled", "Enabled Disabled Disabled", "pause", "-queue", outboundQueue)
	run("BulkQueue is enabled", "Enabled Disabled Enabled", "resume")
	run("has no mapping of OverflowQueue", "Enabled Disabled Enabled", "resume", "-queue", "OverflowQueue")
	// With GradualDeploys, AWS lists a mapping under its alias only.
	const alias = "arn:aws:lambda:us-east-1:1:function:demo-SendFunction-1:live"
	c.resources["SendAlias"] = [2]string{alias, "AWS::Lambda::Alias"}
	api.Map(simlambda.Mapping{Function: alias, SourceARN: "arn:aws:sqs:us-east-1:1:demo-BulkQueue-1", Poll: func(ctx context.Context) { <-ctx.Done() }})
	run("BulkQueue is disabled", "Enabled Disabled Enabled Disabled", "pause")
}
