package ipmi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rackseed/rackseed/internal/ipmisim"
	"github.com/rackseed/rackseed/pkg/bmc"
)

// fruOf is FRU data with a board and a product area.
func fruOf(maker, model, serial string) []byte {
	ascii := func(s string) (types.TypeLength, []byte) { return types.TypeLength(0xc0 | len(s)), []byte(s) }
	var p types.FRUProductInfoArea
	p.ManufacturerTypeLength, p.Manufacturer = ascii(maker)
	p.NameTypeLength, p.Name = ascii(model)
	p.SerialNumberTypeLength, p.SerialNumber = ascii(serial)
	var b types.FRUBoardInfoArea
	b.ManufacturerTypeLength, b.Manufacturer = ascii("Board maker")
	b.ProductNameTypeLength, b.ProductName = ascii("Board")
	board := b.Pack()
	header := types.FRUCommonHeader{FormatVersion: 1, BoardOffset8B: 1, ProductOffset8B: 1 + uint8(len(board)/8)}
	return append(append(header.Pack(), board...), p.Pack()...)
}

// compact is a compact sensor record (table 43-2).
func compact(id, number, kind, reading uint8, name string) []byte {
	p := make([]byte, 32, 32+len(name))
	p[0], p[2], p[3], p[4] = id, 0x51, byte(types.SDRRecordTypeCompactSensor), byte(27+len(name))
	p[5], p[7], p[12], p[13] = 0x20, number, kind, reading
	p[31] = byte(0xc0 | len(name))
	return append(p, name...)
}

func bytesOf(p []byte) string {
	var text strings.Builder
	for _, b := range p {
		fmt.Fprintf(&text, " 0x%02x", b)
	}
	return text.String()
}

func TestSimInventory(t *testing.T) {
	ipmisim.Need(t, "ipmi_sim", "ipmitool")
	const power, slot, fan, temperature = 1, 2, 3, 4
	commands := []string{
		"mc_add_fru_data 0x20 0 256 data" + bytesOf(fruOf("Inspur", "NF5280M6", "221B00917")),
		"main_sdr_add 0x20" + bytesOf(compact(1, power, 0x08, 0x6f, "PSU2 Status")),
		"main_sdr_add 0x20" + bytesOf(compact(2, slot, 0x0d, 0x6f, "Disk 3")),
		"main_sdr_add 0x20" + bytesOf(compact(3, fan, 0x04, 0x01, "FAN1")),
		"main_sdr_add 0x20" + bytesOf(compact(4, temperature, 0x01, 0x01, "Inlet")),
		"sensor_add 0x20 0 1 0x08 0x6f", "sensor_set_bit 0x20 0 1 0 1 0", "sensor_set_bit 0x20 0 1 1 1 0",
		"sensor_add 0x20 0 2 0x0d 0x6f", "sensor_set_bit 0x20 0 2 0 1 0",
		"sensor_add 0x20 0 3 0x04 0x01", "sensor_set_threshold 0x20 0 3 readable 000010 0 0 0 0 20 0", "sensor_set_value 0x20 0 3 5 0",
		"sensor_add 0x20 0 4 0x01 0x01", "sensor_set_threshold 0x20 0 4 readable 010000 0 80 0 0 0 0", "sensor_set_value 0x20 0 4 25 0",
	}
	for number := power; number <= temperature; number++ {
		none := " 000000000000000"
		commands = append(commands, fmt.Sprintf("sensor_set_event_support 0x20 0 %d disable scanning none", number)+strings.Repeat(none, 4))
	}
	b := ipmisim.Start(t, ipmisim.Config{Commands: strings.Join(commands, "\n")})
	d := dial(t, simTarget(b), quick())
	got, err := d.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := bmc.Inventory{
		Manufacturer: "Inspur", Model: "NF5280M6", Serial: "221B00917", UUID: "04030201-0605-0807-090a-0b0c0d0e0f10", BMC: "9.08",
		Health: "warning", Problems: []string{"PSU2 Status: failure", "FAN1: below its lower critical limit"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(bmc.Inventory{}, "Took")); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
		t.Log(ipmitool(t, b, "sdr", "list", "all", "-v"))
	}
	if known := d.Known(); known.Manufacturer != "Inspur" || known.Model != "NF5280M6" {
		t.Errorf("known %+v", known)
	}
	fru := ipmitool(t, b, "fru", "print", "0")
	for _, line := range []string{"Product Manufacturer  : Inspur", "Product Name          : NF5280M6", "Product Serial        : 221B00917"} {
		if !strings.Contains(fru, line) {
			t.Errorf("ipmitool does not say %q but\n%s", line, fru)
		}
	}
}

func TestInventoryOfABMCThatKnowsNothing(t *testing.T) {
	b := ipmisim.Start(t, ipmisim.Config{})
	d := dial(t, simTarget(b), quick())
	got, err := d.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Manufacturer != "" || got.Health != "ok" || got.BMC != "9.08" {
		t.Errorf("inventory %+v", got)
	}
}

