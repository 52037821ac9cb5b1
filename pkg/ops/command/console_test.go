package command

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"

	"connexease-functions/pkg/ledger"
	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/stack"
	"connexease-functions/pkg/proof/await"
	"connexease-functions/pkg/proof/browser"
	"connexease-functions/pkg/proof/harness"
	"connexease-functions/pkg/whatsapp"
)

// watched is a deployed stack, demo, with the laptop's backends, and its console.
type watched struct {
	t        *testing.T
	table    string
	database *harness.Proxy
	secrets  *harness.Proxy
	queues   *harness.Proxy
	address  string // with the token
	url      string // without it
	bus      *simeventbridge.Server
	sent     chan *http.Request // to the send endpoint
	out      harness.Buffer     // what it prints
	end      func() error       // as Ctrl-C does; it returns once the console has ended
	ending   <-chan struct{}    // closed when it begins to end
}

func watch(t *testing.T, arguments ...string) *watched {
	t.Helper()
	ordinary, back := newWorld(t), harness.Backends
	w := &watched{t: t, table: ordinary.table, database: ordinary.database, secrets: harness.NewProxy(t, back.SecretsURL), queues: harness.NewProxy(t, back.SQSURL),
		bus: simeventbridge.New(back.Bus.Name(), time.Now), sent: make(chan *http.Request, 10)}
	t.Cleanup(w.bus.Close)
	bus := httptest.NewServer(w.bus)
	t.Cleanup(bus.Close)
	api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.sent <- r
		_, _ = rw.Write([]byte(`{"isSuccess":true}`))
	}))
	t.Cleanup(api.Close)
	c := &cloud{
		parameters: map[string]string{retentionID: "365"}, outputs: map[string]string{"EventBusName": back.Bus.Name(), "PutGatewayKey": "aws secretsmanager put-secret-value …", "WebhookUrl": api.URL, "SendUrl": api.URL},
		resources: map[string][2]string{
			tableID: {w.table, "AWS::DynamoDB::Table"}, sendID: {"demo-Send", "AWS::Lambda::Function"}, webhookID: {"demo-Webhook", "AWS::Lambda::Function"},
			stack.WebhookSecret: {stack.WebhookSecret, ""}, stack.GatewayKeySecret: {stack.GatewayKeySecret, ""}, stack.ClientKeysSecret: {stack.ClientKeysSecret, ""},
		},
	}
	for _, name := range back.QueueNames {
		c.resources[name] = [2]string{back.Queues.URL(name), "AWS::SQS::Queue"}
	}
	c.inTheCloud(t)
	metrics := httptest.NewServer(http.HandlerFunc(getMetricData))
	t.Cleanup(metrics.Close)
	for name, at := range map[string]string{
		"DYNAMODB": w.database.URL, "DYNAMODB_STREAMS": back.DynamoDBURL, "SQS": w.queues.URL, "SECRETS_MANAGER": w.secrets.URL,
		"EVENTBRIDGE": bus.URL, "LAMBDA": back.LambdaURL, "CLOUDWATCH": metrics.URL,
	} {
		t.Setenv("AWS_ENDPOINT_URL_"+name, at)
	}
	p := &program{terminal: newTerminal(strings.NewReader(""), &w.out, &w.out), watch: func(action string) { used.Store("console "+action, true) }}
	ctx, end := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- p.run(ctx, append([]string{"console", "-template", filepath.Join(root, "template.yaml"), "-stack", "demo", "-port", "0"}, arguments...))
	}()
	w.end, w.ending = sync.OnceValue(func() error { end(); return <-ended }), ctx.Done()
	t.Cleanup(func() {
		if err := w.end(); err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	await.Until(t, "the address is printed", func() bool {
		w.address = regexp.MustCompile(`http://\S+`).FindString(w.out.String())
		return w.address != ""
	})
	w.url, _, _ = strings.Cut(w.address, "/?token=")
	return w
}

// getMetricData responds as CloudWatch (Smithy: "RPC v2 CBOR"), with one message and 20 ms in each
// minute.
func getMetricData(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	decoded, err := cbor.Decode(body)
	in, ok := decoded.(cbor.Map)
	if err != nil || !ok || !strings.HasSuffix(r.URL.Path, "/operation/GetMetricData") {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	since := float64(in["StartTime"].(*cbor.Tag).Value.(cbor.Float64))
	var results cbor.List
	for i, q := range in["MetricDataQueries"].(cbor.List) {
		stat := q.(cbor.Map)["MetricStat"].(cbor.Map)
		value := map[bool]float64{true: 1, false: 20}[stat["Stat"].(cbor.String) == "Sum"]
		var times, values cbor.List
		for minute := range 12 {
			times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(since + float64(60*minute))})
			values = append(values, cbor.Float64(value*float64(1+(minute+2*i)%(4+i))))
		}
		results = append(results, cbor.Map{"Id": q.(cbor.Map)["Id"], "StatusCode": cbor.String("Complete"), "Timestamps": times, "Values": values})
	}
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	_, _ = w.Write(cbor.Encode(cbor.Map{"MetricDataResults": results}))
}

