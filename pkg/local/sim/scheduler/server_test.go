package scheduler_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/smithy-go"

	simscheduler "connexease-functions/pkg/local/sim/scheduler"
)

const (
	out  = "arn:aws:sqs:us-east-1:000000000000:Out"
	dead = "arn:aws:sqs:us-east-1:000000000000:Dead"
	role = "arn:aws:iam::000000000000:role/Role"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a server with a clock of its own, and what its targets received.
type world struct {
	*simscheduler.Server
	t        *testing.T
	url      string
	client   *scheduler.Client
	received chan string // "<queue> <body>"
	ahead    atomic.Int64
	refuse   atomic.Int64 // how many deliveries to Out fail from now on
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, received: make(chan string, 99)}
	w.Server = simscheduler.New(func() time.Time { return start.Add(time.Duration(w.ahead.Load())) }, func(_ context.Context, queue, body string) error {
		if queue == out && w.refuse.Add(-1) >= 0 {
			return errors.New("not now")
		}
		w.received <- queue[strings.LastIndex(queue, ":")+1:] + " " + body
		return nil
	})
	w.AddGroup("Sends")
	server := httptest.NewServer(w.Server)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.client = scheduler.New(scheduler.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""), Retryer: aws.NopRetryer{},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return w
}

// schedule is a valid request that fires after an hour.
func schedule(name string) *scheduler.CreateScheduleInput {
	return &scheduler.CreateScheduleInput{
		Name: aws.String(name), GroupName: aws.String("Sends"), ScheduleExpression: aws.String("at(2026-03-01T13:00:00)"),
		FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff}, ActionAfterCompletion: types.ActionAfterCompletionDelete,
		Target: &types.Target{
			Arn: aws.String(out), RoleArn: aws.String(role), Input: aws.String(name), DeadLetterConfig: &types.DeadLetterConfig{Arn: aws.String(dead)},
		},
	}
}

func (w *world) create(in *scheduler.CreateScheduleInput) error {
	_, err := w.client.CreateSchedule(w.t.Context(), in)
	return err
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// fires creates a schedule that is due, and returns what was received until it fired.
func (w *world) fires() (before []string) {
	w.t.Helper()
	in := schedule("due")
	in.ScheduleExpression = aws.String("at(2026-03-01T12:00:00)")
	w.must(w.create(in))
	for got := range w.received {
		if got == "Out due" {
			break
		}
		before = append(before, got)
	}
	return before
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestAScheduleFiresOnceAtItsTimeAndIsDeleted(t *testing.T) {
	w := newWorld(t)
	w.must(w.create(schedule("one")))
	w.ahead.Store(int64(time.Hour - time.Second))
	w.Wake()
	if early := w.fires(); early != nil {
		t.Errorf("a second early: %q", early)
	}
	got, err := w.client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("one"), GroupName: aws.String("Sends")})
	w.must(err)
	if *got.Arn != "arn:aws:scheduler:us-east-1:000000000000:schedule/Sends/one" || *got.ScheduleExpressionTimezone != "UTC" || *got.Target.Input != "one" || !got.CreationDate.Equal(start) {
		t.Errorf("got %+v", got)
	}
	w.Advance(time.Second)
	if on := <-w.received; on != "Out one" {
		t.Errorf("received %q", on)
	}
	w.Advance(time.Hour)
	if later := w.fires(); later != nil {
		t.Errorf("again: %q", later)
	}
	if _, err := w.client.GetSchedule(t.Context(), &scheduler.GetScheduleInput{Name: aws.String("one"), GroupName: aws.String("Sends")}); code(err) != "ResourceNotFoundException" {
		t.Errorf("it is still there: %v", err)
	}
}

func TestTheTimeIsThatOfItsZone(t *testing.T) {
	w := newWorld(t)
	in := schedule("istanbul")
	in.ScheduleExpression, in.ScheduleExpressionTimezone = aws.String("at(2026-03-01T16:00:00)"), aws.String("Europe/Istanbul")
	w.must(w.create(in))
	if all := w.Schedules(); len(all) != 1 || !all[0].At.Equal(start.Add(time.Hour)) {
		t.Errorf("%+v", all)
	}
}

func TestADeletedScheduleNeverFires(t *testing.T) {
	w := newWorld(t)
	w.must(w.create(schedule("gone")))
	remove := &scheduler.DeleteScheduleInput{Name: aws.String("gone"), GroupName: aws.String("Sends")}
	_, err := w.client.DeleteSchedule(t.Context(), remove)
	w.must(err)
	if _, err := w.client.DeleteSchedule(t.Context(), remove); code(err) != "ResourceNotFoundException" {
		t.Errorf("deleted again: %v", err)
	}
	w.Advance(2 * time.Hour)
	if got := w.fires(); got != nil {
		t.Errorf("fired %q", got)
	}
}

func TestCreateIsIdempotentByItsTokenAlone(t *testing.T) {
	w := newWorld(t)
	in := schedule("twice")
	in.ClientToken = aws.String("token-1")
	w.must(w.create(in))
	w.must(w.create(in))
	in.ClientToken = aws.String("token-2")
	if err := w.create(in); code(err) != "ConflictException" {
		t.Errorf("a second schedule of one name: %v", err)
	}
	in.GroupName = nil
	w.must(w.create(in)) // in the default group
	if n := len(w.Schedules()); n != 2 {
		t.Errorf("%d schedules", n)
	}
}

func TestWhatAWSRefusesIsRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		change func(*scheduler.CreateScheduleInput)
		code   string
	}{
		"a long name":      {func(in *scheduler.CreateScheduleInput) { in.Name = aws.String(strings.Repeat("x", 65)) }, "ValidationException"},
		"a bad name":       {func(in *scheduler.CreateScheduleInput) { in.Name = aws.String("a:b") }, "ValidationException"},
		"a slash":          {func(in *scheduler.CreateScheduleInput) { in.Name = aws.String("a/b") }, "ValidationException"},
		"an unknown group": {func(in *scheduler.CreateScheduleInput) { in.GroupName = aws.String("other") }, "ResourceNotFoundException"},
		"a time with a zone": {func(in *scheduler.CreateScheduleInput) {
			in.ScheduleExpression = aws.String("at(2026-03-01T13:00:00Z)")
		}, "ValidationException"},
		"a fraction": {func(in *scheduler.CreateScheduleInput) {
			in.ScheduleExpression = aws.String("at(2026-03-01T13:00:00.5)")
		}, "ValidationException"},
		"no time":           {func(in *scheduler.CreateScheduleInput) { in.ScheduleExpression = aws.String("rate(5 minutes)") }, "ValidationException"},
		"an unknown zone":   {func(in *scheduler.CreateScheduleInput) { in.ScheduleExpressionTimezone = aws.String("Mars/Crater") }, "ValidationException"},
		"a bad token":       {func(in *scheduler.CreateScheduleInput) { in.ClientToken = aws.String("a b") }, "ValidationException"},
		"a bad target":      {func(in *scheduler.CreateScheduleInput) { in.Target.Arn = aws.String("Out") }, "ValidationException"},
		"a bad role":        {func(in *scheduler.CreateScheduleInput) { in.Target.RoleArn = aws.String("Role") }, "ValidationException"},
		"a bad dead letter": {func(in *scheduler.CreateScheduleInput) { in.Target.DeadLetterConfig.Arn = aws.String("Dead") }, "ValidationException"},
		"many retries": {func(in *scheduler.CreateScheduleInput) {
			in.Target.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(186)}
		}, "ValidationException"},
		"a long age": {func(in *scheduler.CreateScheduleInput) {
			in.Target.RetryPolicy = &types.RetryPolicy{MaximumEventAgeInSeconds: aws.Int32(86401)}
		}, "ValidationException"},
	} {
		in := schedule("valid")
		c.change(in)
		if err := w.create(in); code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.Schedules()); n != 0 {
		t.Errorf("%d schedules were made", n)
	}
	w.must(w.create(schedule("valid_-.9")))
}

func TestATargetThatKeepsFailingGoesToTheDeadLetterQueue(t *testing.T) {
	w := newWorld(t)
	in := schedule("retried")
	in.Target.RetryPolicy = &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(2), MaximumEventAgeInSeconds: aws.Int32(3600)}
	w.must(w.create(in))
	tries := func(want int) {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for all := w.Schedules(); len(all) == 1 && all[0].Tries < want; all = w.Schedules() {
			<-tick.C
		}
	}
	w.refuse.Store(3)
	w.Advance(time.Hour)
	tries(1)
	w.Advance(time.Second)
	tries(2)
	w.Advance(2 * time.Second)
	if got := <-w.received; got != "Dead retried" {
		t.Errorf("received %q", got)
	}
	in = schedule("second")
	w.must(w.create(in)) // it is late already, and its target refuses once
	if got := <-w.received; got != "Out second" {
		t.Errorf("received %q", got)
	}
	w.refuse.Store(1)
	in.Name, in.Target.Input = aws.String("third"), aws.String("third")
	w.must(w.create(in))
	tries(1)
	w.Advance(time.Second)
	if got := <-w.received; got != "Out third" {
		t.Errorf("received %q", got)
	}
}

func TestFaults(t *testing.T) {
	w := newWorld(t)
	w.SetFaults(simscheduler.Faults{Away: true})
	if err := w.create(schedule("a")); err == nil || len(w.Schedules()) != 0 {
		t.Errorf("away: %v, and %+v", err, w.Schedules())
	}
	w.SetFaults(simscheduler.Faults{Lost: true})
	if err := w.create(schedule("a")); err == nil || len(w.Schedules()) != 1 {
		t.Errorf("the response was not lost: %v, and %+v", err, w.Schedules())
	}
	w.SetFaults(simscheduler.Faults{Held: true})
	w.Advance(2 * time.Hour)
	if all := w.Schedules(); len(all) != 1 || len(w.received) != 0 {
		t.Errorf("held: %+v", all)
	}
	w.SetFaults(simscheduler.Faults{Twice: true})
	for range 2 {
		if got := <-w.received; got != "Out a" {
			t.Errorf("received %q", got)
		}
	}
}

func TestOtherCallsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.must(w.create(schedule("there")))
	for _, c := range []struct{ method, path, media, want string }{
		{"POST", "/schedules/x", "text/plain", "SerializationException"},
		{"POST", "/schedule-groups/x", "application/json", "UnknownOperationException"},
		{"PUT", "/schedules/there?groupName=Sends", "application/json", "UnknownOperationException"},
		{"GET", "/schedules/there", "", "ResourceNotFoundException"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, w.url+c.path, strings.NewReader("{}"))
		w.must(err)
		r.Header.Set("Content-Type", c.media)
		answer, err := http.DefaultClient.Do(r)
		w.must(err)
		_ = answer.Body.Close()
		if got := answer.Header.Get("X-Amzn-Errortype"); got != c.want {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.StatusCode, got)
		}
	}
}
