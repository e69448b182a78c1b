package batch

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// firmware is a machine of a make that a recipe knows, and its BMC.
type firmware struct {
	bmc.Driver
	maker string
	post  time.Duration // until pending settings are in effect
	deaf  bool          // takes them up never

	power    bmc.PowerState
	settings bmc.FirmwareSettings
	started  time.Time
	log      []string
}

func (f *firmware) Known() bmc.Known                              { return bmc.Known{Protocol: bmc.Redfish, Manufacturer: f.maker} }
func (f *firmware) Power(context.Context) (bmc.PowerState, error) { return f.power, nil }
func (f *firmware) Close(context.Context) error                   { return nil }

func (f *firmware) SetPower(_ context.Context, a bmc.PowerAction) error {
	f.log = append(f.log, string(a))
	f.power, f.started = bmc.PowerOn, time.Now()
	if a == bmc.ActionOff {
		f.power = bmc.PowerOff
	}
	return nil
}

func (f *firmware) Firmware(context.Context) (bmc.FirmwareSettings, error) {
	if !f.started.IsZero() && f.power == bmc.PowerOn && time.Since(f.started) >= f.post && !f.deaf {
		maps.Copy(f.settings.Current, f.settings.Pending)
		f.settings.Pending = nil
	}
	return f.settings, nil
}

func (f *firmware) SetFirmware(_ context.Context, want map[string]any) error {
	for name, value := range want {
		f.log = append(f.log, fmt.Sprint(name, "=", value))
	}
	f.settings.Pending = want
	return nil
}

func TestSettingsOfARole(t *testing.T) {
	dell := func() firmware {
		return firmware{maker: "Dell Inc.", power: bmc.PowerOn, post: 3 * time.Minute, settings: bmc.FirmwareSettings{Current: map[string]any{"ProcVirtualization": "Disabled", "BootMode": "Uefi"}}}
	}
	role := map[string]string{"virtualization": "on", "boot_mode": "uefi", "sriov": "on"}
	const unknown = "no recipe knows what Dell Inc. calls sriov: set its attribute by name"
	for _, tt := range []struct {
		name   string
		task   Task
		role   map[string]string
		change func(*firmware)
		past   []bmc.PowerAction
		result string
		log    string
	}{
		{name: "diff", task: BIOSDiff(nil), role: role, result: "failed: not as wanted: ProcVirtualization is Disabled, wanted Enabled; " + unknown},
		{name: "nothing is wanted", task: BIOSDiff(nil), role: map[string]string{}, result: "done: its role wants no firmware settings"},
		{name: "nothing is known to be wanted", task: BIOSDiff(nil), result: "failed: nothing says which firmware settings are wanted: give NAME=VALUE, or the profile of a role with --profile"},
		{
			name: "a make that nobody knows", task: BIOSSet(nil, true), role: map[string]string{"sriov": "on"}, change: func(f *firmware) { f.maker = "Contoso" },
			result: "done: nothing could be compared; no recipe knows what Contoso calls sriov: set its attribute by name",
		},
		{name: "set", task: BIOSSet(nil, false), role: role, result: "done: 1 set; 1 take effect at the next reset; " + unknown, log: "ProcVirtualization=Enabled"},
		{name: "set and reset", task: BIOSSet(nil, true), role: role, result: "done: in effect after a reset; " + unknown, log: "ProcVirtualization=Enabled off on"},
		{
			name: "all is as wanted: no reset", task: BIOSSet(nil, true), role: role, change: func(f *firmware) { f.settings.Current["ProcVirtualization"] = "Enabled" },
			result: "done: as wanted already; " + unknown,
		},
		{
			name: "what waited before takes effect, too", task: BIOSSet(nil, true), role: role, change: func(f *firmware) { f.settings.Pending = map[string]any{"ProcVirtualization": "Enabled"} },
			result: "done: in effect after a reset; " + unknown, log: "off on",
		},
		{
			name: "it never takes effect", task: BIOSSet(nil, true), role: role, change: func(f *firmware) { f.deaf = true },
			result: "failed: 15m0s after the reset they are still not in effect: look at the console: the BMC accepted the setting and did not keep it", log: "ProcVirtualization=Enabled off on",
		},
		{
			name: "an interrupted job resets no second time", task: BIOSSet(nil, true), role: role, past: []bmc.PowerAction{bmc.ActionOff, bmc.ActionOn},
			change: func(f *firmware) {
				f.settings.Pending, f.started = map[string]any{"ProcVirtualization": "Enabled"}, time.Now()
			},
			result: "done: in effect after a reset; " + unknown,
		},
		{
			name: "given by name, the rest is set and the machine fails", task: BIOSSet(map[string]string{"virtualization": "on", "sriov": "on"}, false),
			result: "failed: " + unknown, log: "ProcVirtualization=Enabled",
		},
		{name: "a vendor's name that is none", task: BIOSSet(map[string]string{"virtualization": "on", "Nonesuch": "1"}, false), result: "failed: there is no setting Nonesuch: `rackseed bios get` lists what there is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := dell()
				if tt.change != nil {
					tt.change(&f)
				}
				o := Options{Dial: func(context.Context, bmc.Target) (bmc.Driver, error) { return &f, nil }, Past: map[string]Past{"n1": {Issued: tt.past}}}
				if tt.role != nil {
					o.Around.BIOS = func(string) (map[string]string, error) { return tt.role, nil }
				}
				r := Run(t.Context(), o, []bmc.Target{{Name: "n1", Address: "n1"}}, tt.task, nil)[0]
				if diff := cmp.Diff([]string{tt.result, tt.log}, []string{string(r.Phase) + ": " + r.Message, strings.Join(f.log, " ")}); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		"power cycle":                           "power cycle",
		"power cycle verify":                    "power cycle, verified",
		"power reset verify=90s":                "power reset, verified",
		"power off verify":                      `power off takes no "verify"`,
		"power status verify":                   `power status takes no "verify"`,
		"power cycle verify=0s":                 `verify takes a time such as 5m, of 12h0m0s at most, not "0s"`,
		"power cycle verify=soon":               `verify takes a time such as 5m, of 12h0m0s at most, not "soon"`,
		"bootdev set pxe verify=2m uefi":        "bootdev set pxe once (uefi), verified",
		"bootdev set none verify":               `bootdev set none takes no "verify"`,
		"bios set":                              "bios set",
		"bios set reset":                        "bios set reset",
		"bios set reset sriov=on":               "bios set reset",
		"bios diff reset":                       `"reset" is not NAME=VALUE`,
		"media insert rocky9":                   "media insert rocky9",
		"media insert rocky9 boot":              "media insert rocky9, boot it",
		"media insert rocky9 boot=2h":           "media insert rocky9, boot it",
		"media insert rocky9 boots":             `media insert takes no "boots"`,
		"media insert http://u:p@h/x.iso":       "a URL with a password in it would be readable in the log and on the BMC: serve the medium without one",
		"media insert a/b":                      `"a/b" is not a URL such as http://10.20.0.5:8080/images/NAME`,
		"media insert http://192.0.2.1/x.iso a": `media insert takes no "a"`,
	} {
		words := strings.Fields(line)
		task, err := Parse(words[0], words[1:])
		got := task.Name
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}
