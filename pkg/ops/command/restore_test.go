package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"connexease-functions/pkg/auth"
	"connexease-functions/pkg/ledger"
	"connexease-functions/pkg/local/sim/connexease"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/table"
	"connexease-functions/pkg/whatsapp"
)

// restoredTable makes a table of a backup's items: without a stream, as AWS does.
func restoredTable(t *testing.T, name string, items map[string]item) {
	t.Helper()
	if err := harness.Backends.CreateTable(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	off := false
	if _, err := harness.Backends.DB.UpdateTable(t.Context(), &dynamodb.UpdateTableInput{TableName: &name, StreamSpecification: &types.StreamSpecification{StreamEnabled: &off}}); err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if _, err := harness.Backends.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: it}); err != nil {
			t.Fatal(err)
		}
	}
}

// pointed is the laptop's stack, whose functions use the table that it is pointed at.
type pointed struct {
	*stack.Stack
	t     *testing.T
	key   string
	table atomic.Value // string; empty: its own
}

func startPointed(t *testing.T) *pointed {
	t.Helper()
	p := &pointed{t: t}
	p.table.Store("")
	database := harness.NewProxy(t, harness.Backends.DynamoDBURL)
	p.Stack = harness.StartStack(t, stack.Options{DynamoDB: database.URL})
	p.Gateway.SetLimits(connexease.Limits{PerSecond: 1e6, PerMinute: 1e6})
	own := []byte(`"` + p.TableName + `"`)
	database.Set(func(w http.ResponseWriter, action string, body []byte) bool {
		to := p.table.Load().(string)
		if to == "" {
			return false
		}
		status, answer := harness.Forward(harness.Backends.DynamoDBURL, action, bytes.ReplaceAll(body, own, []byte(`"`+to+`"`)))
		respond(w, status, answer)
		return true
	})
	text, _ := p.Secrets.Current("ClientKeysSecret")
	p.key = auth.FirstKey(text, aClient)
	return p
}

// respond writes DynamoDB's response, with the checksum that the SDK looks for.
func respond(w http.ResponseWriter, status int, answer []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(answer)), 10))
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

func (p *pointed) request(method, path, key, body string, headers ...string) (int, string, http.Header) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.APIURL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.key)
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(text), response.Header
}

func (p *pointed) send(key string, headers ...string) (int, string, http.Header) {
	p.t.Helper()
	return p.request(http.MethodPost, "/v1/wa/message", key, `{"messaging_product":"whatsapp","to":"15550104001","type":"text","text":{"body":"for `+key+`"}}`, headers...)
}

// left counts how often a key's message was accepted by the Gateway.
func (p *pointed) left(key string) (n int) {
	for _, m := range p.Gateway.Messages() {
		if strings.Contains(string(m.Body), `"for `+key+`"`) {
			n++
		}
	}
	return n
}

func (p *pointed) deliver(body string) {
	p.t.Helper()
	secret, _ := p.Secrets.Current("WebhookSecret")
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.APIURL+"/webhook", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		p.t.Fatal(response.Status)
	}
}