// A BMC with many sensors is read in parts, and as far as time allows.
func TestSensorsOfGoIPMIsServer(t *testing.T) {
	p := startPeer(t, 17)
	store := p.hal.Storage()
	if err := store.FRU().Write(t.Context(), 0, fruOf("Supermicro", "SYS-1029U", "S1")); err != nil {
		t.Fatal(err)
	}
	for id := uint16(1); id <= 120; id++ {
		if err := store.SDR().Write(t.Context(), id, compact(uint8(id), uint8(id), 0x08, 0x6f, fmt.Sprintf("PSU %d", id))); err != nil {
			t.Fatal(err)
		}
	}
	d := dial(t, p.target(), quick())
	got, err := d.Inventory(t.Context())
	if err != nil || got.Manufacturer != "Supermicro" || got.Model != "SYS-1029U" || got.Serial != "S1" {
		t.Errorf("inventory %+v, %v", got, err)
	}
	session := d.(*driver).session
	problems, err := session.sensors(t.Context(), 1)
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0], "not all were read") {
		t.Errorf("with no time: %q, %v", problems, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := session.sensors(ended, sensorsAtMost); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestParseFRU(t *testing.T) {
	whole := fruOf("HUAWEI", "TaiShan 200", "2102")
	boardOnly := slices.Clone(whole)
	boardOnly[4] = 0
	filled := fruOf("To be filled by O.E.M.", "Default string", "0123456789")
	for name, test := range map[string]struct {
		data []byte
		want fru
	}{
		"product":   {whole, fru{"HUAWEI", "TaiShan 200", "2102"}},
		"board":     {boardOnly, fru{"Board maker", "Board", ""}},
		"forgotten": {filled, fru{"Board maker", "Board", ""}},
		"cut off":   {whole[:40], fru{"Board maker", "Board", ""}},
		"nothing":   {nil, fru{}},
		"erased":    {slices.Repeat([]byte{0xff}, 256), fru{}},
	} {
		if got := parseFRU(test.data); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func FuzzParseFRU(f *testing.F) {
	f.Add(fruOf("HUAWEI", "TaiShan 200", "2102"))
	f.Add([]byte{1, 0, 1, 1, 1, 0, 0, 0xfc, 1, 1, 0xc0})
	f.Fuzz(func(t *testing.T, p []byte) {
		if got := parseFRU(p); len(got.manufacturer)+len(got.model)+len(got.serial) > 8*len(p)+64 {
			t.Errorf("%d bytes say %+v", len(p), got)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add(compact(1, 1, 0x08, 0x6f, "PSU1 Status"))
	f.Fuzz(func(t *testing.T, p []byte) {
		if r, ok := parseRecord(p); ok && r.name == "" {
			t.Errorf("% x: no name", p)
		}
	})
}

// FuzzBelieve is for what anybody may send to the socket before a session and
// during one.
func FuzzBelieve(f *testing.F) {
	f.Add([]byte{6, 0, 0xff, 7, 6, 0xc0, 0xa3, 0xa2, 0xa1, 0xa0, 1, 0, 0, 0, 32, 0}, byte(0x11))
	f.Add([]byte{6, 0, 0xff, 7, 6, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0x11}, byte(0x11))
	f.Add(preSession(7, 0x38), byte(0))
	f.Fuzz(func(t *testing.T, p []byte, expect byte) {
		l := &link{expect: expect}
		l.believe(p)
		l.arm(&keys{console: 0xa0a1a2a3, integrity: types.IntegrityAlg_HMAC_SHA256_128, length: 16, k1: []byte("key")})
		if l.believe(p) {
			t.Errorf("% x is believed", p)
		}
	})
}

func TestSetPassword(t *testing.T) {
	p := startPeer(t, 17)
	for _, password := range []string{"short", "Sixteen-bytes-xx", "Seventeen-bytes-x", "Twenty-bytes-are-it!"} {
		d := dial(t, p.target(), quick())
		if err := d.SetPassword(t.Context(), testUser, secret(password)); err != nil {
			t.Fatalf("%d bytes: %v", len(password), err)
		}
		target := p.target()
		target.Password = secret(password)
		changed := dial(t, target, quick())
		if err := changed.SetPassword(t.Context(), testUser, testPassword); err != nil {
			t.Fatal(err)
		}
		_, _ = d.Close(t.Context()), changed.Close(t.Context())
	}
	d := dial(t, p.target(), quick())
	for name, test := range map[string]struct{ user, password, says string }{
		"too long":     {testUser, strings.Repeat("x", 21), "20 at most"},
		"empty":        {testUser, "", "empty"},
		"no such user": {"nobody", "Sixteen-bytes-xx", `no user "nobody"`},
	} {
		err := d.SetPassword(t.Context(), test.user, secret(test.password))
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSimSetPassword(t *testing.T) {
	b := ipmisim.Start(t, ipmisim.Config{})
	d := dial(t, simTarget(b), quick())
	if err := d.SetPassword(t.Context(), ipmisim.User, "Another-16-bytes"); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), simTarget(b), quick()); !errors.Is(err, bmc.ErrLogin) {
		t.Errorf("the old password: %v", err)
	}
	target := simTarget(b)
	target.Password = "Another-16-bytes"
	dial(t, target, quick())
}

func TestUnsupported(t *testing.T) {
	p := startPeer(t, 17)
	d := dial(t, p.target(), quick())
	_, firmware := d.Firmware(t.Context())
	_, media := d.Media(t.Context())
	for name, err := range map[string]error{
		"firmware": firmware, "set firmware": d.SetFirmware(t.Context(), nil), "media": media,
		"insert": d.InsertMedia(t.Context(), "http://x"), "eject": d.EjectMedia(t.Context()), "action": d.SetPower(t.Context(), "dance"),
	} {
		if !errors.Is(err, bmc.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
