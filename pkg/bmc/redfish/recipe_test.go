package redfish

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/bmc"
)

func names(ways []bmc.Way) string {
	var out []string
	for _, w := range ways {
		out = append(out, w.Name)
	}
	return strings.Join(out, "; ")
}

func TestWaysOfAMake(t *testing.T) {
	for manufacturer, want := range map[string]string{
		"Contoso":    "redfish; redfish, minimal body; redfish, with mode; redfish, settings; redfish, boot order; bmclib; redfish, continuous",
		"Dell Inc.":  "redfish; redfish, minimal body; redfish, with mode; redfish, settings; redfish, boot order; dell-first-boot-device; dell-http-device; bmclib; redfish, continuous",
		"Supermicro": "supermicro-usb-cd; supermicro-with-mode; redfish; redfish, minimal body; redfish, with mode; redfish, settings; redfish, boot order; bmclib; redfish, continuous",
	} {
		b := newBoard()
		b.make(manufacturer, "M")
		ways := dial(t, b).Ways()
		if names(ways) != want {
			t.Errorf("%s: %s", manufacturer, names(ways))
		}
		for _, w := range ways {
			if recipe := !strings.HasPrefix(w.Name, "redfish") && w.Name != "bmclib"; recipe != (w.Source != "") {
				t.Errorf("%s has source %q", w.Name, w.Source)
			}
		}
	}
}

// A BMC of Supermicro's puts the mode back when it is not told.
func TestSupermicroIsToldTheMode(t *testing.T) {
	b := newBoard()
	b.make("Supermicro", "SYS-6029P")
	b.patch = func(_ string, body object) (int, string) {
		if b := body["Boot"].(object); b["BootSourceOverrideMode"] == nil {
			b["BootSourceOverrideMode"] = "Legacy"
		}
		return 0, ""
	}
	d := dial(t, b)
	got, _, err := bmc.SetBootVerified(context.Background(), d, bmc.Boot{Device: bmc.DevicePXE}, patience)
	if err != nil || got.Mode != bmc.ModeUEFI {
		t.Errorf("%s, %v", got, err)
	}
}

func TestDellFirstBootDevice(t *testing.T) {
	const attributes = "/redfish/v1/Minders/bmc0/dell/idrac"
	b := newBoard()
	b.make("Dell Inc.", "PowerEdge R650")
	b.docs[pathManager]["Links"] = object{"Oem": object{"Dell": object{"DellAttributes": []any{link(attributes)}}}}
	b.docs[attributes] = object{"Attributes": object{}}
	b.patch = func(path string, body object) (int, string) {
		if path == pathSystem {
			return http.StatusBadRequest, "IDRAC.2.8.SYS426"
		}
		if body["Attributes"].(object)["ServerBoot.1.FirstBootDevice"] == "VCD-DVD" {
			merge(b.boot(), object{"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Cd"})
		}
		return 0, ""
	}
	d := dial(t, b)
	got, steps, err := bmc.SetBootVerified(context.Background(), d, bmc.Boot{Device: bmc.DeviceCD}, patience)
	if err != nil || got.Device != bmc.DeviceCD || !strings.HasPrefix(steps[len(steps)-1].What, "dell-first-boot-device") {
		t.Errorf("%s, %v\n%s", got, err, steps)
	}
	want := object{"Attributes": object{"ServerBoot.1.BootOnce": "Enabled", "ServerBoot.1.FirstBootDevice": "VCD-DVD"}}
	if diff := cmp.Diff(want, b.said()); diff != "" {
		t.Error(diff)
	}
	err = d.SetBoot(context.Background(), bmc.Boot{Device: bmc.DeviceHTTP}, bmc.Way{Name: "dell-first-boot-device"})
	if !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("for a device that it has no word for: %v", err)
	}
}

