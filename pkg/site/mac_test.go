package site

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseMAC(t *testing.T) {
	const want = "3c:78:43:00:01:0a"
	for _, s := range []string{
		"3c:78:43:00:01:0a", "3C:78:43:00:01:0A", "3c-78-43-00-01-0a", "3c78.4300.010a", "3C78.4300.010A", "3c78-4300-010a", "3c78:4300:010a",
		"3c784300010a", "3C784300010A", "  3c:78:43:00:01:0a\t",
	} {
		m, err := ParseMAC(s)
		if err != nil || m.String() != want {
			t.Errorf("%q is %s, %v", s, m, err)
		}
	}
	for s, why := range map[string]string{
		"":                       "not a MAC",
		"3c:78:43:00:01":         "not a MAC",
		"3c:78:43:00:01:0a:00":   "not a MAC",
		"3c:78:43:00:01:0g":      "not a MAC",
		"3c784300.0103":          "not a MAC",
		"3c:78-43:00-01:0a":      "not a MAC",
		"3c:7:843:00:01:0a":      "not a MAC",
		"3c78.4300-010a":         "not a MAC",
		"0x3c784300010":          "not a MAC",
		"１２３４５６７８９０１２":           "not a MAC",
		"01:00:5e:00:00:01":      "multicast",
		"ff:ff:ff:ff:ff:ff":      "multicast",
		"00:00:00:00:00:00":      "all zeros",
		strings.Repeat(":", 12):  "not a MAC",
		"3c:78:43:00:01:0a 3c:7": "not a MAC",
	} {
		if m, err := ParseMAC(s); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q is %s, %v; want an error that says %q", s, m, err, why)
		}
	}
}

func TestMACForms(t *testing.T) {
	m := MAC{0x52, 0x54, 0, 0x12, 0xab, 0xcd}
	if m.Hyphens() != "52-54-00-12-ab-cd" {
		t.Errorf("Hyphens gives %s", m.Hyphens())
	}
	data, err := json.Marshal(map[MAC]MAC{m: m})
	if err != nil || string(data) != `{"52:54:00:12:ab:cd":"52:54:00:12:ab:cd"}` {
		t.Errorf("JSON is %s, %v", data, err)
	}
	var back map[MAC]MAC
	if err := json.Unmarshal(data, &back); err != nil || back[m] != m {
		t.Errorf("back from JSON: %v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"x":"y"}`), &back); err == nil {
		t.Error("a MAC that is none was read from JSON")
	}
}

func TestMACFromHardwareAddress(t *testing.T) {
	for _, c := range []struct {
		hw []byte
		ok bool
	}{
		{[]byte{2, 0, 0, 0, 0, 1}, true}, {[]byte{1, 0, 0, 0, 0, 1}, false}, {make([]byte, 6), false}, {make([]byte, 16), false}, {nil, false},
	} {
		if _, ok := MACFrom(c.hw); ok != c.ok {
			t.Errorf("%x: %t", c.hw, ok)
		}
	}
}

func FuzzParseMAC(f *testing.F) {
	f.Add("52:54:00:12:34:56")
	f.Add("5254.0012.3456")
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMAC(s)
		if err != nil {
			return
		}
		if again, err := ParseMAC(m.String()); err != nil || again != m {
			t.Fatalf("%q is %s, which is %s, %v", s, m, again, err)
		}
		if again, err := ParseMAC(m.Hyphens()); err != nil || again != m {
			t.Fatalf("%q is %s, which is %s, %v", s, m.Hyphens(), again, err)
		}
	})
}

func TestUUID(t *testing.T) {
	const text = "4c4c4544-0042-3510-8054-b4c04f4d5032"
	for _, s := range []string{text, strings.ToUpper(text), strings.ReplaceAll(text, "-", ""), " " + text + " "} {
		if u, err := ParseUUID(s); err != nil || u.String() != text {
			t.Errorf("%q is %s, %v", s, u, err)
		}
	}
	for _, s := range []string{"", text[1:], text + "0", "g" + text[1:]} {
		if u, err := ParseUUID(s); err == nil {
			t.Errorf("%q is %s", s, u)
		}
	}
}

// SMBIOS stores the first three fields little-endian (SMBIOS 2.6, 7.2.1).
func TestUUIDFromClient(t *testing.T) {
	wire := []byte{0, 0x44, 0x45, 0x4c, 0x4c, 0x42, 0x00, 0x10, 0x35, 0x80, 0x54, 0xb4, 0xc0, 0x4f, 0x4d, 0x50, 0x32}
	u, ok := UUIDFromClient(wire)
	if want := "4c4c4544-0042-3510-8054-b4c04f4d5032"; !ok || u.String() != want {
		t.Errorf("%s, %t, want %s", u, ok, want)
	}
	ones := append([]byte{0}, []byte(strings.Repeat("\xff", 16))...)
	for _, b := range [][]byte{nil, wire[:16], append([]byte{1}, wire[1:]...), make([]byte, 17), ones} {
		if u, ok := UUIDFromClient(b); ok {
			t.Errorf("%x gave %s", b, u)
		}
	}
}
