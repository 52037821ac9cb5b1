package scheduler

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // schedules name time zones, and the machine may have no list of them

	"connexease-functions/pkg/local/sim/uuid"
)

// input is CreateSchedule's body (AWS: EventBridge Scheduler API reference).
type input struct {
	ActionAfterCompletion      string              `json:",omitempty"`
	ClientToken                string              `json:",omitempty"`
	Description                string              `json:",omitempty"`
	FlexibleTimeWindow         *flexibleTimeWindow `json:",omitempty"`
	GroupName                  string              `json:",omitempty"`
	ScheduleExpression         string              `json:",omitempty"`
	ScheduleExpressionTimezone string              `json:",omitempty"`
	State                      string              `json:",omitempty"`
	Target                     *target             `json:",omitempty"`
}

type flexibleTimeWindow struct {
	Mode                   string
	MaximumWindowInMinutes *int `json:",omitempty"`
}

type target struct {
	Arn, RoleArn     string
	Input            string            `json:",omitempty"`
	DeadLetterConfig *deadLetterConfig `json:",omitempty"`
	RetryPolicy      *retryPolicy      `json:",omitempty"`
}

type deadLetterConfig struct{ Arn string }

type retryPolicy struct {
	MaximumEventAgeInSeconds, MaximumRetryAttempts *int `json:",omitempty"`
}

const (
	defaultGroup = "default"
	enabled      = "ENABLED"
	disabled     = "DISABLED"
	deleteAfter  = "DELETE"

	maxRequest = 1 << 20

	// AWS: EventBridge Scheduler API reference, RetryPolicy.
	mostRetries = 185
	longestAge  = 24 * time.Hour
)

// retries returns how often, and for how long, a target is tried again.
func (t *target) retries() (times int, age time.Duration) {
	times, age = mostRetries, longestAge
	if p := t.RetryPolicy; p != nil {
		if p.MaximumRetryAttempts != nil {
			times = *p.MaximumRetryAttempts
		}
		if p.MaximumEventAgeInSeconds != nil {
			age = time.Duration(*p.MaximumEventAgeInSeconds) * time.Second
		}
	}
	return times, age
}

// fault is an error as the service returns it.
type fault struct {
	status        int
	kind, message string
}

func invalid(format string, args ...any) *fault {
	return &fault{http.StatusBadRequest, "ValidationException", fmt.Sprintf(format, args...)}
}

func missing(what string) *fault {
	return &fault{http.StatusNotFound, "ResourceNotFoundException", what + " does not exist."}
}

// ServeHTTP is the endpoint. A web page can send neither DELETE nor JSON to a different origin
// unless that origin allows it, which this one never does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		s.respond(w, nil, invalid("The request cannot be read: %v.", err))
		return
	}
	s.mu.Lock()
	f := s.faults
	var out any
	var failed *fault
	if !f.Away {
		out, failed = s.call(r, body)
		s.wake()
	}
	s.mu.Unlock()
	switch {
	case f.Away:
		w.WriteHeader(http.StatusServiceUnavailable)
	case f.Lost:
		panic(http.ErrAbortHandler) // closes the connection
	default:
		s.respond(w, out, failed)
	}
}

func (s *Server) respond(w http.ResponseWriter, out any, f *fault) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Requestid", uuid.New())
	if f != nil {
		w.Header().Set("X-Amzn-Errortype", f.kind)
		w.WriteHeader(f.status)
		out = map[string]string{"Message": f.message}
	}
	_ = json.NewEncoder(w).Encode(out) // the caller may have gone
}

var scheduleName = regexp.MustCompile(`^[0-9a-zA-Z-_.]{1,64}$`)