// said puts messages of a person into the table.
func (w *watched) said(contact string, texts ...string) {
	w.t.Helper()
	var messages []string
	for _, text := range texts {
		messages = append(messages, `{"from":"`+contact+`","id":"`+harness.Name("wamid.SEJnTDE1NTUwMTAwMDQy")+`","timestamp":"`+strconv.FormatInt(time.Now().Unix(), 10)+`","type":"text","text":{"body":"`+text+`"}}`)
	}
	put(w.t, w.table, whatsapp.Split([]byte(`{"object":"whatsapp_business_account","entry":[{"id":"400000000000001","changes":[{"field":"messages","value":{`+
		`"metadata":{"phone_number_id":"300000000000001","display_phone_number":"15550100099"},"contacts":[{"wa_id":"`+contact+`","profile":{"name":"Ada Example"}}],`+
		`"messages":[`+strings.Join(messages, ",")+`]}}]}]}`))...)
}

func TestTheConsoleOfADeployedStackMasksAndOnlyReads(t *testing.T) {
	w := watch(t)
	tab := browser.Open(t)
	tab.Go(w.address)
	if at := browser.Eval[string](tab, "location.href"); at != w.url+"/" {
		t.Errorf("the token stays in the address: %s", at)
	}
	if c := browser.Eval[string](tab, "document.cookie"); c != "" {
		t.Errorf("a script can read %q", c)
	}
	tab.See("#plots", "messages 30")
	tab.See("#secrets", "WebhookSecret")
	tab.See("#waits", "OutboundQueue")
	follow(t, w, tab)
	if text := tab.Text("#lines"); strings.Contains(text, "Where") || strings.Contains(text, "1555010") {
		t.Errorf("it shows a person's data: %s", text)
	}
	tab.See("#lines", "••••• •• •• •••••?")
	tab.Go(w.url + "/events?contact=15550100042")
	tab.See(".events", "•••••••••42")
	tab.Submit(".events tbody a")
	tab.See("pre", `"type": "text"`)
	if text := tab.Text("main"); strings.Contains(text, "Where") || strings.Contains(text, "15550100042") || strings.Contains(text, "Replay it") {
		t.Errorf("it shows a person's data, or an action: %s", text)
	}
	at := browser.Eval[string](tab, "location.href")
	paths := map[string]string{"deployed-overview": "/", "deployed-events": "/events?contact=15550100042", "deployed-event": strings.TrimPrefix(at, w.url)}
	tab.Look(w.url, paths, filepath.Join(root, ".local", "screens"))
	tab.Go(at)
	tab.Submit(`form[action="/console/mask"] button`)
	tab.See("pre", "Where is my order?")
	before := w.bus.Seen()
	tab.Expect("403")
	replayByHand(tab)
	tab.See(".failure", "This console only reads")
	if w.bus.Seen() != before {
		t.Error("an event was put on the bus")
	}
	tab.Go(w.url + "/")
	tab.Submit("#counts button")
	tab.See("#counts", "bodies in quarantine")
}

// TestNoAddressNamesAPerson uses all that leads from a person's number to an address, masked: it would
// stay in the browser's history.
func TestNoAddressNamesAPerson(t *testing.T) {
	w := watch(t)
	var texts []string
	for n := range 60 { // more than a page has
		texts = append(texts, "Message "+strconv.Itoa(n))
	}
	w.said("15550100042", texts...)
	tab := browser.Open(t)
	tab.Go(w.address)
	tab.Go(w.url + "/events")
	tab.Type("input[name=contact]", "+1 (555) 010-0042")
	tab.Submit(".filter button")
	tab.Until(`document.querySelectorAll(".events tbody tr").length === 50`)
	tab.Submit("a[rel=next]")
	tab.Until(`document.querySelectorAll(".events tbody tr").length === 10`)
	tab.Submit(".events tbody a")
	tab.See("h1", "WhatsApp Message Received")
	tab.Submit(`main a[href^="/events?"]`)
	tab.Type("input[name=type]", "text")
	tab.Submit(".filter button") // of the same person
	tab.See(".filter .who", "•••••••••42")
	tab.Until(`document.querySelectorAll(".events tbody tr").length === 50`)
	tab.Submit("#search button")
	tab.See("#search", "All 60 for type=text of •••••••••42")
	tab.Go(w.url + "/rules")
	tab.Type("#rule input[name=contact]", "15550100042")
	tab.Submit("#rule button")
	tab.See("main", "50 of 50 match, of the stored events of •••••••••42.")
	tab.Submit("#rule button")
	tab.See("main", "50 of 50 match, of the stored events of •••••••••42.")
	tab.Go(w.url + "/conversations")
	tab.Type("input[name=name]", "15550100042")
	tab.Submit(`form[action="/conversations/find"] button`)
	tab.See("#chat", "•••••••")
	tab.Submit("a[rel=prev]")
	if page := browser.Eval[string](tab, `document.documentElement.outerHTML`); strings.Contains(page, "15550100042") {
		t.Errorf("the page's source has the number: %s", page)
	}
	for _, address := range tab.Requests() {
		if strings.Contains(address, "0100042") || strings.Contains(address, "010-0042") || strings.Contains(address, "wamid") || strings.Contains(address, "contact=") {
			t.Errorf("asked for %s", address)
		}
	}
}

