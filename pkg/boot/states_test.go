package boot

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
)

var update = flag.Bool("update", false, "rewrite docs/states.md")

const statesPage = "../../docs/states.md"

// TestStatesPage keeps docs/states.md true: every cell of it is what the code
// answers.
func TestStatesPage(t *testing.T) {
	want := page(t)
	if *update {
		if err := os.WriteFile(statesPage, []byte(want), 0o644); err != nil { //nolint:gosec // a page of the documentation
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(statesPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/states.md is not what the code does: go test ./pkg/boot -update, and read the difference")
	}
}

func page(t *testing.T) string {
	var b strings.Builder
	b.WriteString(`# The life of an install

Every cell of this page is printed from the code (` + "`go test ./pkg/boot -update`" + `); a test keeps it true.
`)
	b.WriteString("\n## What a node would boot\n\n| the node is | it boots | because |\n| --- | --- | --- |\n")
	for _, c := range standings() {
		s := fold(t, site.NewState(), start(), append(planned(), c.events...)...)
		m, _ := s.Machine("n1")
		d := For(s, m, start())
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.name, d.Action, d.Why)
	}
	b.WriteString(`
A machine that the plan does not name gets nothing. An attempt is one arming used up; its number never repeats, and
reports with the token of an earlier attempt change nothing.

## The stages of an attempt

A stage that lasts longer than it may ends the attempt as failed. Once the daemon has started, or its laptop woke up,
deadlines are overlooked for ` + words(install.Grace) + `: machines could not report meanwhile. With power by BMC a machine has
` + words(install.Arrival) + ` to come for its boot script.

| stage | meaning | may last | old system | booting again meanwhile | failed here: next step |
| --- | --- | --- | --- | --- | --- |
`)
	for _, r := range install.Table() {
		s := at(t, r.Stage)
		m, _ := s.Machine("n1")
		old := "is there"
		switch {
		case r.Wiped:
			old = "is gone"
		case r.Stage == install.StageDone:
			old = "is the new one"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", r.Stage, r.Means, words(r.Within), old, For(s, m, start()).Action, r.Fix)
	}
	b.WriteString("\nThe installer is started at most three times in one attempt.\n\n## Stage × report → what follows\n\n")
	reports := []install.Stage{"answer", "early", "disk", "partitioned", "packages", "post", "done", "failed", "verified"}
	b.WriteString("| at | " + strings.Join(names(reports), " | ") + " |\n|" + strings.Repeat(" --- |", len(reports)+1) + "\n")
	for _, row := range append(install.Table(), install.Row{Stage: install.StageVerified}, install.Row{Stage: install.StageFailed}) {
		cells := []string{"`" + string(row.Stage) + "`"}
		for _, r := range reports {
			cells = append(cells, follows(t, row.Stage, r))
		}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	b.WriteString("\n· changes nothing: it repeats or precedes what is known. A report without an attempt that waits for it is refused.\n")
	return b.String()
}

func standings() []struct {
	name   string
	events []site.Body
} {
	armed := site.Armed{Node: "n1", By: "ops", Until: start().Add(time.Hour)}
	started := site.InstallStarted{Node: "n1", Attempt: 1, Token: "h", Image: "d1"}
	done := site.InstallDone{Node: "n1", Attempt: 1}
	progress := func(s install.Stage) site.Body {
		return site.InstallProgress{Node: "n1", Attempt: 1, Stage: string(s)}
	}
	again := site.InstallResumed{Node: "n1", Attempt: 1}
	failed := func(stage, why string, wiped bool) site.Body {
		return site.InstallFailed{Node: "n1", Attempt: 1, Stage: stage, Reason: why, Wiped: wiped}
	}
	return []struct {
		name   string
		events []site.Body
	}{
		{"`planned`", nil},
		{"`armed`", []site.Body{armed}},
		{"`booting`", []site.Body{armed, started}},
		{"`installing`", []site.Body{armed, started, progress(install.StagePackages)}},
		{"`installing`, back for the fourth time", []site.Body{armed, started, progress(install.StagePackages), again, again}},
		{"`installing`, at its last stage", []site.Body{armed, started, progress(install.StagePost)}},
		{"`installed`", []site.Body{armed, started, done}},
		{"`ready`", []site.Body{armed, started, done, site.NodeVerified{Node: "n1", Attempt: 1}}},
		{"`failed` before its disk was touched", []site.Body{armed, started, failed("disk", "2 disks match", false)}},
		{"`failed` with its disk wiped", []site.Body{armed, started, failed("packages", "a package does not install", true)}},
		{"`failed` because its first boot never reported", []site.Body{armed, started, done, failed("done", "no first boot", false)}},
		{"`held`", []site.Body{site.NodeHeld{Node: "n1", Reason: "was a board exchanged?"}}},
	}
}

// at is a node that has come to a stage.
func at(t *testing.T, stage install.Stage) *site.State {
	bodies := append(planned(), site.Armed{Node: "n1", By: "ops", Until: start().Add(time.Hour)}, site.InstallStarted{Node: "n1", Attempt: 1, Token: "h", Image: "d1"})
	switch stage {
	case install.StageLoader:
	case install.StageDone:
		bodies = append(bodies, site.InstallDone{Node: "n1", Attempt: 1})
	case install.StageVerified:
		bodies = append(bodies, site.InstallDone{Node: "n1", Attempt: 1}, site.NodeVerified{Node: "n1", Attempt: 1})
	case install.StageFailed:
		bodies = append(bodies, site.InstallFailed{Node: "n1", Attempt: 1, Stage: "packages", Reason: "r", Wiped: true})
	default:
		bodies = append(bodies, site.InstallProgress{Node: "n1", Attempt: 1, Stage: string(stage)})
	}
	return fold(t, site.NewState(), start(), bodies...)
}

// follows is the phase and stage after a report.
func follows(t *testing.T, stage, report install.Stage) string {
	s := at(t, stage)
	m, _ := s.Machine("n1")
	bodies, err := install.RealTime.Next(m, install.Report{Stage: report, Detail: "r"}, start())
	if err != nil {
		return "refused"
	}
	if len(bodies) == 0 {
		return "·"
	}
	s = fold(t, s, start(), bodies...)
	m, _ = s.Machine("n1")
	if m.Phase == site.PhaseInstalling {
		return m.Attempt.Stage
	}
	return string(m.Phase)
}

func names(stages []install.Stage) []string {
	var out []string
	for _, s := range stages {
		out = append(out, "`"+string(s)+"`")
	}
	return out
}

func words(d time.Duration) string { return fmt.Sprintf("%d minutes", int(d/time.Minute)) }
