package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

//go:embed report.html
var page string

// HTML writes the report as one file without anything outside it.
func HTML(r view.Report, lang Lang) ([]byte, error) {
	w := words(lang)
	t, err := template.New("report").Funcs(template.FuncMap{
		"t":         w.of,
		"lang":      func() string { return string(lang) },
		"when":      when,
		"size":      size,
		"took":      func(a view.ReportAttempt) string { return took(a) },
		"seconds":   seconds,
		"disk":      disk,
		"states":    func() []site.Phase { return slices.Sorted(maps.Keys(r.Counts)) },
		"networks":  func(n view.ReportNode) []string { return slices.Sorted(maps.Keys(n.Addresses)) },
		"join":      strings.Join,
		"lastTried": func(n view.ReportNode) *view.ReportAttempt { return newest(n) },
	}).Parse(page)
	if err != nil {
		return nil, fmt.Errorf("reading the template of the report: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	return b.Bytes(), nil
}

func newest(n view.ReportNode) *view.ReportAttempt {
	if len(n.Attempts) == 0 {
		return nil
	}
	return &n.Attempts[len(n.Attempts)-1]
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func took(a view.ReportAttempt) string {
	if a.Ended.IsZero() {
		return "–"
	}
	return a.Ended.Sub(a.Started).Round(time.Second).String()
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

// size counts memory and disks as their makers print them.
func size(n int64) string {
	switch {
	case n == 0:
		return "–"
	case n%(1<<30) == 0:
		return fmt.Sprintf("%d GiB", n>>30)
	default:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
}

func disk(d site.InventoryDisk) string {
	text := strings.TrimSpace(d.Model + " " + size(d.Size))
	if d.Count > 1 {
		text = fmt.Sprintf("%d × %s", d.Count, text)
	}
	for _, id := range []string{d.Serial, d.WWN} {
		if id != "" {
			text += ", " + id
		}
	}
	return text
}
