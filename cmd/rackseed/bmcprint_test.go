package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/view"
)

// TestTablesOfJobs: what is in doubt is in the table, too.
func TestTablesOfJobs(t *testing.T) {
	data := func(v any) json.RawMessage {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	done := func(name string, v any) view.JobResult {
		return view.JobResult{Target: name, OK: true, Phase: "done", Data: data(v), Message: "done"}
	}
	for _, tt := range []struct {
		name string
		job  view.Job
		want string
	}{
		{
			"boot devices", view.Job{Verb: "bootdev", Args: []string{"get"}, Results: []view.JobResult{
				done("n1", bmc.Boot{Device: bmc.DevicePXE, Note: "the BMC shows the device and no flags"}),
				done("n2", bmc.Boot{Device: bmc.DeviceDisk, Persistent: true, Mode: bmc.ModeUEFI}),
				{Target: "n3", Phase: "failed", Message: "no", Fix: "look"},
			}},
			`NAME  DEVICE  LASTS       MODE  NOTE
n1    pxe     once        -     the BMC shows the device and no flags
n2    disk    persistent  uefi  -
n3    -       -           -     failed: no: look
`,
		},
		{
			"power", view.Job{Verb: "power", Args: []string{"reset"}, Results: []view.JobResult{
				done("n1", batch.PowerData{Power: bmc.PowerOn, Note: "reset accepted, not proved"}),
				{Target: "n2", OK: true, Data: data(batch.PowerData{Power: bmc.PowerOn}), Attempts: 2},
			}},
			`NAME  POWER  NOTE
n1    on     reset accepted, not proved
n2    on     after 2 tries
`,
		},
		{
			"from the log, without data", view.Job{Verb: "media", Args: []string{"insert", "rocky9"}, Results: []view.JobResult{
				{Target: "n1", OK: true, Phase: "done", Message: "inserted http://192.0.2.1/x.iso"},
			}},
			`NAME  MEDIUM  NOTE
n1    -       inserted http://192.0.2.1/x.iso
`,
		},
		{
			"media", view.Job{Verb: "media", Args: []string{"insert", "rocky9"}, Results: []view.JobResult{
				done("n1", batch.MediaData{Media: bmc.Media{Inserted: true, URL: "http://192.0.2.1/x.iso"}, Note: "nobody has come for it yet"}),
			}},
			`NAME  MEDIUM                  NOTE
n1    http://192.0.2.1/x.iso  nobody has come for it yet
`,
		},
		{
			"settings of many", view.Job{Verb: "bios", Args: []string{"diff"}, Results: []view.JobResult{
				done("n1", []batch.Setting{{Name: "BootMode", Concept: "boot_mode", Want: "Uefi", Current: "Uefi"}}),
				{Target: "n2", Phase: "failed", Message: "not as wanted", Data: data([]batch.Setting{
					{Name: "BootMode", Concept: "boot_mode", Want: "Uefi", Current: "Uefi"},
					{Name: "Retries", Want: 3.0, Current: 1.0, Pending: 2.0},
					{Name: "Quiet", Want: true, Current: false, Pending: true},
					{Concept: "sriov", Want: "on", Unknown: "no recipe knows"},
				})},
				{Target: "n3", Phase: "failed", Message: "it does not answer", Fix: "look"},
			}},
			`NAME  CONCEPT  ATTRIBUTE  WANTED  NOW    AFTER A RESET  NOTE
n1    -        -          -       -      -              done
n2    -        Retries    3       1      2              not as wanted
n2    -        Quiet      true    false  true           takes effect at the next reset
n2    sriov    -          on      -      -              no recipe knows
n3    -        -          -       -      -              failed: it does not answer: look
`,
		},
		{
			"settings of one", view.Job{Verb: "bios", Args: []string{"diff"}, Results: []view.JobResult{
				done("n1", []batch.Setting{{Name: "BootMode", Concept: "boot_mode", Want: "Uefi", Current: "Uefi"}}),
			}},
			`NAME  CONCEPT    ATTRIBUTE  WANTED  NOW   AFTER A RESET  NOTE
n1    boot_mode  BootMode   Uefi    Uefi  -              -
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			if err := printJob(&out, tt.job); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
