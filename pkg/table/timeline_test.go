package table_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"connexease-functions/pkg/table"
)

// An index promises no order among items of one instant. Pages meet each of them once all the same,
// and read few items more than they return.
func TestPagesOfATimelineDoNotDependOnTheOrderWithinAnInstant(t *testing.T) {
	var index []string // keys in the order of the index: by time, and within one in an order of its own
	for _, instant := range []string{"a", "bdc", "e", "igfh", "j", "k", "l"} {
		for _, id := range instant {
			index = append(index, fmt.Sprintf("2026-01-01T00:00:%02d.000Z %c", len(index)-slices.Index([]rune(instant), id), id))
		}
	}
	var limits []int
	tbl, _ := serve(func(_ int, made call) reply {
		var in struct {
			Limit             *int
			ScanIndexForward  bool
			ExclusiveStartKey map[string]map[string]string
			Condition         string                       `json:"KeyConditionExpression"`
			Values            map[string]map[string]string `json:"ExpressionAttributeValues"`
		}
		made.in(t, &in)
		lines := slices.Clone(index)
		if !in.ScanIndexForward {
			slices.Reverse(lines)
		}
		if start := in.ExclusiveStartKey["pk"]["S"]; start != "" {
			lines = lines[1+slices.IndexFunc(lines, func(line string) bool { return strings.HasSuffix(line, " "+start) }):]
		}
		if at := in.Values[":at"]["S"]; at != "" {
			lines = slices.DeleteFunc(lines, func(line string) bool {
				sk, _, _ := strings.Cut(line, " ")
				return strings.Contains(in.Condition, "<=") && sk > at || strings.Contains(in.Condition, ">=") && sk < at
			})
		}
		limits = append(limits, 0)
		last := ""
		if in.Limit != nil {
			limits[len(limits)-1] = *in.Limit
			if *in.Limit < len(lines) {
				lines = lines[:*in.Limit]
				_, last, _ = strings.Cut(lines[len(lines)-1], " ")
			}
		}
		out := map[string]any{}
		items := []any{}
		for _, line := range lines {
			sk, pk, _ := strings.Cut(line, " ")
			items = append(items, map[string]any{"pk": map[string]string{"S": pk}, "sk": map[string]string{"S": "s"}, "timeline_sk": map[string]string{"S": sk}})
		}
		out["Items"] = items
		if last != "" {
			out["LastEvaluatedKey"] = map[string]any{"pk": map[string]string{"S": last}}
		}
		body, _ := json.Marshal(out)
		return reply{body: string(body)}
	})
	for _, n := range []int{1, 2, 3, 20} {
		for _, older := range []bool{true, false} {
			limits = nil
			met, from := "", table.Position{}
			for pages := 0; pages < 20; pages++ {
				found, err := tbl.Timeline(t.Context(), "contact#1", from, older, n)
				if err != nil || len(found) > n {
					t.Fatal(err, len(found))
				}
				if len(found) == 0 {
					break
				}
				for _, it := range found {
					met += it.Text("pk")
				}
				from = found[len(found)-1].Position()
			}
			want := "abcdefghijkl"
			if older {
				want = "lkjihgfedcba"
			}
			if met != want {
				t.Errorf("pages of %d, older %t: met %s, want %s", n, older, met, want)
			}
			for _, limit := range limits {
				if limit != 0 && limit != n+2 {
					t.Errorf("a page of %d reads %d items", n, limit)
				}
			}
		}
	}
}
