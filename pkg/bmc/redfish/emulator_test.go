package redfish

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// emulator is what emulators of virtual machines have in common (sushy-tools
// 2.x): no sessions, no passwords, no serial number, everything for good,
// settings that are in effect at once, and collections that are found behind a
// slash only.
func emulator() *board {
	b := newBoard()
	delete(b.docs["/redfish/v1"], "Links")
	s := b.system()
	for _, member := range []string{"SerialNumber", "SystemType", "Model"} {
		delete(s, member)
	}
	s["Manufacturer"] = "Emulator"
	s["Boot"] = object{
		"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Hdd", "BootSourceOverrideMode": "UEFI",
		"BootSourceOverrideTarget@Redfish.AllowableValues": []any{"Pxe", "Cd", "Hdd", "UefiHttp"},
	}
	b.docs[pathBIOSNext]["Attributes"] = b.docs[pathBIOS]["Attributes"]
	b.docs[pathCD]["Image"] = ""
	b.patch = func(path string, body object) (int, string) {
		boot, ok := body["Boot"].(object)
		if path != pathSystem || !ok {
			return 0, ""
		}
		if boot["BootSourceOverrideTarget"] == nil && boot["BootSourceOverrideMode"] == nil || boot["BootSourceOverrideTarget"] == "None" {
			return http.StatusBadRequest, "Base.1.0.GeneralError"
		}
		boot["BootSourceOverrideEnabled"] = "Continuous"
		return 0, ""
	}
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == pathManager+"/drives" {
			http.Redirect(w, r, r.URL.Path+"/", http.StatusPermanentRedirect)
			return true
		}
		r.SetBasicAuth("admin", b.password) // it asks nobody
		return false
	}
	return b
}

func TestAnEmulator(t *testing.T) {
	b := emulator()
	ctx := t.Context()
	at := target(serve(t, b))
	at.Password = "anything"
	d, err := Dial(ctx, at, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close(ctx) }()
	for _, a := range []bmc.PowerAction{bmc.ActionOff, bmc.ActionOn, bmc.ActionCycle, bmc.ActionReset, bmc.ActionSoft} {
		if state, steps, err := bmc.Power(ctx, d, a, patience, nil); err != nil {
			t.Errorf("power %s: %s, %v (%s)", a, state, err, steps)
		}
	}
	for _, want := range []bmc.Boot{{Device: bmc.DevicePXE}, {Device: bmc.DeviceDisk, Persistent: true}, {Device: bmc.DeviceCD, Mode: bmc.ModeUEFI}, {Device: bmc.DeviceHTTP, Mode: bmc.ModeUEFI}} {
		if got, steps, err := bmc.SetBootVerified(ctx, d, want, patience); err != nil || !want.KeptAs(got) || !got.Persistent {
			t.Errorf("%s: %s, %v (%s)", want, got, err, steps)
		}
	}
	if got, _, err := bmc.SetBootVerified(ctx, d, bmc.Boot{Device: bmc.DeviceNone}, patience); err == nil || !strings.Contains(err.Error(), "set disk") {
		t.Errorf("it has no none, and says %s, %v", got, err)
	}
	if err := d.SetFirmware(ctx, map[string]any{"BootMode": "Bios"}); err != nil {
		t.Error(err)
	}
	if f, err := d.Firmware(ctx); err != nil || f.Current["BootMode"] != "Bios" || f.Pending != nil {
		t.Errorf("%+v, %v", f, err)
	}
	if err := d.InsertMedia(ctx, "http://192.0.2.1/x.iso"); err != nil {
		t.Error(err)
	}
	if m, err := d.Media(ctx); err != nil || !m.Inserted {
		t.Errorf("%+v, %v", m, err)
	}
	if err := d.EjectMedia(ctx); err != nil {
		t.Error(err)
	}
	if i, err := d.Inventory(ctx); err != nil || i.UUID == "" {
		t.Errorf("%+v, %v", i, err)
	}
}

// TestAMockUp: a service that answers every order with 204 and stores what a
// PATCH says, as DMTF's mock-up server does, shows none of what it was told to
// do, and none of it is believed.
func TestAMockUp(t *testing.T) {
	b := newBoard()
	b.system()["LastResetTime"] = "2021-03-13T04:02:57+06:00"
	b.post = func(w http.ResponseWriter, _ string, _ object) bool {
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.TrimRight(r.URL.Path, "/") != pathSessions || r.Method != http.MethodPost {
			return false
		}
		var made struct{ UserName, Password string }
		_ = json.NewDecoder(r.Body).Decode(&made)
		b.sessions["1234567890ABCDEF"] = pathSessions + "/1"
		w.Header().Set("X-Auth-Token", "1234567890ABCDEF")
		w.Header().Set("Location", pathSessions+"/1")
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	d := dial(t, b)
	ctx := t.Context()
	if state, err := d.Power(ctx); err != nil || state != bmc.PowerOn {
		t.Errorf("%s, %v", state, err)
	}
	for _, a := range []bmc.PowerAction{bmc.ActionOff, bmc.ActionCycle, bmc.ActionReset} {
		if state, steps, err := bmc.Power(ctx, d, a, patience, nil); err == nil {
			t.Errorf("power %s is said to be done: %s (%s)", a, state, steps)
		}
	}
	if got, steps, err := bmc.SetBootVerified(ctx, d, bmc.Boot{Device: bmc.DevicePXE}, patience); err != nil || got.Device != bmc.DevicePXE {
		t.Errorf("%s, %v (%s)", got, err, steps)
	}
	if err := d.InsertMedia(ctx, "http://192.0.2.1/x.iso"); err == nil {
		t.Error("a medium is said to be in")
	}
}
