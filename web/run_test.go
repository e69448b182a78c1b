package web

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTimeLeft: the time that is left follows from the machines that are done.
func TestTimeLeft(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("needs node: apt install nodejs")
	}
	const script = `
import {latestRun} from './assets/js/lib/run.js';
const at = (s) => new Date(Date.UTC(2026, 10, 22, 2, 0, s)).toISOString();
const done = (name, from, to, state = 'ready') => ({name, state, since: at(to), started: at(from), ended: at(to)});
const busy = (name, from) => ({name, state: 'installing', since: at(from), started: at(from)});
const armed = (name) => ({name, state: 'armed', since: at(0)});
const job = (ended) => ({id: 'j', targets: new Set(['a', 'b', 'c']), queued: at(0), ended: ended && at(ended)});
const now = Date.parse(at(200));
const say = (machines, job) => {
  const r = latestRun(machines, now, job);
  return r ? [r.total, r.ready, r.failed, r.active, r.waiting, r.left === undefined ? -1 : r.left / 1000, r.over] : [];
};
console.log(JSON.stringify({
  'nothing was installed': say([{name: 'a', state: 'planned', since: at(0)}]),
  'nobody is done': say([busy('a', 100), armed('b')]),
  'one is done in 60 s, one works for 20 s': say([done('a', 0, 60), busy('b', 180)]),
  'armed machines work at once': say([done('a', 0, 60), armed('b'), armed('c')]),
  'late ones are due': say([done('a', 0, 60), busy('b', 100)]),
  'a job has two rounds to go': say([done('a', 10, 70), {name: 'b', state: 'planned', since: at(0)}, {name: 'c', state: 'planned', since: at(0)}], job()),
  'what was installed before the job waits again': say([{...done('a', 10, 70), started: '2026-11-21T00:00:00Z', ended: '2026-11-21T00:01:00Z'}, busy('b', 100), armed('c')], job()),
  'a job has ended': say([done('a', 10, 70), done('b', 10, 80, 'failed'), {name: 'c', state: 'planned', since: at(0)}], job(90)),
  'yesterday is another run': say([{...done('a', 0, 60), started: '2026-11-21T00:00:00Z', ended: '2026-11-21T00:01:00Z'}, done('b', 10, 80)]),
}));
`
	c := exec.CommandContext(t.Context(), "node", "--input-type=module", "-")
	c.Stdin = strings.NewReader(script)
	out, err := c.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	var got map[string][]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := map[string][]any{ // total, ready, failed, active, waiting, seconds left or -1, over
		"nothing was installed":                         {},
		"nobody is done":                                {2.0, 0.0, 0.0, 1.0, 1.0, -1.0, false},
		"one is done in 60 s, one works for 20 s":       {2.0, 1.0, 0.0, 1.0, 0.0, 40.0, false},
		"armed machines work at once":                   {3.0, 1.0, 0.0, 0.0, 2.0, 60.0, false},
		"late ones are due":                             {2.0, 1.0, 0.0, 1.0, 0.0, 0.0, false},
		"a job has two rounds to go":                    {3.0, 1.0, 0.0, 0.0, 2.0, 120.0, false},
		"what was installed before the job waits again": {3.0, 0.0, 0.0, 1.0, 2.0, -1.0, false},
		"a job has ended":                               {3.0, 1.0, 1.0, 0.0, 0.0, -1.0, true},
		"yesterday is another run":                      {1.0, 1.0, 0.0, 0.0, 0.0, -1.0, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
