package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// measure is one row: the same load on every server.
type measure struct {
	name    string
	unit    string
	against string  // the peer of the ratio
	goal    float64 // wanted ratio of ours to the peer's; 0 = none
	limit   float64 // wanted value of ours at most; 0 = none
	less    bool    // less is better: the ratio must not be above the goal
	zero    bool    // ours must be zero
	values  map[string][]float64
}

func (m *measure) add(server string, v float64) {
	if m.values == nil {
		m.values = map[string][]float64{}
	}
	m.values[server] = append(m.values[server], v)
}

// count sums up in place of taking the median.
func (m *measure) count(server string, v float64) {
	before, _ := m.value(server)
	if m.values == nil {
		m.values = map[string][]float64{}
	}
	m.values[server] = []float64{before + v}
}

// value is the median of all rounds.
func (m *measure) value(server string) (float64, bool) {
	v := slices.Clone(m.values[server])
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2, true
	}
	return v[len(v)/2], true
}

// verdict is the ratio, the goal and whether it was met.
func (m *measure) verdict() (ratio, goal string, met bool) {
	own, ok := m.value(ours)
	if !ok {
		return "", m.goalText(), true
	}
	met = true
	peer, ok := m.value(m.against)
	if m.goal != 0 && !ok {
		return "", m.goalText(), true
	}
	if ok && peer != 0 {
		r := own / peer
		ratio = fmt.Sprintf("%.2f× %s", r, m.against)
		if m.goal != 0 {
			met = r >= m.goal && !m.less || r <= m.goal && m.less
		}
	}
	if m.limit != 0 {
		met = met && own <= m.limit
	}
	if m.zero {
		met = met && own == 0
	}
	if goal = m.goalText(); goal == "" {
		return ratio, "", true
	}
	return ratio, goal + map[bool]string{true: " ✓", false: " ✗"}[met], met
}

func (m *measure) goalText() string {
	switch {
	case m.goal != 0 && m.less:
		return fmt.Sprintf("≤ %.2g×", m.goal)
	case m.goal != 0:
		return fmt.Sprintf("≥ %.2g×", m.goal)
	case m.limit != 0:
		return "≤ " + figure(m.limit)
	case m.zero:
		return "0"
	}
	return ""
}

// figure keeps three digits.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a == 0:
		return "0"
	}
	return fmt.Sprintf("%.2f", v)
}

// print writes the measures as Markdown and notes whether all goals were met.
func (b *bench) print(title string, servers []server, measures []*measure) {
	writeTable(b.out, title, servers, measures)
	for _, m := range measures {
		_, _, met := m.verdict()
		b.met = b.met && met
	}
}

func writeTable(w io.Writer, title string, servers []server, measures []*measure) {
	fmt.Fprintf(w, "\n## %s\n| |", title)
	for _, s := range servers {
		fmt.Fprintf(w, " %s |", s.name)
	}
	fmt.Fprintf(w, " ratio | goal |\n| --- |%s --- | --- |\n", strings.Repeat(" ---: |", len(servers)))
	for _, m := range measures {
		fmt.Fprintf(w, "| %s, %s |", m.name, m.unit)
		for _, s := range servers {
			if v, ok := m.value(s.name); ok {
				fmt.Fprintf(w, " %s |", figure(v))
			} else {
				fmt.Fprint(w, " – |")
			}
		}
		ratio, goal, _ := m.verdict()
		fmt.Fprintf(w, " %s | %s |\n", ratio, goal)
	}
}
