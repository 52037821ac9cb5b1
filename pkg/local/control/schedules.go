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

func (c *Control) scheduleFaults(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, c.stack.Scheduler.Faults())
}

func (c *Control) putScheduleFaults(w http.ResponseWriter, r *http.Request) {
	var f simscheduler.Faults
	if !read(w, r, &f, f, "a JSON object; {} ends them") {
		return
	}
	c.stack.Scheduler.SetFaults(f)
	c.scheduleFaults(w, r)
}