// TestWhatWasSentMeanwhileIsNotSentAgain restores a table, of which all was lost, to a time
// before some of the sends, and points the functions at the restored one.
func TestWhatWasSentMeanwhileIsNotSentAgain(t *testing.T) {
	w, p := newWorld(t), startPointed(t)
	old := p.TableName
	w.table = old
	w.variable("TABLE_NAME", old)
	if err := p.Gateway.SetCallbacks(connexease.Callbacks{Off: true}); err != nil {
		t.Fatal(err)
	}
	fault := func(all ...connexease.Fault) {
		t.Helper()
		if err := p.Gateway.SetFaults(all); err != nil {
			t.Fatal(err)
		}
	}
	status := func(key string, want int, headers ...string) string {
		t.Helper()
		got, body, _ := p.send(key, headers...)
		if got != want {
			t.Fatalf("%s: %d %s", key, got, body)
		}
		return body
	}
	id := func(body string) string {
		var answer struct{ Data struct{ ID string } }
		if json.Unmarshal([]byte(body), &answer); answer.Data.ID == "" {
			t.Fatal(body)
		}
		return answer.Data.ID
	}
	later := []string{"Send-At", time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)}

	// Before the time that is restored to.
	status("before", 200)
	fault(connexease.Fault{Kind: connexease.RateLimit, Times: 1})
	status("released", 429)
	fault(connexease.Fault{Kind: connexease.ResetAfter, Times: 1})
	status("unknown", 504)
	fault(connexease.Fault{Kind: connexease.ResetAfter, Times: 1})
	status("settled", 504)
	fault()
	cancelled := id(status("cancelled", 202, later...))
	p.deliver(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"messages":[{"id":"wamid.EARLY","from":"15550104001","timestamp":"1764000000","type":"text","text":{"body":"early"}}]}}]}]}`)
	backup := harness.Items(t, old)

	// After it.
	status("after", 200)
	status("released", 200)
	fault(connexease.Fault{Kind: connexease.ResetAfter, Times: 1})
	status("lost", 504)
	fault()
	if code, body, _ := p.request(http.MethodDelete, "/v1/wa/message/"+cancelled, "", ""); code != 200 {
		t.Fatal(code, body)
	}
	for _, m := range p.Gateway.Messages() { // the receipt of one that was unknown
		if strings.Contains(string(m.Body), `"for settled"`) {
			var sent struct {
				Opaque string `json:"biz_opaque_callback_data"`
			}
			if err := json.Unmarshal(m.Body, &sent); err != nil || sent.Opaque == "" {
				t.Fatal(err, string(m.Body))
			}
			p.deliver(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"statuses":[{"id":%q,"status":"delivered","timestamp":"%d","recipient_id":"15550104001","biz_opaque_callback_data":%q}]}}]}]}`, m.Wamid, time.Now().Unix(), sent.Opaque))
		}
	}
	p.deliver(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"user_preferences","value":{"metadata":{"phone_number_id":"2"},"user_preferences":[{"wa_id":"15550104001","category":"marketing_messages","value":"stop","timestamp":"1764000500"}]}},{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"messages":[{"id":"wamid.LATE","from":"15550104001","timestamp":"1764000600","type":"text","text":{"body":"late"}}]}}]}]}`)

	// What one restores from: half of the table is gone.
	for _, it := range backup {
		if it.Text("kind") != "send" {
			if _, err := harness.Backends.DB.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &old, Key: item{"pk": it["pk"], "sk": it["sk"]}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	restored := harness.Name("Restored")
	restoredTable(t, restored, backup)

	// A dry run, one that is interrupted, one that is not, and one that has nothing to do.
	out, err := w.ops("restore", "merge", "-into", restored)
	if err != nil || !strings.Contains(out, "costs about $") || !strings.Contains(out, "Nothing was changed") || !strings.Contains(out, "send       2 that it lacks, 2 of which it knows less") {
		t.Fatal(err, out)
	}
	if n := len(harness.Items(t, restored)); n != len(backup) {
		t.Fatalf("a dry run left %d items of %d", n, len(backup))
	}
	var writes atomic.Int64
	w.database.Set(func(rw http.ResponseWriter, action string, _ []byte) bool {
		if action != "PutItem" || writes.Add(1) <= 2 {
			return false
		}
		harness.Refuse(rw, http.StatusBadRequest, "AccessDeniedException")
		return true
	})
	if out, err = w.ops("restore", "merge", "-into", restored, "-apply"); err == nil || !strings.Contains(out, "Run it again") {
		t.Fatal(err, out)
	}
	w.database.Set(nil)
	if out, err = w.ops("restore", "merge", "-into", restored, "-apply"); err != nil || !strings.Contains(out, "All of that is in "+restored) {
		t.Fatal(err, out)
	}
	merged := harness.Items(t, restored)
	if out, err = w.ops("restore", "merge", "-into", restored, "-apply"); err != nil || !strings.Contains(out, "There is nothing to merge") {
		t.Fatal(err, out)
	}
	for _, name := range []string{"wamid.EARLY", "wamid.LATE"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(merged)), func(k string) bool { return strings.HasPrefix(k, "wa#"+name) }) {
			t.Errorf("%s is lost", name)
		}
	}
	if c := merged["contact#15550104001 consent"].Consent(); c == nil || c.Says != whatsapp.Stop {
		t.Errorf("the stop is lost: %+v", c)
	}

	// Nothing that left, or may have, leaves again.
	p.table.Store(restored)
	want := map[string]int{"before": 200, "after": 200, "released": 200, "settled": 200, "unknown": 504, "lost": 504}
	for key, code := range want {
		got, body, header := p.send(key)
		if got != code || code == 200 && header.Get("Idempotent-Replayed") != "true" || p.left(key) != 1 {
			t.Errorf("%s: %d %s, and left %d times", key, got, body, p.left(key))
		}
	}
	if got, body, _ := p.send("cancelled", later...); got != 410 || p.left("cancelled") != 0 {
		t.Errorf("the cancelled one: %d %s", got, body)
	}
	if got, body, _ := p.send("new"); got != 200 || p.left("new") != 1 {
		t.Errorf("a new one: %d %s", got, body)
	}

	// The other way round nothing of it is lost either.
	if out, err = w.ops("restore", "merge", "-from", restored, "-into", old, "-apply"); err != nil {
		t.Fatal(err, out)
	}
	if got, _, _ := p.send("new"); got != 200 || p.left("new") != 1 {
		t.Errorf("a new one, of the restored table: %d", got)
	}
	p.table.Store("")
	if got, body, _ := p.send("new"); got != 200 || p.left("new") != 1 {
		t.Errorf("a new one, of the old table: %d %s", got, body)
	}
	if len(harness.Items(t, old)) != len(harness.Items(t, restored)) {
		t.Errorf("%d items and %d", len(harness.Items(t, old)), len(harness.Items(t, restored)))
	}
}

// TestAMergeMeetsWhoWritesMeanwhile has an outcome written between the look at a row and the merge.
func TestAMergeMeetsWhoWritesMeanwhile(t *testing.T) {
	from, into := table.New(harness.Backends.DB, harness.NewTable(t), days), table.New(harness.Backends.DB, harness.NewTable(t), days)
	now := time.Now().UTC()
	base := &ledger.Send{ID: "msg_1", V: 1, Fingerprint: "f", Payload: []byte("{}"), Attempts: map[string]ledger.Attempt{"a": {Lease: now}}}
	theirs := *base
	theirs.V, theirs.Attempts = 2, map[string]ledger.Attempt{"a": {Lease: now}, "b": {Lease: now, Outcome: &ledger.Outcome{State: ledger.Accepted, Wamid: "wamid.B", At: now}}}
	for one, s := range map[*table.Table]*ledger.Send{from: &theirs, into: base} {
		if r, err := one.WriteSend(t.Context(), ledger.Write{Step: ledger.Claim0, ID: s.ID, If: []ledger.Clause{{Kind: ledger.RowAbsent}}, Put: s}, table.About{}); err != nil || r.Refused {
			t.Fatal(err, r)
		}
	}
	it, err := from.Get(t.Context(), "msg_1", "send")
	if err != nil {
		t.Fatal(err)
	}
	stale, err := into.Counterparts(t.Context(), []item{it})
	if err != nil {
		t.Fatal(err)
	}
	settled := ledger.Write{Step: ledger.Settle, ID: "msg_1", If: []ledger.Clause{{Kind: ledger.AttemptOpen, Token: "a"}}, Set: ledger.Update{Token: "a", Outcome: &ledger.Outcome{State: ledger.Released, At: now, Reason: "x"}}}
	if r, err := into.WriteSend(t.Context(), settled, table.About{}); err != nil || r.Refused {
		t.Fatal(err, r)
	}
	if what, _, err := into.Merge(t.Context(), from, it, stale[0], false, true); err != nil || what != table.Changed {
		t.Fatal(what, err)
	}
	after, err := into.Get(t.Context(), "msg_1", "send")
	if err != nil {
		t.Fatal(err)
	}
	s := after.Send()
	if s.V <= 2 || s.Attempts["a"].Outcome == nil || s.Attempts["b"].Outcome == nil {
		t.Errorf("after both: %+v", s)
	}
	// A claim over what was read before the merge is refused.
	claim := ledger.Write{Step: ledger.ClaimN, ID: "msg_1", If: []ledger.Clause{{Kind: ledger.VersionIs, V: 2}}, Set: ledger.Update{Token: "c", Lease: now}}
	if r, err := into.WriteSend(t.Context(), claim, table.About{}); err != nil || !r.Refused {
		t.Errorf("a claim over the image before the merge: %v %+v", err, r)
	}
	// Another request under the same id stays.
	it["fingerprint"] = str("other")
	if what, _, err := into.Merge(t.Context(), from, it, after, false, true); err != nil || what != table.Conflicting {
		t.Errorf("another request: %d %v", what, err)
	}
}

// message is an event of a customer's message, of a size.
func message(wamid string, size int) []whatsapp.Event {
	return whatsapp.Split([]byte(fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"2"},"messages":[{"id":%q,"from":"15550104001","timestamp":"1764000000","type":"text","text":{"body":%q}}]}}]}]}`,
		wamid, strings.Repeat("x", size))))
}

