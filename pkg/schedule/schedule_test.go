package schedule_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	simscheduler "connexease-functions/pkg/local/sim/scheduler"
	"connexease-functions/pkg/schedule"
)

const (
	queue = "arn:aws:sqs:us-east-1:000000000000:Out"
	id    = "msg_sa5foziciqg3fffsxjtzkxqyqz"
)

var at = time.Date(2026, 3, 1, 13, 0, 0, 0, time.FixedZone("", 3600))

func start(t *testing.T) (*simscheduler.Server, *schedule.Scheduler) {
	t.Helper()
	sim := simscheduler.New(func() time.Time { return at }, func(context.Context, string, string) error { return nil })
	sim.AddGroup("Sends")
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
	return sim, schedule.New(cfg, "Sends", "arn:aws:iam::000000000000:role/Role", "arn:aws:sqs:us-east-1:000000000000:Dead")
}

func TestASendHasOneScheduleForEachTime(t *testing.T) {
	sim, s := start(t)
	for _, when := range []time.Time{at, at, at.Add(time.Hour)} {
		if err := s.Put(t.Context(), id, when, queue, `{"id":"`+id+`"}`); err != nil {
			t.Fatal(err)
		}
	}
	all := sim.Schedules()
	if len(all) != 2 || !all[0].At.Equal(at) || all[0].Group != "Sends" || all[0].Target != queue || all[0].Input != `{"id":"`+id+`"}` || !strings.HasPrefix(all[0].Name, id) {
		t.Errorf("%+v", all)
	}
	for range 2 {
		if err := s.Remove(t.Context(), id, at); err != nil {
			t.Fatal(err)
		}
	}
	if all := sim.Schedules(); len(all) != 1 || !all[0].At.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v", all)
	}
}

func TestWhatSchedulerDoesNotConfirmIsAnError(t *testing.T) {
	sim, s := start(t)
	sim.SetFaults(simscheduler.Faults{Away: true})
	if s.Put(t.Context(), id, at, queue, "{}") == nil || s.Remove(t.Context(), id, at) == nil {
		t.Error("away, and confirmed")
	}
	sim.SetFaults(simscheduler.Faults{Lost: true})
	if s.Put(t.Context(), id, at, queue, "{}") == nil {
		t.Error("the response was lost, and confirmed")
	}
	sim.SetFaults(simscheduler.Faults{})
	if err := s.Put(t.Context(), id, at, queue, "{}"); err != nil || len(sim.Schedules()) != 1 {
		t.Errorf("again: %v, %+v", err, sim.Schedules())
	}
}
