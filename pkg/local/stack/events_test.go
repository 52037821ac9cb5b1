package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	simeventbridge "connexease-functions/pkg/local/sim/eventbridge"
	"connexease-functions/pkg/local/sim/pipes"
	"connexease-functions/pkg/proof/await"
)

func write(t *testing.T, s *Stack, table, pk string, n int) {
	t.Helper()
	text := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	if _, err := s.DB.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &table, Item: map[string]types.AttributeValue{
		"pk": text(pk), "sk": text("x"), "n": text(fmt.Sprint(n)),
	}}); err != nil {
		t.Fatal(err)
	}
}

func TestTheStreamResumesWhereAFaultStoppedIt(t *testing.T) {
	s := start(t, Options{Backends: true})
	const table = "Faulty"
	if err := s.CreateTable(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	// A proxy of the database: every fifth call fails, in a different way each time.
	target, err := url.Parse(s.DynamoDBURL)
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(target)
	var calls atomic.Int64
	faulty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		switch {
		case n%15 == 5:
			w.WriteHeader(http.StatusInternalServerError)
		case n%15 == 10:
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"com.amazonaws.dynamodb.v20120810#ExpiredIteratorException","message":"it has"}`))
		case n%15 == 0:
			panic(http.ErrAbortHandler)
		default:
			through.ServeHTTP(w, r)
		}
	}))
	defer faulty.Close()
	bus := simeventbridge.New("EventBus", time.Now)
	defer bus.Close()
	var puts atomic.Int64
	bus.Refuse(func(pipes.Entry) error {
		if puts.Add(1)%7 == 0 {
			return errors.New("not now")
		}
		return nil
	})
	pipe, err := pipes.New(pipes.Config{
		Name: "P", MaxRetries: 9, MaxAge: time.Hour, Source: "s", DetailType: "T", Put: bus.Put,
		InputTemplate: `{"pk":"<$.dynamodb.Keys.pk.S>","n":"<$.dynamodb.NewImage.n.S>"}`,
		DeadLetter:    func(body []byte) { t.Errorf("given up: %s", body) },
	})
	if err != nil {
		t.Fatal(err)
	}
	client := s.Streams()
	o := client.Options()
	o.BaseEndpoint, o.Retryer = aws.String(faulty.URL), aws.NopRetryer{}
	stream := &pipes.Stream{Client: dynamodbstreams.New(o), Table: table, Idle: 5 * time.Millisecond}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { stream.Run(ctx, pipe); close(ended) }()
	reached := func() map[string]int {
		last := map[string]int{}
		for _, e := range bus.Events() {
			var d struct {
				PK string
				N  int `json:",string"`
			}
			if err := json.Unmarshal(e.Detail, &d); err != nil {
				t.Fatal(err)
			}
			// At least once: events put before a fault may be repeated, but none is missing.
			if d.N > last[d.PK]+1 {
				t.Fatalf("%s: %d came after %d", d.PK, d.N, last[d.PK])
			}
			last[d.PK] = max(last[d.PK], d.N)
		}
		return last
	}
	for n := 1; n <= 8; n++ {
		for k := range 3 {
			write(t, s, table, fmt.Sprint("key", k), 2*n-1)
			write(t, s, table, fmt.Sprint("key", k), 2*n)
		}
		await.Until(t, "every change came", func() bool {
			last := reached()
			return last["key0"] == 2*n && last["key1"] == 2*n && last["key2"] == 2*n
		})
	}
	cancel()
	<-ended
	if calls.Load() < 15 || puts.Load() < 7 {
		t.Errorf("%d calls and %d entries met no fault", calls.Load(), puts.Load())
	}
}

func TestRecordsThatTheBusKeepsRefusingAreDeadLettered(t *testing.T) {
	s := start(t, Options{Backends: true})
	err := s.Enqueue(t.Context(), "EventDeadLetters", []byte("given up"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.queueClient().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(s.Queues.URL("EventDeadLetters"))})
	if err != nil || len(got.Messages) != 1 || *got.Messages[0].Body != "given up" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestARulesTargetIsTheOutboundQueue(t *testing.T) {
	s := start(t, Options{Backends: true})
	if err := s.PutRule("r", simeventbridge.Rule{Pattern: json.RawMessage(`{"source":["shop"]}`)}); err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.BusURL, strings.NewReader(`{"Entries":[{"Source":"shop","DetailType":"T","Detail":"{}","EventBusName":"EventBus"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AWSEvents.PutEvents")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	await.Until(t, "the event is on the queue", func() bool { return s.Queues.Depth("OutboundQueue").Visible == 1 })
}

func TestAnEventThatARuleDropsIsCountedAndReportedEachTime(t *testing.T) {
	var mu sync.Mutex
	var said []string
	s := start(t, Options{Backends: true, Progress: func(line string) { mu.Lock(); defer mu.Unlock(); said = append(said, line) }})
	if err := s.PutRule("shipped", simeventbridge.Rule{
		Pattern:     json.RawMessage(`{"source":["shop"]}`),
		Transformer: &simeventbridge.Transformer{Paths: map[string]string{"text": "$.detail.text"}, Template: `{"message":{"text":"<text>"}}`},
	}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		for _, text := range []string{`say \"hello\"`, "hello"} {
			for _, err := range s.Bus.Put(t.Context(), []pipes.Entry{{Source: "shop", DetailType: "T", Detail: `{"text":"` + text + `"}`}}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		await.Until(t, "the good one is on the queue", func() bool { return s.Queues.Depth("OutboundQueue").Visible == n })
	}
	if got := s.Bus.Rules()["shipped"].Dropped; got != 3 {
		t.Errorf("%d dropped, want 3", got)
	}
	mu.Lock()
	defer mu.Unlock()
	lines := 0
	for _, line := range said {
		if strings.Contains(line, "rule shipped dropped an event") {
			lines++
		}
	}
	if lines != 3 {
		t.Errorf("said %d times: %q", lines, said)
	}
}

func TestWebPagesCannotReachTheBackends(t *testing.T) {
	s := start(t, Options{Backends: true})
	for name, address := range map[string]string{
		"Secrets Manager": s.SecretsURL, "SQS": s.SQSURL, "Lambda": s.LambdaURL, "EventBridge": s.BusURL, "Scheduler": s.ScheduleURL, "the Gateway": s.GatewayURL,
	} {
		for what, c := range map[string]struct {
			host, origin string
			refused      bool
		}{
			"a rebound name":         {"evil.example", "", true},
			"a request across sites": {"", "https://evil.example", true},
			"a container":            {"host.docker.internal:80", "", false},
			"a program":              {"", "", false},
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Host = c.host
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if got := answer.StatusCode == http.StatusForbidden; got != c.refused {
				t.Errorf("%s, %s: %d", name, what, answer.StatusCode)
			}
		}
	}
}
