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

func TestFirmware(t *testing.T) {
	b := newBoard()
	d := dial(t, b)
	ctx := context.Background()
	if err := d.SetFirmware(ctx, map[string]any{"LogicalProc": "Enabled", "Retries": "5", "Quiet": "true", "BootMode": "Uefi"}); err != nil {
		t.Fatal(err)
	}
	want := object{
		"Attributes":                 object{"LogicalProc": "Enabled", "Retries": 5.0, "Quiet": true}, // BootMode is so already
		"@Redfish.SettingsApplyTime": object{"@odata.type": "#Settings.v1_1_0.PreferredApplyTime", "ApplyTime": "OnReset"},
	}
	if diff := cmp.Diff(want, b.said()); diff != "" {
		t.Errorf("the request is another:\n%s", diff)
	}
	got, err := d.Firmware(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"LogicalProc": "Enabled", "Retries": 5.0, "Quiet": true}, got.Pending); diff != "" || got.Current["LogicalProc"] != "Disabled" {
		t.Errorf("current %v, pending:\n%s", got.Current, diff)
	}
	// Once more, and nothing is asked for that waits already.
	before := len(b.changes())
	if err := d.SetFirmware(ctx, map[string]any{"LogicalProc": "Enabled", "Retries": 5}); err != nil || len(b.changes()) != before {
		t.Errorf("%v, %v", err, b.changes())
	}
	// A pending change is taken back by asking for what is.
	if err := d.SetFirmware(ctx, map[string]any{"LogicalProc": "Disabled"}); err != nil || len(b.changes()) != before+1 {
		t.Errorf("%v, %v", err, b.changes())
	}
	if got, err := d.Firmware(ctx); err != nil || got.Pending["LogicalProc"] != nil {
		t.Errorf("%v, %v", got.Pending, err)
	}
}

func TestFirmwareRefused(t *testing.T) {
	b := newBoard()
	d := dial(t, b)
	ctx := context.Background()
	for _, tt := range []struct {
		want map[string]any
		text string
	}{
		{map[string]any{"LogicalProcessor": "Enabled", "BootMode": "Uefi", "Abc": 1}, "no BIOS attribute Abc, LogicalProcessor"},
		{map[string]any{"Retries": "many"}, "Retries: it takes values like 3, not many"},
		{map[string]any{"Quiet": "perhaps"}, "Quiet"},
		{map[string]any{"Quiet": func() {}}, "JSON"},
	} {
		if err := d.SetFirmware(ctx, tt.want); err == nil || !strings.Contains(err.Error(), tt.text) || len(b.changes()) != 0 {
			t.Errorf("%v: %v after %v", tt.want, err, b.changes())
		}
	}
	b.with(func() { delete(b.system(), "Bios") })
	if _, err := d.Firmware(ctx); !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("without BIOS: %v", err)
	}
}

func TestFirmwareQuirks(t *testing.T) {
	ctx := context.Background()
	t.Run("no apply time, whatever it says", func(t *testing.T) {
		b := newBoard()
		b.patch = func(_ string, body object) (int, string) {
			if body["@Redfish.SettingsApplyTime"] != nil {
				return http.StatusBadRequest, "Base.1.12.PropertyUnknown"
			}
			return 0, ""
		}
		if err := dial(t, b).SetFirmware(ctx, map[string]any{"LogicalProc": "Enabled"}); err != nil || len(b.said()) != 1 {
			t.Errorf("%v, %v", err, b.said())
		}
	})
	t.Run("all attributes are in the settings resource", func(t *testing.T) {
		b := newBoard()
		b.docs[pathBIOSNext] = object{"Attributes": object{"BootMode": "Uefi", "LogicalProc": "Enabled", "Retries": 3.0, "Quiet": false}}
		got, err := dial(t, b).Firmware(ctx)
		if diff := cmp.Diff(map[string]any{"LogicalProc": "Enabled"}, got.Pending); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
	t.Run("no settings resource", func(t *testing.T) {
		b := newBoard()
		delete(b.docs[pathBIOS], "@Redfish.Settings")
		d := dial(t, b)
		if err := d.SetFirmware(ctx, map[string]any{"LogicalProc": "Enabled"}); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Firmware(ctx); err != nil || got.Current["LogicalProc"] != "Enabled" || got.Pending != nil {
			t.Errorf("%v, %v", got, err)
		}
	})
}
