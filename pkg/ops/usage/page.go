package usage

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("usage").Parse(pageText))

const (
	// mostBars bounds the bars of a plot; the rest is one bar.
	mostBars = 12
	// mostRows bounds the rows of the page's table, so that browsers can show it.
	mostRows = 2_000
	// mostDays bounds the days without a message that a plot has columns for.
	mostDays = 400
	// Sizes of plots, in their own units.
	plotWidth, plotHeight, barHeight, labelWidth, numberWidth = 720, 180, 22, 170, 150
	// edge is half of a date.
	edge = 36
)

// page is what the template shows.
type page struct {
	*Report
	Header  row
	Rows    []row
	Left    int // rows that are not shown
	Sum     row
	Without *row
	Cards   []card
	Plots   []plot
}

type card struct{ Name, Number, Share string }

// plot is one drawing. Its numbers are in its bars' titles, and in the table below.
type plot struct {
	ID            string
	Title, About  string
	Width, Height int
	Bars          []bar
	Marks         []mark
}

// bar is a group of rectangles over each other: what was read is part of what was delivered, and
// that part of what was sent.
type bar struct {
	Title string
	Rects []rect
}

type rect struct {
	Class      string
	X, Y, W, H string
}

// mark is a text in a plot.
type mark struct {
	X, Y   int
	Anchor string
	Text   string
}

// Page writes a report as one page that loads nothing.
func (r *Report) Page(w io.Writer) error {
	p := page{Report: r, Header: r.header(), Rows: r.rows(), Sum: r.totalRow()}
	if len(p.Rows) > mostRows {
		p.Rows, p.Left = p.Rows[:mostRows], len(p.Rows)-mostRows
	}
	if r.WithoutSend.Sent > 0 {
		one := r.withoutRow()
		p.Without = &one
	}
	for i, name := range columns {
		n := r.Total.values()[i]
		p.Cards = append(p.Cards, card{name, strconv.FormatInt(n, 10), share(n, r.Total.Sent, name)})
	}
	for i, name := range r.By {
		of := r.sums(i)
		if name == Day {
			p.Plots = append(p.Plots, days(of))
		} else {
			p.Plots = append(p.Plots, bars(name, of))
		}
	}
	return pageTemplate.Execute(w, p)
}

func share(n, of int64, name string) string {
	if of == 0 || name == "sent" || name == "unknown" {
		return ""
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// sums adds the groups that have the same value of one column.
func (r *Report) sums(column int) (all []Group) {
	at := map[string]int{}
	for i := range r.Groups {
		g := &r.Groups[i]
		v := g.Values[column]
		if _, there := at[v]; !there {
			at[v] = len(all)
			all = append(all, Group{Values: []string{v}})
		}
		all[at[v]].Figures.add(&g.Figures)
	}
	slices.SortFunc(all, func(a, b Group) int { return cmp.Compare(a.Values[0], b.Values[0]) })
	return all
}

func says(name string, f *Figures) string {
	return fmt.Sprintf("%s: %d sent, %d delivered, %d read, %d failed", name, f.Sent, f.Delivered, f.Read, f.Failed)
}

// bars has a bar for each of the largest groups.
func bars(name string, all []Group) plot {
	slices.SortStableFunc(all, func(a, b Group) int { return cmp.Compare(b.Figures.Sent, a.Figures.Sent) })
	if len(all) > mostBars {
		rest := Group{Values: []string{fmt.Sprintf("%d others", len(all)-mostBars+1)}}
		for _, g := range all[mostBars-1:] {
			rest.Figures.add(&g.Figures)
		}
		all = append(all[:mostBars-1:mostBars-1], rest)
	}
	p := plot{ID: name, Title: "By " + name, About: "A bar for each " + name + ", the most messages first.", Width: plotWidth, Height: len(all)*barHeight + 4}
	most := most(all)
	for i, g := range all {
		y, label := i*barHeight+2, shown(g.Values[0])
		b := bar{Title: says(label, &g.Figures)}
		for _, part := range parts(&g.Figures) {
			h := barHeight - 6
			if part.class == "failed" {
				h = 4
			}
			b.Rects = append(b.Rects, rect{part.class, strconv.Itoa(labelWidth), strconv.Itoa(y + barHeight - 6 - h), number(float64(part.n) / most * (plotWidth - labelWidth - numberWidth)), strconv.Itoa(h)})
		}
		p.Bars = append(p.Bars, b)
		p.Marks = append(p.Marks, mark{labelWidth - 8, y + 13, "end", cut(label)},
			mark{plotWidth, y + 13, "end", fmt.Sprintf("%d  ($%s)", g.Figures.Sent, g.Figures.Fee())})
	}
	return p
}

// days has a column for each day between the first and the last.
func days(of []Group) plot {
	of = everyDay(of)
	p := plot{ID: Day, Title: "By day", About: "A column for each day, in UTC.", Width: plotWidth, Height: plotHeight + 24}
	if len(of) == 0 {
		return p
	}
	most, wide := most(of), float64(plotWidth)/float64(len(of))
	for i, g := range of {
		b := bar{Title: says(g.Values[0], &g.Figures)}
		for _, part := range parts(&g.Figures) {
			x, w, h := float64(i)*wide+wide*.1, wide*.8, float64(part.n)/most*(plotHeight-20)
			if part.class == "failed" {
				w = wide * .25
			}
			b.Rects = append(b.Rects, rect{part.class, number(x), number(plotHeight - h), number(w), number(h)})
		}
		p.Bars = append(p.Bars, b)
	}
	every := len(of)/7 + 1
	for i := 0; i < len(of); i += every {
		m := mark{int((float64(i) + .5) * wide), plotHeight + 18, "middle", of[i].Values[0]}
		switch {
		case m.X < edge:
			m.X, m.Anchor = 0, "start"
		case m.X > plotWidth-edge:
			m.X, m.Anchor = plotWidth, "end"
		}
		p.Marks = append(p.Marks, m)
	}
	p.Marks = append(p.Marks, mark{0, 12, "start", fmt.Sprintf("most: %d a day", int64(most))})
	return p
}

// everyDay adds the days on which nothing was sent, where they are not too many.
func everyDay(of []Group) []Group {
	if len(of) == 0 {
		return nil
	}
	begin, err := time.Parse(time.DateOnly, of[0].Values[0])
	end, err2 := time.Parse(time.DateOnly, of[len(of)-1].Values[0])
	if err != nil || err2 != nil || end.Sub(begin) > mostDays*24*time.Hour {
		return of
	}
	var all []Group
	for at, i := begin, 0; !at.After(end); at = at.AddDate(0, 0, 1) {
		g := Group{Values: []string{at.Format(time.DateOnly)}}
		if of[i].Values[0] == g.Values[0] {
			g, i = of[i], i+1
		}
		all = append(all, g)
	}
	return all
}

type part struct {
	class string
	n     int64
}

func parts(f *Figures) []part {
	return []part{{"sent", f.Sent}, {"delivered", f.Delivered}, {"read", f.Read}, {"failed", f.Failed}}
}

func most(all []Group) float64 {
	n := int64(1)
	for _, g := range all {
		n = max(n, g.Figures.Sent)
	}
	return float64(n)
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) }

// cut shortens a label to what fits beside a bar.
func cut(label string) string {
	const longest = 22
	if r := []rune(label); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return label
}
