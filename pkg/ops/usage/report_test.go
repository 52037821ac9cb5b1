package usage_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"connexease-functions/pkg/ops/usage"
	"connexease-functions/pkg/table"
)

func written(t *testing.T, r *usage.Report, format string) string {
	t.Helper()
	var out bytes.Buffer
	err := r.Page(&out)
	if format != "html" {
		out.Reset()
		err = r.Write(&out, format)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEachFormSaysTheSame(t *testing.T) {
	m := &month{n: 2_000, since: october}
	r := read(t, m, m.query())
	_, all, without := m.want()

	rows, err := csv.NewReader(strings.NewReader(written(t, r, "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(rows[0], " "); got != "line client category country campaign day sent delivered read failed billable sandbox unknown gateway_fee_usd" {
		t.Errorf("the header is %s", got)
	}
	var sent int64
	for _, row := range rows[1:] {
		n, err := strconv.ParseInt(row[6], 10, 64)
		switch {
		case err != nil:
			t.Fatal(err)
		case row[0] == "group":
			sent += n
		case row[0] == "total" && (n != all.Sent || row[13] != strconv.FormatFloat(float64(n)/1000, 'f', 3, 64)), row[0] == "without a send" && n != without.Sent:
			t.Errorf("%v, want %+v and %+v", row, all, without)
		}
	}
	if sent != all.Sent || len(rows) != len(r.Groups)+3 {
		t.Errorf("%d rows with %d sent, want %d", len(rows), sent, all.Sent)
	}

	var read struct {
		Groups []struct {
			Of   map[string]string
			Sent int64
		}
		Total   usage.Figures
		Without usage.Figures `json:"without_send"`
	}
	if err := json.Unmarshal([]byte(written(t, r, "json")), &read); err != nil {
		t.Fatal(err)
	}
	if read.Total != all || read.Without != without || len(read.Groups) != len(r.Groups) || len(read.Groups[0].Of) != 5 {
		t.Errorf("JSON has %+v", read)
	}

	text := written(t, r, "table")
	if header := strings.Fields(strings.Split(text, "\n")[1]); strings.Join(header, " ") != "client category country campaign day sent delivered read failed billable sandbox unknown fee" {
		t.Errorf("the header is %q", header)
	}
	for _, want := range []string{"until before 2026-11-01T00:00:00Z", "\ntotal ", "\nwithout a send ", "$" + rows[len(rows)-2][13]} {
		if !strings.Contains(text, want) {
			t.Errorf("the table has no %q", want)
		}
	}
	if page := written(t, r, "html"); strings.Count(page, "<svg ") != 5 || !strings.Contains(page, ">"+strconv.FormatInt(all.Sent, 10)+"<") {
		t.Errorf("the page: %.3000s", page)
	}
	if err := r.Write(io.Discard, "xml"); err == nil {
		t.Error("there is no such format")
	}
}

// hostile is a name that nobody can send with, and that somebody may have put into the table.
const hostile = `=HYPERLINK("http://evil")</title></svg><script>alert(1)</script>` + "\x1b[2J\x00\u202e"

func TestHostileNamesStayText(t *testing.T) {
	r := &usage.Report{Query: usage.Query{Stack: "demo", Table: "T", Since: october, Until: october.AddDate(0, 1, 0), By: []string{usage.Client, usage.Campaign}}}
	r.Groups = []usage.Group{{Values: []string{hostile, hostile}, Figures: usage.Figures{Sent: 3, Delivered: 2}}}
	page := written(t, r, "html")
	if strings.Contains(page, "<script") || strings.Contains(page, "</title></svg>") || strings.ContainsAny(page, "\x1b\x00\u202e") {
		t.Error(page)
	}
	if text := written(t, r, "table"); strings.ContainsAny(text, "\x1b\x00\u202e") {
		t.Errorf("%q", text)
	}
	rows, err := csv.NewReader(strings.NewReader(written(t, r, "csv"))).ReadAll()
	if err != nil || rows[1][1] != "'"+hostile {
		t.Errorf("%q, %v", rows, err)
	}
	if !json.Valid([]byte(written(t, r, "json"))) {
		t.Error("JSON is not valid")
	}
}

var address = regexp.MustCompile(`(?i)https?:|//[a-z]|url\(|@import|\bsrc=|\bhref=`)

// A page of any grouping is well-formed, loads nothing, and is complete with nothing in it.
func TestThePageIsWellFormedAndLoadsNothing(t *testing.T) {
	m := &month{n: 700, since: october}
	for _, by := range [][]string{nil, {usage.Day}, {usage.Country}, usage.All} {
		q := m.query()
		q.By = by
		empty := &usage.Report{Query: q}
		for _, page := range []string{written(t, read(t, m, q), "html"), written(t, empty, "html")} {
			if found := address.FindString(page); found != "" || !strings.Contains(page, `content="default-src 'none'; style-src 'unsafe-inline'"`) {
				t.Errorf("by %v: it loads %q", by, found)
			}
			svgs := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(page, -1)
			if len(svgs) != len(by) {
				t.Errorf("by %v: %d plots", by, len(svgs))
			}
			for _, svg := range svgs {
				if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil || !strings.Contains(svg, `role="img" aria-labelledby=`) || strings.ContainsAny(svg, "N") && strings.Contains(svg, "NaN") {
					t.Errorf("by %v: %v %s", by, err, svg)
				}
			}
		}
	}
}

func TestGroupings(t *testing.T) {
	for list, want := range map[string]string{"": "", "day": "day", " client, day,client": "client day"} {
		if by, err := usage.Grouping(list); err != nil || strings.Join(by, " ") != want {
			t.Errorf("%q: %v %v", list, by, err)
		}
	}
	if _, err := usage.Grouping("client,week"); err == nil {
		t.Error("there are no weeks")
	}
}

// Each message of a campaign of its own would be a group of its own in memory.
func TestTooManyGroupsAreRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("not with -short: it needs more than 50,000 groups")
	}
	q := (&month{since: october}).query()
	r := open(t, filepath.Join(t.TempDir(), "usage"), q)
	if err := r.Read(t.Context(), campaigns(60_000), func(int64) {}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Report(t.Context(), func(int64) {}); !errors.Is(err, usage.ErrGroups) {
		t.Error(err)
	}
	if err := r.Remove(); err != nil {
		t.Error(err)
	}
}

// campaigns has so many messages, each of a campaign of its own.
type campaigns int

func (c campaigns) ScanPage(_ context.Context, _ table.Selection, segment, segments int, _ *table.ScanPosition) (p table.Page, _ error) {
	for i := segment; i < int(c); i += segments {
		name := base32Of(fmt.Sprint(i), 26)
		p.Items = append(p.Items, table.Item{
			"pk": text("msg_" + name), "sk": text("send"), "kind": text("send"), "campaign": text(name), "timestamp": number(october.Unix()),
			"attempts": object(table.Item{"t": attempt("accepted", name, october)}),
		})
	}
	return p, nil
}