func TestAMergeLeavesOutWhatItIsTold(t *testing.T) {
	w := newWorld(t)
	put(t, w.table, message("wamid.ONE", 5)...)
	put(t, w.table, message("wamid.LARGE", 900_000)...)
	put(t, w.table, whatsapp.Quarantine([]byte("no"), whatsapp.ReasonNotJSON))
	put(t, w.table, whatsapp.Split([]byte(`{"entry":[{"id":"1","changes":[{"field":"account_update","value":{"event":"X"}}]}]}`))...)
	for without, want := range map[string][]string{
		"":                         {"message    5", "quarantine 1", "event      1"},
		"message":                  {"quarantine 1", "event      1", "5 items were left out: message"},
		"message,quarantine,event": {"There is nothing to merge", "7 items were left out"},
	} {
		into := harness.NewTable(t)
		arguments := []string{"restore", "merge", "-into", into, "-apply"}
		if without != "" {
			arguments = append(arguments, "-without", without)
		}
		out, err := w.ops(arguments...)
		if err != nil {
			t.Fatal(err, out)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("without %q it says %s", without, out)
			}
		}
		if without != "" {
			continue
		}
		// The table has a stream, as in use: nothing that it gets is an event, and it is what it was.
		was := harness.Items(t, w.table)
		for key, it := range harness.Items(t, into) {
			for name, value := range was[key] {
				if fmt.Sprint(item{name: it[name]}.Plain(asIs)) != fmt.Sprint(item{name: value}.Plain(asIs)) {
					t.Errorf("%s has another %s", key, name)
				}
			}
		}
		if events := eventsAfter(t, into, 0); len(events) > 0 {
			t.Errorf("the pipe would publish %v", events)
		}
	}
	for _, wrong := range [][]string{{"-without", "send"}, {"-into", w.table}, {}} {
		if out, err := w.ops(append([]string{"restore", "merge"}, wrong...)...); err == nil {
			t.Errorf("%v: %s", wrong, out)
		}
	}
	if out, err := w.ops("restore", "table", "-time", "1h"); err == nil || !strings.Contains(out, "in memory") {
		t.Errorf("%v %s", err, out)
	}
}