// call expects the lock to be held.
func (s *Server) call(r *http.Request, body []byte) (out any, f *fault) {
	escaped, found := strings.CutPrefix(r.URL.EscapedPath(), "/schedules/")
	name, err := url.PathUnescape(escaped)
	if !found || err != nil {
		return nil, &fault{http.StatusNotFound, "UnknownOperationException", "Schedules alone are simulated."}
	}
	if !scheduleName.MatchString(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$ and have a length of at most 64", name)
	}
	if r.Method == http.MethodPost {
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		var in input
		if media != "application/json" || json.Unmarshal(body, &in) != nil {
			return nil, &fault{http.StatusBadRequest, "SerializationException", "The body is not JSON of this action."}
		}
		return s.create(name, in)
	}
	group := cmp.Or(r.URL.Query().Get("groupName"), defaultGroup)
	there := s.schedules[arn(group, name)]
	switch {
	case there == nil:
		return nil, missing("Schedule " + name)
	case r.Method == http.MethodDelete:
		delete(s.schedules, arn(group, name))
		return struct{}{}, nil
	case r.Method == http.MethodGet:
		return struct {
			input
			Arn, Name                          string
			CreationDate, LastModificationDate float64
			ClientToken                        *string `json:",omitempty"` // which it does not return
		}{there.in, arn(group, name), name, seconds(there.created), seconds(there.created), nil}, nil
	}
	return nil, &fault{http.StatusNotFound, "UnknownOperationException", "Schedules are not updated here."}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// create is idempotent by its client token, as AWS's is.
func (s *Server) create(name string, in input) (any, *fault) {
	at, err := in.check()
	switch there := s.schedules[arn(in.GroupName, name)]; {
	case err != nil:
		return nil, invalid("%v", err)
	case !s.groups[in.GroupName]:
		return nil, missing("Schedule group " + in.GroupName)
	case there == nil:
		now := s.now()
		s.schedules[arn(in.GroupName, name)] = &Schedule{
			Name: name, Group: in.GroupName, At: at, Target: in.Target.Arn, Input: in.Target.Input, in: in, created: now, next: at,
		}
	case in.ClientToken == "" || in.ClientToken != there.in.ClientToken:
		return nil, &fault{http.StatusConflict, "ConflictException", "Schedule " + name + " already exists."}
	}
	return map[string]string{"ScheduleArn": arn(in.GroupName, name)}, nil
}

var (
	clientToken = regexp.MustCompile(`^[a-zA-Z0-9-_]{1,64}$`)
	roleARN     = regexp.MustCompile(`^arn:aws(-[a-z]+)?:iam::\d{12}:role/[\w+=,.@/-]+$`)
	queueARN    = regexp.MustCompile(`^arn:aws(-[a-z]+)?:sqs:[a-z0-9-]+:\d{12}:[a-zA-Z0-9-_]+$`)
)

// check sets the members' defaults and returns a one-time schedule's time. Its error lists
// everything that AWS would refuse, or that is not simulated.
func (in *input) check() (at time.Time, err error) {
	var all []error
	check := func(ok bool, format string, args ...any) bool {
		if !ok {
			all = append(all, fmt.Errorf(format, args...))
		}
		return ok
	}
	fill := func(member *string, value string) { *member = cmp.Or(*member, value) }
	fill(&in.GroupName, defaultGroup)
	fill(&in.State, enabled)
	fill(&in.ActionAfterCompletion, "NONE")
	fill(&in.ScheduleExpressionTimezone, "UTC")
	zone, unknown := time.LoadLocation(in.ScheduleExpressionTimezone)
	if check(unknown == nil && in.ScheduleExpressionTimezone != "Local", "Invalid Schedule Expression Timezone %s.", in.ScheduleExpressionTimezone) {
		expression, isAt := strings.CutPrefix(in.ScheduleExpression, "at(")
		expression, closed := strings.CutSuffix(expression, ")")
		var malformed error
		at, malformed = time.ParseInLocation("2006-01-02T15:04:05", expression, zone)
		check(isAt && closed && malformed == nil && len(expression) == len("2006-01-02T15:04:05"), "Invalid Schedule Expression %s.", in.ScheduleExpression)
	}
	check(in.ClientToken == "" || clientToken.MatchString(in.ClientToken), "ClientToken is not 1 to 64 letters, digits, - and _.")
	check(in.State == enabled || in.State == disabled, "State is not ENABLED or DISABLED.")
	check(in.ActionAfterCompletion == "NONE" || in.ActionAfterCompletion == deleteAfter, "ActionAfterCompletion is not NONE or DELETE.")
	check(len(in.Description) <= 512, "Description has more than 512 characters.")
	if w := in.FlexibleTimeWindow; check(w != nil, "FlexibleTimeWindow must not be null.") {
		check(w.Mode == "OFF" && w.MaximumWindowInMinutes == nil, "FlexibleTimeWindow is simulated with the mode OFF alone.")
	}
	if t := in.Target; check(t != nil, "Target must not be null.") {
		check(queueARN.MatchString(t.Arn), "Provided Arn %q is not in correct format of a queue.", t.Arn)
		check(roleARN.MatchString(t.RoleArn), "Provided RoleArn %q is not in correct format.", t.RoleArn)
		check(t.DeadLetterConfig == nil || queueARN.MatchString(t.DeadLetterConfig.Arn), "DeadLetterConfig.Arn is not the ARN of a queue.")
		check(t.Input != "", "Target.Input is empty, and the default notification is not simulated.")
		times, age := t.retries()
		check(times >= 0 && times <= mostRetries, "MaximumRetryAttempts is not between 0 and 185.")
		check(age >= time.Minute && age <= longestAge, "MaximumEventAgeInSeconds is not between 60 and 86400.")
	}
	return at, errors.Join(all...)
}
