package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// TestPageFoldsLikeTheDaemon folds random logs by pkg/site and by the page's
// own fold, and compares what a machine looks like.
func TestPageFoldsLikeTheDaemon(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs node: apt install nodejs")
	}
	var logs []history
	for seed := range uint64(30) {
		logs = append(logs, randomLog(t, rand.New(rand.NewPCG(seed, 7)), 150))
	}
	for i, folded := range foldByPage(t, logs) {
		if diff := cmp.Diff(logs[i].After, folded); diff != "" {
			t.Fatalf("log of seed %d (-daemon +page):\n%s", i, diff)
		}
	}
}

// history is a list of machines, what happened to them, and the list after it.
type history struct {
	Before []map[string]any `json:"before"`
	Events []site.Event     `json:"events"`
	After  []map[string]any `json:"-"`
}

const foldScript = `
import {fold} from './assets/js/lib/fold.js';
let text = '';
for await (const part of process.stdin) text += part;
const after = JSON.parse(text).map(({before, events}) => {
  const machines = new Map(before.map((m) => [m.name, m]));
  for (const e of events) fold(machines, e, () => {});
  return [...machines.values()];
});
console.log(JSON.stringify(after));
`

func foldByPage(t *testing.T, logs []history) [][]map[string]any {
	t.Helper()
	input, err := json.Marshal(logs)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"fold.mjs": foldScript, "package.json": `{"type": "module"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "assets"), os.DirFS("assets")); err != nil {
		t.Fatal(err)
	}
	in, err := os.CreateTemp(dir, "logs")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Write(input); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "node", "fold.mjs")
	c.Dir, c.Stdin = dir, in
	out, err := c.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	var all [][]map[string]any
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i] = byName(all[i])
	}
	return all
}

// randomLog plans some machines, takes the list, and lets n things happen that
// can happen.
func randomLog(t *testing.T, r *rand.Rand, n int) history {
	t.Helper()
	s, at := site.NewState(), time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	apply := func(b site.Body) site.Event {
		at = at.Add(time.Duration(1+r.IntN(5000)) * time.Millisecond)
		e := site.Event{Seq: s.Seq + 1, At: at, Body: b}
		if err := s.Apply(e); err != nil {
			t.Fatalf("%+v: %v", b, err)
		}
		return e
	}
	for i := range 6 {
		apply(site.NodePlanned{Node: randomNode(r, i)})
	}
	h := history{Before: listOf(t, s, at)}
	for range n {
		h.Events = append(h.Events, apply(randomChange(r, s, at)))
	}
	h.After = byName(listOf(t, s, at))
	return h
}

func randomNode(r *rand.Rand, i int) site.Node {
	n := site.Node{Name: fmt.Sprintf("n%d", i), Role: "base", Rack: []string{"", "A01", "A02"}[r.IntN(3)], U: r.IntN(4), MACs: []site.MAC{{2, 0, 0, 0, 0, byte(i)}}}
	if r.IntN(2) == 0 {
		n.Serial = fmt.Sprint("S", i)
	}
	return n
}

func randomChange(r *rand.Rand, s *site.State, now time.Time) site.Body {
	switch r.IntN(12) {
	case 0:
		return site.NodePlanned{Node: randomNode(r, r.IntN(8))}
	case 1:
		return site.StrangerSeen{MAC: site.MAC{2, 0, 0, 0, 1, byte(r.IntN(4))}, Arch: []string{"", "UEFI x64"}[r.IntN(2)]}
	case 2:
		return site.ImageAdded{Image: site.Image{Name: "i"}}
	}
	all := s.Machines()
	m := all[r.IntN(len(all))]
	name, attempt, deadline := m.Node.Name, m.Attempt.Number, now.Add(time.Hour)
	if !m.Speaks() {
		switch {
		case m.Phase == site.PhaseArmed && r.IntN(4) > 0:
			return site.InstallStarted{Node: name, Attempt: attempt + 1, Token: fmt.Sprint(name, attempt+1), Deadline: deadline}
		case r.IntN(20) == 0 && len(all) > 2:
			return site.NodeUnplanned{Name: name}
		case r.IntN(6) == 0:
			return site.NodeHeld{Node: name, Reason: "two machines claim it"}
		case r.IntN(4) == 0:
			return site.Disarmed{Node: name, By: "ops"}
		default:
			return site.Armed{Node: name, By: "ops", Until: deadline}
		}
	}
	switch r.IntN(9) {
	case 0:
		return site.InstallFailed{Node: name, Attempt: attempt, Stage: "packages", Reason: "no space"}
	case 1:
		return site.InstallDone{Node: name, Attempt: attempt, Deadline: deadline}
	case 2:
		return site.NodeVerified{Node: name, Attempt: attempt}
	case 3:
		return site.NodeVerified{Node: name, Attempt: attempt, Deviations: []string{"vm.swappiness is 60"}}
	case 4:
		return site.EvidenceStored{Node: name, Attempt: attempt, File: fmt.Sprint("log", r.Int()), SHA256: "ab", Size: 7}
	case 5:
		return site.InstallResumed{Node: name, Attempt: attempt, Deadline: deadline}
	case 6:
		return site.Armed{Node: name, By: "ops", Until: deadline}
	default:
		row := install.Table()[r.IntN(len(install.Table()))]
		return site.InstallProgress{Node: name, Attempt: attempt, Stage: string(row.Stage), Detail: []string{"", "sda"}[r.IntN(2)], Deadline: deadline}
	}
}

func listOf(t *testing.T, s *site.State, now time.Time) []map[string]any {
	t.Helper()
	data, err := json.Marshal(view.Nodes(s, s.Machines(), true, now))
	var list []map[string]any
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// byName sorts machines by name, and leaves out what the page asks the
// daemon for: the decision, the next step, and what follows from the settings.
func byName(list []map[string]any) []map[string]any {
	named := map[string]map[string]any{}
	for _, m := range list {
		for _, key := range []string{"next", "why", "fix", "image"} {
			delete(m, key)
		}
		named[m["name"].(string)] = m
	}
	sorted := make([]map[string]any, 0, len(list))
	for _, name := range slices.Sorted(maps.Keys(named)) {
		sorted = append(sorted, named[name])
	}
	return sorted
}