// follow puts messages until one is seen live: the console begins to read the stream once its page
// is open.
func follow(t *testing.T, w *watched, tab *browser.Tab) {
	t.Helper()
	looks := 0
	await.Until(t, "a message is seen", func() bool {
		if looks++; looks%40 == 1 {
			w.said("15550100042", "Where is my order?")
		}
		return strings.Contains(tab.Text("#lines"), "WhatsApp Message Received")
	})
}

// replayByHand posts the form that a page that only reads does not have.
func replayByHand(tab *browser.Tab) {
	browser.Eval[bool](tab, `(() => {
		const form = document.createElement("form");
		form.method = "post"; form.action = "/events/replay";
		const add = (name, value) => { const i = document.createElement("input"); i.name = name; i.value = value; form.append(i); };
		add("csrf", document.querySelector("input[name=csrf]").value);
		add("at", new URLSearchParams(location.search).get("at"));
		add("stack", "demo");
		document.body.append(form); form.submit(); return true; })()`)
}

func TestWritingToADeployedStackAsksForItsName(t *testing.T) {
	w := watch(t, "-write")
	w.said("15550100042", "Where is my order?")
	tab := browser.Open(t)
	tab.Go(w.address)
	tab.Go(w.url + "/events?contact=15550100042")
	tab.Submit(".events tbody a")
	at, before := browser.Eval[string](tab, "location.href"), w.bus.Seen()
	tab.Expect("403")
	tab.Type("input[name=stack]", "prod")
	tab.Submit(`form[action="/events/replay"] button`)
	tab.See(".failure", "type the stack's name, demo")
	if w.bus.Seen() != before {
		t.Error("an event was put on the bus")
	}
	tab.Go(at)
	tab.Type("input[name=stack]", "demo")
	tab.Submit(`form[action="/events/replay"] button`)
	tab.See(".notice", "It is on the bus again")
	if n := w.bus.Seen() - before; n != 1 {
		t.Errorf("%d events are on the bus", n)
	}
}

func TestASendOfADeployedStackIsRepeatedAndCancelledByItsName(t *testing.T) {
	w := watch(t, "-write")
	keys, _ := harness.Backends.Secrets.Current(stack.ClientKeysSecret)
	t.Cleanup(func() { harness.Backends.Secrets.Put(stack.ClientKeysSecret, keys) })
	harness.Backends.Secrets.Put(stack.ClientKeysSecret, `{"crm":"key-of-crm"}`)
	id := (&world{t: t, table: w.table}).has("order-1", "crm", func(s *ledger.Send) {
		s.Payload = []byte(`{"to":"15550100042","text":{"body":"Where is it?"}}`)
		s.Fingerprint, s.ValidUntil, s.Unsettled = ledger.Fingerprint(false, false, "", s.Payload, nil), time.Now().Add(time.Hour), time.Now()
	})
	tab := browser.Open(t)
	tab.Go(w.address)
	tab.Go(w.url + "/sends?state=queued&client=crm")
	tab.Submit(".sends tbody a")
	tab.See("#state", id)
	if text := tab.Text("main"); strings.Contains(text, "Where") || strings.Contains(text, "15550100042") {
		t.Errorf("it shows a person's data: %s", text)
	}
	tab.Type(`form[action="/sends/repeat"] input[name=stack]`, "demo")
	tab.Type("input[name=key]", "order-1")
	tab.Submit(`form[action="/sends/repeat"] button`)
	tab.See(".notice", "The send endpoint responds 200")
	r := <-w.sent
	body, _ := io.ReadAll(r.Body)
	if r.Header.Get("Authorization") != "Bearer key-of-crm" || r.Header.Get("Prefer") != "respond-async" || !strings.Contains(string(body), `"idempotencyKey":"order-1"`) {
		t.Errorf("sent %v %s", r.Header, body)
	}
	tab.Type(`form[action="/sends/cancel"] input[name=stack]`, "demo")
	tab.Submit(`form[action="/sends/cancel"] button`)
	tab.See("#story", "by operator")
	if it := harness.Items(t, w.table)[id+" send"]; it.Text("unsettled_client") != "" {
		t.Errorf("the index keeps %v", it)
	}
}