func asIs(b []byte) string { return string(b) }

// backups are DynamoDB's with point-in-time recovery, which DynamoDB Local lacks: the rest is passed
// on to it.
type backups struct {
	t     *testing.T
	items map[string]item // of the backup

	mu       sync.Mutex
	calls    []string
	creating int               // how often the new table is still being created
	of       map[string]string // what a table was restored from, as DynamoDB's JSON
	tags     string
}

func (b *backups) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, _ := io.ReadAll(r.Body)
	var in struct {
		SourceTableName, TargetTableName, TableName string
		RestoreDateTime, Tags                       json.RawMessage
	}
	_ = json.Unmarshal(body, &in)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, action)
	switch action {
	case "DescribeContinuousBackups":
		respond(w, http.StatusOK, fmt.Appendf(nil, `{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED","PointInTimeRecoveryDescription":{"PointInTimeRecoveryStatus":"ENABLED","EarliestRestorableDateTime":%d,"LatestRestorableDateTime":%d}}}`,
			time.Now().Add(-35*24*time.Hour).Unix(), time.Now().Add(-5*time.Minute).Unix()))
	case "RestoreTableToPointInTime":
		restoredTable(b.t, in.TargetTableName, b.items)
		b.creating = 2
		b.of[in.TargetTableName] = fmt.Sprintf(`{"SourceTableArn":%q,"RestoreDateTime":%s,"RestoreInProgress":false}`, tableARN(b.t, in.SourceTableName), in.RestoreDateTime)
		respond(w, http.StatusOK, []byte(`{"TableDescription":{"TableStatus":"CREATING"}}`))
	case "UpdateContinuousBackups":
		respond(w, http.StatusOK, []byte(`{"ContinuousBackupsDescription":{"ContinuousBackupsStatus":"ENABLED"}}`))
	case "ListTagsOfResource":
		respond(w, http.StatusOK, []byte(`{"Tags":[{"Key":"aws:cloudformation:stack-name","Value":"demo"},{"Key":"environment","Value":"prod"}]}`))
	case "TagResource":
		b.tags = string(in.Tags)
		respond(w, http.StatusOK, []byte(`{}`))
	default:
		status, answer := harness.Forward(harness.Backends.DynamoDBURL, action, body)
		if action == "DescribeTable" && status == http.StatusOK && b.creating > 0 {
			b.creating--
			answer = bytes.Replace(answer, []byte(`"TableStatus":"ACTIVE"`), []byte(`"TableStatus":"CREATING"`), 1)
		}
		if of := b.of[in.TableName]; action == "DescribeTable" && of != "" {
			answer = bytes.Replace(answer, []byte(`"TableStatus"`), []byte(`"RestoreSummary":`+of+`,"TableStatus"`), 1)
		}
		respond(w, status, answer)
	}
}