func TestDellHTTPDevice(t *testing.T) {
	b := newBoard()
	b.make("Dell Inc.", "PowerEdge R760")
	merge(b.docs[pathBIOS], object{"Attributes": object{"HttpDev1EnDis": "Disabled", "HttpDev1Uri": ""}})
	b.patch = func(_ string, body object) (int, string) {
		if b, ok := body["Boot"].(object); ok && b["HttpBootUri"] != nil {
			return http.StatusBadRequest, "Base.1.12.PropertyUnknown"
		}
		return 0, ""
	}
	d := dial(t, b)
	want := bmc.Boot{Device: bmc.DeviceHTTP, URL: "http://10.0.0.1/ipxe.efi"}
	_, steps, err := bmc.SetBootVerified(context.Background(), d, want, patience)
	if err != nil || !strings.HasPrefix(steps[len(steps)-1].What, "dell-http-device") {
		t.Fatalf("%v\n%s", err, steps)
	}
	pending := object{"HttpDev1EnDis": "Enabled", "HttpDev1Uri": want.URL}
	if diff := cmp.Diff(pending, b.docs[pathBIOSNext]["Attributes"]); diff != "" {
		t.Error(diff)
	}
	if got, err := d.Boot(context.Background()); err != nil || got.Device != bmc.DeviceHTTP {
		t.Errorf("%s, %v", got, err)
	}
}

func TestHuaweiVirtualMedia(t *testing.T) {
	const action = pathCD + "/Oem/Huawei/Actions/VirtualMedia.VmmControl"
	b := newBoard()
	b.make("Huawei", "2288H V5")
	delete(b.docs[pathCD], "Actions")
	b.docs[pathCD]["Oem"] = object{"Huawei": object{"Actions": object{"#VirtualMedia.VmmControl": object{"target": action}}}}
	looks := 0
	b.post = func(w http.ResponseWriter, path string, body object) bool {
		if path != action {
			return false
		}
		looks = 0
		b.docs[pathCD]["Image"] = body["Image"]
		w.Header().Set("Location", "/redfish/v1/watch/1")
		w.WriteHeader(http.StatusAccepted)
		return true
	}
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == pathCD {
			// It mounts some time after the task has ended.
			if looks++; looks > 2 {
				b.docs[pathCD]["Inserted"] = b.docs[pathCD]["Image"] != nil
			}
		}
		if r.URL.Path == "/redfish/v1/watch/1" {
			_, _ = w.Write(encoded(object{"TaskState": "Completed"}))
			return true
		}
		return false
	}
	d := dial(t, b)
	ctx := context.Background()
	if err := d.InsertMedia(ctx, "http://10.0.0.1/one.iso"); !errors.Is(err, bmc.ErrUnsupported) || !strings.Contains(err.Error(), "https") || len(b.changes()) != 0 {
		t.Errorf("http: %v", err)
	}
	if err := d.InsertMedia(ctx, "https://10.0.0.1/one.iso"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object{"VmmControlType": "Connect", "Image": "https://10.0.0.1/one.iso"}, b.said()); diff != "" {
		t.Error(diff)
	}
	if err := d.EjectMedia(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(object{"VmmControlType": "Disconnect"}, b.said()); diff != "" {
		t.Error(diff)
	}
}

func TestHuaweiBootOrder(t *testing.T) {
	b := newBoard()
	b.make("Huawei", "2288H V5")
	merge(b.docs[pathBIOS], object{"Attributes": object{"BootTypeOrder0": "HardDiskDrive", "BootTypeOrder1": "DVDROMDrive", "BootTypeOrder2": "PXE", "BootTypeOrder3": "Others"}})
	d := dial(t, b)
	way := bmc.Way{Name: "huawei-pxe-first"}
	if err := d.SetBoot(context.Background(), bmc.Boot{Device: bmc.DevicePXE}, way); !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("once: %v", err)
	}
	if err := d.SetBoot(context.Background(), bmc.Boot{Device: bmc.DevicePXE, Persistent: true}, way); err != nil {
		t.Fatal(err)
	}
	want := object{"BootTypeOrder0": "PXE", "BootTypeOrder1": "HardDiskDrive", "BootTypeOrder2": "DVDROMDrive"}
	if diff := cmp.Diff(want, b.docs[pathBIOSNext]["Attributes"]); diff != "" {
		t.Error(diff)
	}
}
