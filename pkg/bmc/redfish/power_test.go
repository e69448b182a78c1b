package redfish

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stmcginnis/gofish/redfish"

	"github.com/rackseed/rackseed/pkg/bmc"
)

func TestResetType(t *testing.T) {
	all := []string{"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle", "PushPowerButton", "Nmi"}
	ilo4 := []string{"On", "ForceOff", "ForceRestart", "Nmi", "PushPowerButton"}
	for _, tt := range []struct {
		action  bmc.PowerAction
		state   bmc.PowerState
		allowed []string
		want    redfish.ResetType // empty is ErrUnsupported
	}{
		{bmc.ActionOn, bmc.PowerOff, all, "On"},
		{bmc.ActionOn, bmc.PowerOff, nil, "On"},
		{bmc.ActionOn, bmc.PowerOff, []string{"ForceOn"}, "ForceOn"},
		{bmc.ActionOn, bmc.PowerOff, []string{"PushPowerButton"}, "PushPowerButton"},
		{bmc.ActionOn, bmc.PowerUnknown, []string{"PushPowerButton"}, ""},
		{bmc.ActionOff, bmc.PowerOn, all, "ForceOff"},
		{bmc.ActionOff, bmc.PowerOn, []string{"GracefulShutdown", "PushPowerButton"}, ""},
		{bmc.ActionSoft, bmc.PowerOn, all, "GracefulShutdown"},
		{bmc.ActionSoft, bmc.PowerOn, ilo4, "PushPowerButton"},
		{bmc.ActionSoft, bmc.PowerUnknown, ilo4, ""},
		{bmc.ActionSoft, bmc.PowerOn, []string{"ForceOff"}, ""},
		{bmc.ActionCycle, bmc.PowerOn, all, "PowerCycle"},
		{bmc.ActionCycle, bmc.PowerOff, all, "On"},
		{bmc.ActionCycle, bmc.PowerOn, ilo4, ""},
		{bmc.ActionReset, bmc.PowerOn, ilo4, "ForceRestart"},
		{bmc.ActionReset, bmc.PowerOff, ilo4, "On"},
		{bmc.ActionReset, bmc.PowerOn, []string{"GracefulRestart", "PowerCycle"}, ""},
	} {
		got, err := resetType(tt.action, tt.state, tt.allowed)
		if got != tt.want || (tt.want == "") != errors.Is(err, bmc.ErrUnsupported) {
			t.Errorf("%s of a machine that is %s with %v: %q, %v", tt.action, tt.state, tt.allowed, got, err)
		}
	}
	if _, err := resetType("explode", bmc.PowerOn, all); err == nil {
		t.Error("an action that is none was taken")
	}
}

func TestPowerIsVerified(t *testing.T) {
	b := newBoard()
	d := dial(t, b)
	for _, step := range []struct {
		action bmc.PowerAction
		want   bmc.PowerState
	}{{bmc.ActionSoft, bmc.PowerOff}, {bmc.ActionCycle, bmc.PowerOn}, {bmc.ActionCycle, bmc.PowerOn}, {bmc.ActionOff, bmc.PowerOff}} {
		state, steps, err := bmc.Power(context.Background(), d, step.action, patience, nil)
		if err != nil || state != step.want {
			t.Errorf("%s: %s, %v\n%s", step.action, state, err, steps)
		}
	}
	if got := strings.Join(b.changes(), " "); strings.Count(got, pathReset) != 5 {
		t.Errorf("it was told %s", got)
	}
}

func TestAllowedResetsFromActionInfo(t *testing.T) {
	b := newBoard()
	b.system()["Actions"] = object{"#ComputerSystem.Reset": object{"target": pathReset, "@Redfish.ActionInfo": "/redfish/v1/info"}}
	b.docs["/redfish/v1/info"] = object{"Parameters": []any{object{"Name": "ResetType", "AllowableValues": []any{"On", "PushPowerButton"}}}}
	d := dial(t, b)
	if err := d.SetPower(context.Background(), bmc.ActionSoft); err != nil || b.said()["ResetType"] != "PushPowerButton" {
		t.Errorf("%v, %v", err, b.said())
	}
	if err := d.SetPower(context.Background(), bmc.ActionOff); !errors.Is(err, bmc.ErrUnsupported) || !strings.Contains(err.Error(), "On, PushPowerButton") {
		t.Errorf("got %v", err)
	}
}

func TestPowerOfTheChassis(t *testing.T) {
	b := newBoard()
	delete(b.system(), "PowerState")
	d := dial(t, b)
	if state, err := d.Power(context.Background()); err != nil || state != bmc.PowerOn {
		t.Errorf("%s, %v", state, err)
	}
	b.with(func() { b.system()["PowerState"] = "PoweringOff" })
	if state, err := d.Power(context.Background()); err != nil || state != bmc.PowerUnknown {
		t.Errorf("in between: %s, %v", state, err)
	}
}

// tasked answers actions with a task, of which states are the states one
// after the other.
func tasked(b *board, monitor func(n int) (int, object)) {
	looks := 0
	b.post = func(w http.ResponseWriter, path string, _ object) bool {
		w.Header().Set("Location", "/redfish/v1/watch/1")
		w.WriteHeader(http.StatusAccepted)
		return true
	}
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/redfish/v1/watch/1" {
			return false
		}
		looks++
		code, body := monitor(looks)
		w.WriteHeader(code)
		if body != nil {
			_, _ = w.Write(encoded(body))
		}
		return true
	}
}

func TestTasksAreWaitedFor(t *testing.T) {
	running := object{"TaskState": "Running"}
	for _, tt := range []struct {
		name    string
		monitor func(n int) (int, object)
		text    string // of the error; empty is none
	}{
		{"it completes", func(n int) (int, object) {
			if n < 3 {
				return 202, running
			}
			return 200, object{"TaskState": "Completed", "TaskStatus": "OK"}
		}, ""},
		{"the monitor answers without a body", func(n int) (int, object) {
			if n < 3 {
				return 202, nil
			}
			return 204, nil
		}, ""},
		{"it goes away", func(n int) (int, object) {
			if n < 3 {
				return 202, running
			}
			return 404, nil
		}, ""},
		{"it waits for the reset", func(int) (int, object) { return 202, object{"TaskState": "Pending"} }, ""},
		{"it fails", func(int) (int, object) {
			return 200, object{"TaskState": "Exception", "Messages": []any{object{"Message": "no power for " + oddPassword}}}
		}, "no power for " + redacted},
		{"it completes badly", func(int) (int, object) {
			return 200, object{"TaskState": "Completed", "TaskStatus": "Critical", "Messages": []any{object{"MessageId": "X.1.0.Broken"}}}
		}, "X.1.0.Broken"},
		{"it never ends", func(int) (int, object) { return 202, running }, "still running"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			d := dial(t, b)
			b.with(func() { tasked(b, tt.monitor) })
			err := d.SetPower(context.Background(), bmc.ActionReset)
			if tt.text == "" && err != nil || tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
