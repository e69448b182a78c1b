package web

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// arranged runs a script of the page's pure modules.
func arranged(t *testing.T, script string) map[string]string {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs node: apt install nodejs")
	}
	c := exec.CommandContext(t.Context(), "node", "--input-type=module", "-")
	c.Stdin = strings.NewReader(script)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	got := map[string]string{}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return got
}

// TestRacks: where a machine stands is what the plan says, from the top down;
// what has no place is in a grid, what nobody planned apart.
func TestRacks(t *testing.T) {
	got := arranged(t, `
import {arrange, rows} from './assets/js/views/racks.js';
const m = (name, rack, u, state = 'planned') => ({name, rack, u, state});
const say = (machines, names) => arrange(machines, names && new Set(names)).map((r) => r.id + ': ' + r.machines.map((x) => x.name).join(' ')).join('; ');
const elevation = (machines) => rows(arrange(machines)[0]).map((r) => r.machine ? r.machine.name : '').slice(-6).join(',');
console.log(JSON.stringify({
  'from the top down': say([m('a', 'A01', 1), m('b', 'A01', 20), m('c', 'A01', 3)]),
  'racks by number': say([m('a', 'A10', 1), m('b', 'A2', 1)]),
  'without a rack, and strangers': say([m('n10'), m('n2'), m('52:54:00:00:00:01', undefined, undefined, 'seen'), m('a', 'A01', 1)]),
  'a filter leaves whole racks': say([m('a', 'A01', 1), m('b', 'A01', 2), m('c', 'A02', 1), m('d')], ['b']),
  'empty units': elevation([m('a', 'A01', 1), m('c', 'A01', 4)]),
  'two machines in one unit': elevation([m('a', 'A01', 2), m('b', 'A01', 2), m('c', 'A01', 1)]),
}));
`)
	want := map[string]string{
		"from the top down":             "rack A01: b c a",
		"racks by number":               "rack A2: b; rack A10: a",
		"without a rack, and strangers": "rack A01: a; grid 0: n2 n10; strangers 0: 52:54:00:00:00:01",
		"a filter leaves whole racks":   "rack A01: b a",
		"empty units":                   ",,c,,,a",
		"two machines in one unit":      ",,,a,b,c",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCauses: failures are one group where only names, numbers and addresses
// differ, with the next step apart from what happened.
func TestCauses(t *testing.T) {
	got := arranged(t, `
import {causes} from './assets/js/lib/causes.js';
const m = (name, state, reason, more) => ({name, state, reason, stage: 'disk', ...more});
const say = (machines) => causes(machines).map((g) => g.machines.map((x) => x.name).join('+') + ' [' + g.stage + '] ' + g.reason + ' > ' + g.fix).join(' | ');
console.log(JSON.stringify({
  'numbers and names differ': say([m('n1', 'failed', 'n1: 2 disks match', {fix: 'name one'}), m('n2', 'failed', 'n2: 3 disks match', {fix: 'name one'})]),
  'addresses differ': say([m('n1', 'held', 'seen at 52:54:00:00:00:01', {fix: 'look'}), m('n2', 'held', 'seen at 52:54:00:00:00:02', {fix: 'look'})]),
  'causes differ, the larger first': say([m('n1', 'failed', 'no disk', {fix: 'x'}), m('n2', 'failed', 'no package', {fix: 'y'}), m('n3', 'failed', 'no package', {fix: 'y'})]),
  'the step is in the reason': say([m('n1', 'failed', 'no disk fits; correct the plan')]),
  'deviations': say([m('n1', 'installed', undefined, {deviations: ['ksm is on']})]),
  'nothing failed': say([m('n1', 'ready')]),
}));
`)
	want := map[string]string{
		"numbers and names differ":        "n1+n2 [disk] n1: 2 disks match > name one",
		"addresses differ":                "n1+n2 [] seen at 52:54:00:00:00:01 > look",
		"causes differ, the larger first": "n2+n3 [disk] no package > y | n1 [disk] no disk > x",
		"the step is in the reason":       "n1 [disk] no disk fits > correct the plan",
		"deviations":                      "n1 [] ksm is on > ",
		"nothing failed":                  "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
