package usage

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Formats are what Write knows.
var Formats = []string{"table", "csv", "json"}

// Write writes a report in one of Formats.
func (r *Report) Write(w io.Writer, format string) error {
	switch format {
	case "csv":
		return r.csv(w)
	case "json":
		return r.json(w)
	case "table":
		_, err := io.WriteString(w, r.table())
		return err
	}
	return fmt.Errorf("%q is none of %s", format, strings.Join(Formats, ", "))
}

// Names of lines that are no group.
const (
	total       = "total"
	withoutSend = "without a send"
	unknown     = "-" // a value that is not known
)

// row is one line of a report.
type row struct {
	Values []string
	Counts []string
	Fee    string
}

func rowOf(values []string, f *Figures) row {
	r := row{Values: values, Fee: "$" + f.Fee()}
	for _, n := range f.values() {
		r.Counts = append(r.Counts, strconv.FormatInt(n, 10))
	}
	return r
}

// of are the columns of a line that is no group.
func (r *Report) of(name string) []string {
	values := make([]string, max(1, len(r.By)))
	values[0] = name
	return values
}

// shown is a value as people see it: a name may have been put into the table by anybody, and a
// control character would move a terminal's cursor.
func shown(value string) string {
	return cmp.Or(strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, value), unknown)
}

func (r *Report) rows() (all []row) {
	for i := range r.Groups {
		if len(r.By) == 0 {
			break // the total is the only one
		}
		var values []string
		for _, v := range r.Groups[i].Values {
			values = append(values, shown(v))
		}
		all = append(all, rowOf(values, &r.Groups[i].Figures))
	}
	return all
}

func (r *Report) totalRow() row { return rowOf(r.of(total), &r.Total) }

// withoutRow has no fee: this product did not send them.
func (r *Report) withoutRow() row {
	one := rowOf(r.of(withoutSend), &r.WithoutSend)
	one.Fee = ""
	return one
}

// header are the names of the columns.
func (r *Report) header() row {
	names := slices.Clone(r.By)
	if len(names) == 0 {
		names = []string{""}
	}
	return row{names, columns, "fee"}
}

func (r *Report) table() string {
	all := append(append([]row{r.header()}, r.rows()...), r.totalRow())
	if r.WithoutSend.Sent > 0 {
		all = append(all, r.withoutRow())
	}
	cells := func(one row) []string { return slices.Concat(one.Values, one.Counts, []string{one.Fee}) }
	var widths []int
	for _, one := range all {
		for i, c := range cells(one) {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n", r.Stack, r.Range())
	for _, one := range all {
		line := ""
		for i, c := range cells(one) {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i < len(one.Values) {
				line += c + pad + "  "
			} else {
				line += pad + c + "  "
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// Range says which time is counted.
func (r *Report) Range() string {
	return "from " + r.Since.UTC().Format(time.RFC3339) + " until before " + r.Until.UTC().Format(time.RFC3339)
}

func (r *Report) csv(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(slices.Concat([]string{"line"}, r.By, columns, []string{"gateway_fee_usd"})) // Flush says whether that failed
	line := func(name string, values []string, f *Figures, fee string) {
		cells := []string{name}
		for i, of := range r.By {
			value := ""
			if i < len(values) {
				value = values[i]
			}
			if of != Country && of != Day { // these are made here
				value = harmless(value)
			}
			cells = append(cells, value)
		}
		_ = out.Write(slices.Concat(cells, rowOf(nil, f).Counts, []string{fee}))
	}
	for i := range r.Groups {
		line("group", r.Groups[i].Values, &r.Groups[i].Figures, r.Groups[i].Figures.Fee())
	}
	line(total, nil, &r.Total, r.Total.Fee())
	line(withoutSend, nil, &r.WithoutSend, "")
	out.Flush()
	return out.Error()
}

// harmless is a value that no spreadsheet takes for a formula (OWASP: "CSV Injection").
func harmless(value string) string {
	if strings.ContainsAny(value[:min(1, len(value))], "=+-@\t\r\n") {
		return "'" + value
	}
	return value
}

// line is a line of the JSON.
type line struct {
	Of map[string]string `json:"of,omitempty"`
	Figures
	Fee string `json:"gateway_fee_usd,omitempty"`
}

func (r *Report) json(w io.Writer) error {
	groups := []line{}
	for i := range r.Groups {
		g := &r.Groups[i]
		one := line{Of: map[string]string{}, Figures: g.Figures, Fee: g.Figures.Fee()}
		for at, name := range r.By {
			one.Of[name] = g.Values[at]
		}
		groups = append(groups, one)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(struct {
		Query
		ReadAt  time.Time `json:"read_at"`
		Groups  []line    `json:"groups"`
		Total   line      `json:"total"`
		Without line      `json:"without_send"`
	}{r.Query, r.ReadAt, groups, line{Figures: r.Total, Fee: r.Total.Fee()}, line{Figures: r.WithoutSend}})
}
