package control

import (
	"errors"
	"net/http"
	"time"

	simscheduler "connexease-functions/pkg/local/sim/scheduler"
)

// schedules lists the schedules, the earliest first, and Scheduler's time.
func (c *Control) schedules(w http.ResponseWriter, _ *http.Request) {
	all := c.stack.Scheduler.Schedules()
	answer(w, http.StatusOK, map[string]any{"count": len(all), "now": c.stack.Scheduler.Now(), "schedules": all})
}

// advance moves Scheduler's time on, and nobody else's.
func (c *Control) advance(w http.ResponseWriter, r *http.Request) {
	by, err := time.ParseDuration(r.URL.Query().Get("by"))
	if err != nil || by <= 0 {
		fail(w, http.StatusBadRequest, errors.New("by must be a time such as 25h or 90m"))
		return
	}
	c.stack.Scheduler.Advance(by)
	c.schedules(w, r)
}

func (c *Control) scheduleFaults() setting[simscheduler.Faults] {
	set := func(f simscheduler.Faults) error {
		c.stack.Scheduler.SetFaults(f)
		return nil
	}
	return setting[simscheduler.Faults]{c.stack.Scheduler.Faults, set, "a JSON object; {} ends them", simscheduler.Faults{}}
}