func TestWithoutTheTokenThereIsNothing(t *testing.T) {
	w := watch(t)
	get := func(client *http.Client, path string) (int, string) {
		t.Helper()
		response, err := client.Get(w.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, _ := bufio.NewReader(response.Body).ReadString(0)
		return response.StatusCode, text
	}
	for _, path := range []string{"/", "/events", "/console/live", "/?token=", "/?token=wrong", "/events/item?at=x", "/nothing"} {
		if status, text := get(http.DefaultClient, path); status != http.StatusForbidden || !strings.Contains(text, "Open that address") || strings.Contains(text, "demo</") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	if status, text := get(client, strings.TrimPrefix(w.address, w.url)); status != http.StatusOK || !strings.Contains(text, "Overview") {
		t.Fatalf("with the token: %d %s", status, text)
	}
	if status, _ := get(client, "/events"); status != http.StatusOK {
		t.Errorf("with the session: %d", status)
	}
	at, _ := url.Parse(w.url)
	token := w.address[strings.LastIndex(w.address, "=")+1:]
	for _, c := range jar.Cookies(at) {
		if c.Value == token {
			t.Error("the cookie is the token")
		}
	}
}

// TestNoPageReadsTheWholeTable counts what pages ask DynamoDB for.
func TestNoPageReadsTheWholeTable(t *testing.T) {
	w := watch(t)
	w.said("15550100042", "Where is my order?")
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	get := func(address string) string {
		t.Helper()
		response, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s %v", address, response.StatusCode, text, err)
		}
		return string(text)
	}
	var calls sync.Map
	w.database.Measure(func(action string, units float64) {
		if calls.Store(action, true); action == "Scan" || units > 2 {
			t.Errorf("a page caused a %s of %v units", action, units)
		}
	})
	home := get(w.address)
	for _, m := range regexp.MustCompile(`<a href="(/[a-z-]*)"`).FindAllStringSubmatch(home, -1) {
		get(w.url + m[1])
	}
	found := get(w.url + "/events?contact=15550100042")
	get(w.url + regexp.MustCompile(`/events/item\?at=[^"]+`).FindString(found))
	if _, there := calls.Load("Query"); !there {
		t.Error("no call was seen")
	}
}

// TestOnlyThePartsThatAreDueAreRead reads parts of the overview again, as its script does: nobody pays
// for reading secrets' ages every 15 seconds.
func TestOnlyThePartsThatAreDueAreRead(t *testing.T) {
	w := watch(t)
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	read := func(address, parts string) string {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		r.Header.Set("Parts", parts)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, _ := io.ReadAll(response.Body)
		return string(text)
	}
	set := regexp.MustCompile(`WebhookSecret</th>`)
	if whole := read(w.address, ""); !set.MatchString(whole) || !strings.Contains(whole, "OutboundQueue") {
		t.Fatal(whole)
	}
	calls := w.secrets.Calls.Load()
	if part := read(w.url+"/", "plots,waits"); !strings.Contains(part, "OutboundQueue") || set.MatchString(part) || w.secrets.Calls.Load() != calls {
		t.Errorf("after %d calls, %d: %s", calls, w.secrets.Calls.Load(), part)
	}
	if part := read(w.url+"/", "secrets"); strings.Contains(part, "OutboundQueue") || !set.MatchString(part) {
		t.Error(part)
	}
}

// TestAFailureSaysWhatToDo has a DynamoDB that refuses everything.
func TestAFailureSaysWhatToDo(t *testing.T) {
	w := watch(t)
	tab := browser.Open(t)
	tab.Go(w.address)
	w.database.Set(func(rw http.ResponseWriter, _ string, _ []byte) bool {
		harness.Refuse(rw, http.StatusBadRequest, "AccessDeniedException")
		return true
	})
	tab.Go(w.url + "/")
	tab.See("#counts .failure", "AccessDeniedException")
	tab.See("#counts .failure", "Your credentials lack a permission; ops console -help lists")
	tab.See("#waits", "OutboundQueue") // the other parts stay
	tab.Expect("502")
	tab.Go(w.url + "/events?contact=15550100042")
	tab.See("h1", "It did not work")
	tab.See(".failure", "AccessDenied")
	if problems := tab.Axe(); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestTheLaptopsConsoleIsAtItsControlAddress(t *testing.T) {
	w := newWorld(t)
	w.variable("CONTROL_URL", "http://127.0.0.1:8081")
	if out, err := w.ops("console"); err != nil || out != "The laptop's console: http://127.0.0.1:8081\n" {
		t.Errorf("%v %s", err, out)
	}
}
