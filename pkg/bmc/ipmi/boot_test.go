package ipmi

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

func TestEncodeFlags(t *testing.T) {
	for _, test := range []struct {
		boot bmc.Boot
		want []byte
	}{
		{bmc.Boot{Device: bmc.DevicePXE}, []byte{0x80, 0x04, 0, 0, 0}},
		{bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeBIOS, Persistent: true}, []byte{0xc0, 0x04, 0, 0, 0}},
		{bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI}, []byte{0xa0, 0x04, 0, 0, 0}},
		{bmc.Boot{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI, Persistent: true}, []byte{0xe0, 0x04, 0, 0, 0}},
		{bmc.Boot{Device: bmc.DeviceDisk, Mode: bmc.ModeUEFI, Persistent: true}, []byte{0xe0, 0x08, 0, 0, 0}},
		{bmc.Boot{Device: bmc.DeviceCD}, []byte{0x80, 0x14, 0, 0, 0}},
		{bmc.Boot{Device: bmc.DeviceBIOS, Mode: bmc.ModeUEFI}, []byte{0xa0, 0x18, 0, 0, 0}},
		{bmc.Boot{Device: bmc.DeviceNone, Mode: bmc.ModeUEFI, Persistent: true}, []byte{0x80, 0, 0, 0, 0}},
	} {
		got, err := encodeFlags(test.boot)
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s: got % x, %v, want % x", test.boot, got, err, test.want)
		}
		back, err := decodeFlags(got, bmc.Boot{})
		if err != nil || !test.boot.KeptAs(back) || back.Persistent != (test.boot.Persistent && test.boot.Device != bmc.DeviceNone) {
			t.Errorf("%s: reads back as %s, %v", test.boot, back, err)
		}
	}
	if _, err := encodeFlags(bmc.Boot{Device: bmc.DeviceHTTP}); !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("HTTP: got %v", err)
	}
}

func TestDecodeFlags(t *testing.T) {
	for _, test := range []struct {
		name  string
		flags []byte
		told  bmc.Device
		want  string
		note  string
	}{
		{"nothing", []byte{0, 0, 0, 0, 0}, "", "no override", ""},
		{"valid for no device", []byte{0xc0, 0, 0, 0, 0}, "", "no override", ""},
		{"used up", []byte{0x60, 0x04, 0, 0, 0}, bmc.DevicePXE, "no override", "used up"},
		{"stale, asked by nobody", []byte{0, 0x04, 0, 0, 0}, "", "no override", "not valid"},
		{"a BMC that shows no flags", []byte{0, 0x04, 0, 0, 0}, bmc.DevicePXE, "pxe once", "cannot be read back"},
		{"virtual CD", []byte{0xa0, 0x20, 0, 0, 0}, "", "cd once (uefi)", ""},
		{"as Supermicro keeps it", []byte{0xe0, 0x24, 0, 0, 0}, "", "remote persistently (uefi)", ""},
		{"reserved", []byte{0x80, 0x30, 0, 0, 0}, "", "selector-ch once (bios)", ""},
		{"two bytes", []byte{0x80, 0x08}, "", "disk once (bios)", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := decodeFlags(test.flags, bmc.Boot{Device: test.told})
			if err != nil || got.String() != test.want || !strings.Contains(got.Note, test.note) || (test.note == "") != (got.Note == "") {
				t.Errorf("got %s, note %q, %v", got, got.Note, err)
			}
		})
	}
	if _, err := decodeFlags([]byte{0x80}, bmc.Boot{}); err == nil {
		t.Error("one byte is read")
	}
}

func FuzzDecodeFlags(f *testing.F) {
	f.Add([]byte{0xe0, 0x04, 0, 0, 0}, "pxe")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, p []byte, told string) {
		b, err := decodeFlags(p, bmc.Boot{Device: bmc.Device(told)})
		if err == nil && b.Device == "" {
			t.Errorf("% x: no device", p)
		}
	})
}

func TestBootOverride(t *testing.T) {
	p := startPeer(t, 17)
	d := dial(t, p.target(), quick())
	for _, want := range []bmc.Boot{
		{Device: bmc.DevicePXE, Mode: bmc.ModeUEFI, Persistent: true},
		{Device: bmc.DeviceDisk, Mode: bmc.ModeBIOS},
		{Device: bmc.DeviceCD, Mode: bmc.ModeUEFI},
		{Device: bmc.DeviceBIOS},
		{Device: bmc.DeviceNone},
	} {
		for _, way := range d.Ways() {
			if err := d.SetBoot(t.Context(), want, way); err != nil {
				t.Fatalf("%s, %s: %v", want, way.Name, err)
			}
			got, err := d.Boot(t.Context())
			if err != nil || !want.KeptAs(got) {
				t.Errorf("%s, %s: got %s, %v", want, way.Name, got, err)
			}
		}
		got, steps, err := bmc.SetBootVerified(t.Context(), d, want, bmc.Patience{})
		if err != nil || !want.KeptAs(got) || len(steps) != 1 {
			t.Errorf("%s: %s, %v, %v", want, got, steps, err)
		}
	}
	if err := d.SetBoot(t.Context(), bmc.Boot{Device: bmc.DeviceHTTP}, d.Ways()[0]); !errors.Is(err, bmc.ErrUnsupported) {
		t.Errorf("HTTP: got %v", err)
	}
}

