package command

import (
	"strings"
	"testing"
)

func TestDeleteRemovesOnlyWhatWasNamed(t *testing.T) {
	for name, c := range map[string]struct {
		typed          string
		more           []string
		stack, deleted bool // the stack, the table
	}{
		"nothing typed":             {"\n", nil, false, false},
		"a different name":          {"demo2\n", nil, false, false},
		"the stack":                 {"demo\n\n", nil, true, false},
		"yes is not a name":         {"demo\nyes\n", nil, true, false},
		"stack and table":           {"demo\ndemo-EventsTable-1\n", nil, true, true},
		"a script's":                {"", []string{"-yes"}, true, false},
		"a script's with the table": {"", []string{"-yes", "-with-table", "demo-EventsTable-1"}, true, true},
		"different table":           {"", []string{"-yes", "-with-table", "another"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			cloud := &cloud{resources: map[string][2]string{
				tableID: {"demo-EventsTable-1", "AWS::DynamoDB::Table"}, "OutboundQueue": {"https://sqs/1/demo-Outbound", "AWS::SQS::Queue"},
				sendID: {"demo-Send", "AWS::Lambda::Function"}, scheduleGroup: {"demo-Schedules", "AWS::Scheduler::ScheduleGroup"},
			}}
			cloud.inTheCloud(t)
			out, err := ops(t, t.TempDir(), "demo", c.typed, append([]string{"delete"}, c.more...)...)
			if cloud.called("DeleteStack") != c.stack || cloud.called("DeleteTable") != c.deleted || (err == nil) != c.stack {
				t.Errorf("calls: %v, %v", cloud.calls, err)
			}
			if name != "different table" && (!strings.Contains(out, "3 messages in demo-Outbound") || !strings.Contains(out, "2 scheduled messages") || !cloud.called("ListSchedules demo-Schedules") || !strings.Contains(out, "demo-EventsTable-1")) {
				t.Errorf("says %s", out)
			}
			if c.stack && !strings.Contains(out, "Deleted.\n") {
				t.Errorf("says %s", out)
			}
		})
	}
	half := &cloud{remains: "DELETE_FAILED", resources: map[string][2]string{tableID: {"demo-EventsTable-1", "AWS::DynamoDB::Table"}}}
	half.inTheCloud(t)
	if out, err := ops(t, t.TempDir(), "demo", "demo\n", "delete"); err == nil || !strings.Contains(out, "DELETE_FAILED") || !strings.Contains(out, "a bucket is not empty") || half.called("DeleteTable") {
		t.Errorf("one that is not deleted whole: %v %s", err, out)
	}
	if out, err := ops(t, t.TempDir(), local, "local\n", "delete"); err == nil || !strings.Contains(out, "-stack") {
		t.Errorf("the laptop's: %v %s", err, out)
	}
	if out, err := ops(t, t.TempDir(), "other", "other\n", "delete"); err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "does not exist") {
		t.Errorf("one that is not there: %v %s", err, out)
	}
}
