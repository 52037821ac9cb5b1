package main

import (
	"reflect"
	"strings"
	"testing"
)

// A request's id is in its line and in no item: a delivery that is repeated has another id, and must
// leave the same table.
func TestTheIdOfADeliveryIsInItsLineAndInNoItem(t *testing.T) {
	w := newWorld(t)
	e := event("Bearer "+w.token, fixture(t, "text"))
	deliver := func(id string) map[string]any {
		t.Helper()
		e["requestContext"].(map[string]any)["requestId"] = id
		if a, err := w.invoke(e); err != nil || a.Status != 200 {
			t.Fatalf("%+v %v", a, err)
		}
		w.settle()
		if !strings.Contains(w.logs.String(), `"apiRequestId":"`+id+`"`) {
			t.Errorf("no line has %s", id)
		}
		all := map[string]any{}
		for key, it := range w.items() {
			all[key] = it
		}
		return all
	}
	first := deliver("JKJaXmPLvHcESHA=")
	if again := deliver("JKJbYnQMwIdFTIB="); len(first) == 0 || !reflect.DeepEqual(again, first) {
		t.Errorf("a repeat makes %v of %v", again, first)
	}
}