// A mode that is not asked for stays what it was.
func TestModeIsKept(t *testing.T) {
	p := startPeer(t, 17)
	d := dial(t, p.target(), quick())
	for _, mode := range []bmc.BootMode{bmc.ModeUEFI, bmc.ModeBIOS} {
		for _, b := range []bmc.Boot{{Device: bmc.DevicePXE, Mode: mode}, {Device: bmc.DeviceDisk, Persistent: true}} {
			if err := d.SetBoot(t.Context(), b, d.Ways()[0]); err != nil {
				t.Fatal(err)
			}
		}
		flags := flagsOf(t, p)
		if flags.BIOSBootType != types.BIOSBootType(mode == bmc.ModeUEFI) || !flags.Persist || !flags.BootFlagsValid {
			t.Errorf("%s: flags %+v", mode, flags)
		}
	}
}

func TestWayOfARecipe(t *testing.T) {
	book, err := recipe.Parse([]byte(`recipes:
  - name: test-board
    match: {manufacturer: supermicro}
    source: a manual
    boot:
      - name: raw EFI
        kind: ipmi
        devices: [pxe, disk]
        once: false
        values: {pxe: "0x04", disk: "0x24"}
        raw: ["0x00 0x08 0x05 0xe0 {device} 0x00 0x00 0x00"]
      - name: for Redfish
        kind: order
`))
	if err != nil {
		t.Fatal(err)
	}
	o := quick()
	o.Recipes = book
	p := startPeer(t, 17)
	d := dial(t, p.target(), o)
	ways := d.Ways()
	if names := slices.Collect(func(yield func(string) bool) {
		for _, w := range ways {
			yield(w.Name)
		}
	}); !slices.Equal(names, []string{"standard", "minimal", "raw EFI"}) {
		t.Fatalf("ways %v", names)
	}
	raw := ways[2]
	if raw.Source != "a manual" {
		t.Errorf("source %q", raw.Source)
	}
	if err := d.SetBoot(t.Context(), bmc.Boot{Device: bmc.DeviceDisk, Mode: bmc.ModeUEFI, Persistent: true}, raw); err != nil {
		t.Fatal(err)
	}
	if flags := flagsOf(t, p).Pack(); !bytes.Equal(flags, []byte{0xe0, 0x24, 0, 0, 0}) {
		t.Errorf("flags % x", flags)
	}
	if got, err := d.Boot(t.Context()); err != nil || got.String() != "disk persistently (uefi)" {
		t.Errorf("read back %s, %v", got, err)
	}
	for _, b := range []bmc.Boot{{Device: bmc.DeviceDisk}, {Device: bmc.DeviceCD, Persistent: true}, {Device: bmc.DeviceDisk, Persistent: true, Mode: bmc.ModeBIOS}} {
		if err := d.SetBoot(t.Context(), b, raw); !errors.Is(err, bmc.ErrUnsupported) {
			t.Errorf("%s: got %v", b, err)
		}
	}
}

func TestParseRaw(t *testing.T) {
	for text, want := range map[string]string{
		"0x00 0x08 0x05":     "00 08 05",
		"30 70 0c 00":        "30 70 0c 00",
		"0 8 5":              "00 08 05",
		"":                   "",
		"0x00":               "",
		"0x01 0x08":          "",
		"0x00 0x08 {device}": "",
		"0x00 0x08 0x100":    "",
	} {
		r, err := parseRaw(text)
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if err == nil {
			if got := hexOf(append([]byte{byte(r.NetFn), r.Cmd}, r.Data...)); got != want {
				t.Errorf("%q: got %s", text, got)
			}
		}
	}
}

// The built-in recipe: Supermicro's own selector for a disk under UEFI.
func TestSupermicroDisk(t *testing.T) {
	o := quick()
	o.Recipes = nil
	p := startPeer(t, 17)
	d := dial(t, p.target(), o)
	i := slices.IndexFunc(d.Ways(), func(w bmc.Way) bool { return w.Name == "supermicro-uefi-disk" })
	if i < 0 {
		t.Fatalf("ways %v", d.Ways())
	}
	want := bmc.Boot{Device: bmc.DeviceDisk, Mode: bmc.ModeUEFI, Persistent: true}
	if err := d.SetBoot(t.Context(), want, d.Ways()[i]); err != nil {
		t.Fatal(err)
	}
	if flags := flagsOf(t, p).Pack(); !bytes.Equal(flags, []byte{0xe0, 0x24, 0, 0, 0}) {
		t.Errorf("flags % x", flags)
	}
	if got, err := d.Boot(t.Context()); err != nil || !want.KeptAs(got) {
		t.Errorf("read back %s, %v", got, err)
	}
}