func tableARN(t *testing.T, name string) string {
	t.Helper()
	described, err := harness.Backends.DB.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return *described.Table.TableArn
}

func (b *backups) called(action string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		if c == action {
			n++
		}
	}
	return n
}

// processed is what CloudFormation has of a stack's template: all of template.yaml where make lint
// has translated it, else each form in which it refers to the table.
func processed(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TRANSLATED_TEMPLATE"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return `{"Parameters":{"RetentionDays":{"Type":"Number","Default":365}},"Resources":{
		"EventsTable":{"Type":"AWS::DynamoDB::Table","DeletionPolicy":"RetainExceptOnCreate","UpdateReplacePolicy":"Retain","Properties":{"BillingMode":"PAY_PER_REQUEST"}},
		"SendFunction":{"Type":"AWS::Lambda::Function","DependsOn":"EventsTable","Properties":{"Timeout":28,"Environment":{"Variables":{"TABLE_NAME":{"Ref":"EventsTable"}}}}},
		"SendRole":{"Type":"AWS::IAM::Role","Properties":{"Resource":[{"Fn::GetAtt":["EventsTable","Arn"]},{"Fn::Sub":"${EventsTable.Arn}/index/timeline"}]}},
		"EventPipe":{"Type":"AWS::Pipes::Pipe","Properties":{"Source":{"Fn::GetAtt":["EventsTable","StreamArn"]}}},
		"Dashboard":{"Type":"AWS::CloudWatch::Dashboard","Properties":{"DashboardBody":{"Fn::Sub":["\"TableName\", \"${EventsTable}\"",{}]}}}},
		"Outputs":{"TableName":{"Value":{"Ref":"EventsTable"}}}}`
}

func TestATableIsRestoredCheckedAndPutInThePlaceOfTheStacks(t *testing.T) {
	old := harness.NewTable(t)
	put(t, old, message("wamid.EARLY", 900_000)...)
	b := &backups{t: t, items: harness.Items(t, old), of: map[string]string{}}
	put(t, old, message("wamid.LATE", 5)...)
	c := &cloud{
		resources: map[string][2]string{tableID: {old, "AWS::DynamoDB::Table"}}, parameters: map[string]string{retentionID: "365"},
		dynamodb: b, template: processed(t),
	}
	c.inTheCloud(t)
	state := t.TempDir()
	run := func(arguments ...string) (string, error) {
		return ops(t, state, "demo", "", append([]string{"restore"}, arguments...)...)
	}
	for name, wrong := range map[string][]string{
		"say when": {"table"}, "to a time from": {"table", "-time", "1m"}, "say what to do": {}, "-time (TIME for make)": {"table", "-time", "noon"},
	} {
		if out, err := run(wrong...); err == nil || !strings.Contains(strings.ToLower(out), strings.ToLower(name)) {
			t.Errorf("%v: %v %s", wrong, err, out)
		}
	}
	at := time.Now().Add(-time.Hour).UTC()

	// A table that is there already is refused, unless it is the one of this table and time.
	other := harness.NewTable(t)
	for of, says := range map[string]string{
		"": "was not restored from a backup",
		fmt.Sprintf(`{"SourceTableArn":%q,"RestoreDateTime":%d,"RestoreInProgress":false}`, tableARN(t, old), at.Unix()-1):   "as of " + at.Add(-time.Second).Format(time.RFC3339),
		fmt.Sprintf(`{"SourceTableArn":%q,"RestoreDateTime":%d,"RestoreInProgress":false}`, tableARN(t, old)+"x", at.Unix()): "was restored from " + tableARN(t, old) + "x",
		fmt.Sprintf(`{"RestoreDateTime":%d,"RestoreInProgress":false}`, at.Unix()):                                           "was restored from an unknown table as of",
	} {
		b.of[other] = of
		for _, more := range [][]string{nil, {"-apply"}} {
			out, err := run(append([]string{"table", "-time", at.Format(time.RFC3339), "-into", other}, more...)...)
			if err == nil || !strings.Contains(out, says) || !strings.Contains(out, "not from "+old+" as of "+at.Format(time.RFC3339)) {
				t.Errorf("a table that is of %s: %v %s", of, err, out)
			}
		}
	}
	if b.called("UpdateTimeToLive")+b.called("UpdateContinuousBackups")+b.called("UpdateTable")+b.called("RestoreTableToPointInTime") != 0 {
		t.Errorf("a table that is not the restored one was changed: %v", b.calls)
	}

	restored := old + "-" + at.Format("20060102T150405Z")
	out, err := run("table", "-time", at.Format(time.RFC3339))
	if err != nil || !strings.Contains(out, "becomes the table "+restored) || !strings.Contains(out, "restoring costs about $") || b.called("RestoreTableToPointInTime") != 0 {
		t.Fatal(err, out)
	}
	for range 2 { // the second finds what the first has made
		out, err = run("table", "-time", at.Format(time.RFC3339), "-apply")
		if err != nil || !strings.Contains(out, "4 message, 4 items in total") || !strings.Contains(out, "every payload is whole") || !strings.Contains(out, "DO=merge INTO="+restored) {
			t.Fatal(err, out)
		}
	}
	if b.called("RestoreTableToPointInTime") != 1 || b.called("UpdateContinuousBackups") == 0 || b.tags != `[{"Key":"environment","Value":"prod"}]` {
		t.Errorf("calls %v, tags %s", b.calls, b.tags)
	}
	lives, err := harness.Backends.DB.DescribeTimeToLive(t.Context(), &dynamodb.DescribeTimeToLiveInput{TableName: &restored})
	if err != nil || lives.TimeToLiveDescription.TimeToLiveStatus != types.TimeToLiveStatusEnabled {
		t.Errorf("%v: its items do not expire", err)
	}

	// A payload that lacks a part is found.
	for key, it := range b.items {
		if it.IsPart() {
			if _, err := harness.Backends.DB.DeleteItem(t.Context(), &dynamodb.DeleteItemInput{TableName: &restored, Key: item{"pk": it["pk"], "sk": it["sk"]}}); err != nil {
				t.Fatal(err)
			}
			out, err = run("table", "-time", at.Format(time.RFC3339), "-apply")
			if err == nil || !strings.Contains(out, "1 of them cannot be read, such as wa#wamid.EARLY") {
				t.Errorf("without %s: %v %s", key, err, out)
			}
			break
		}
	}
	if out, err = run("merge", "-into", restored, "-apply"); err != nil || !strings.Contains(out, "message    2 that it lacks") {
		t.Errorf("%v %s", err, out)
	}
	if out, err = run("table", "-time", at.Format(time.RFC3339), "-apply"); err != nil || !strings.Contains(out, "5 message, 5 items in total") {
		t.Errorf("the merge does not bring the part back: %v %s", err, out)
	}
	swaps(t, c, run, state, restored)
}

func swaps(t *testing.T, c *cloud, run func(...string) (string, error), state, restored string) {
	t.Helper()
	c.parameters["GradualDeploys"] = "Canary10Percent5Minutes"
	if out, err := run("swap", "-into", restored); err == nil || !strings.Contains(out, "GradualDeploys=no first") {
		t.Errorf("%v %s", err, out)
	}
	c.parameters["GradualDeploys"] = "no"
	folder := filepath.Join(state, "restore-demo")
	if out, err := run("swap", "-into", restored); err != nil || !strings.Contains(out, "APPLY=1") {
		t.Errorf("%v %s", err, out)
	}
	if _, err := os.Stat(folder); err == nil {
		t.Error("a dry run wrote the templates")
	}
	out, err := run("swap", "-into", restored, "-apply")
	if err != nil || !strings.Contains(out, "--template-file "+folder+"/without-table.json") || !strings.Contains(out, "DO=merge FROM="+c.resources[tableID][0]+" INTO="+restored+" APPLY=1") {
		t.Fatal(err, out)
	}
	if c.called("UpdateStack") || c.called("CreateChangeSet") {
		t.Error("the stack was changed")
	}
	described, err := harness.Backends.DB.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &restored})
	if err != nil || described.Table.LatestStreamArn == nil {
		t.Fatal(err, "it has no stream")
	}
	read := func(name string) (text string, parsed map[string]any) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err == nil {
			err = json.Unmarshal(data, &parsed)
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(data), parsed
	}
	text, without := read("without-table.json")
	if strings.Contains(text, tableID) || !strings.Contains(text, `"TABLE_NAME":"`+restored+`"`) || !strings.Contains(text, `"Source":"`+*described.Table.LatestStreamArn+`"`) ||
		!strings.Contains(text, *described.Table.TableArn+"/index/timeline") {
		t.Errorf("without the table: %s", text)
	}
	// An import may add the table and change nothing else (AWS CloudFormation: "Import AWS resources
	// into a CloudFormation stack").
	_, with := read("with-table.json")
	resources := with["Resources"].(map[string]any)
	own := resources[tableID].(map[string]any)
	if own["DeletionPolicy"] != "Retain" || own["Properties"].(map[string]any)["TableName"] != nil {
		t.Errorf("the imported table is %v", own)
	}
	delete(resources, tableID)
	if fmt.Sprint(with) != fmt.Sprint(without) {
		t.Error("the import changes more than the table")
	}
	text, _ = read("import.json")
	for _, part := range []string{`"ChangeSetType": "IMPORT"`, `"TableName": "` + restored + `"`, `"LogicalResourceId": "EventsTable"`, `"ParameterKey": "RetentionDays"`} {
		if !strings.Contains(text, part) {
			t.Errorf("the import lacks %s: %s", part, text)
		}
	}
}
