package site

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// MAC is an EUI-48 hardware address. It is comparable, so it can key a map.
// A MAC is a claim made by whoever sent the frame, never a proof of identity.
type MAC [6]byte

// ParseMAC reads the notations that vendors, switches and spreadsheets use:
// aa:bb:cc:dd:ee:ff, aa-bb-cc-dd-ee-ff, aabb.ccdd.eeff, aabb-ccdd-eeff and
// twelve bare digits, in either case.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	text := strings.TrimSpace(s)
	digits, ok := macDigits(text)
	if !ok {
		return m, fmt.Errorf("%q is not a MAC address: write it as aa:bb:cc:dd:ee:ff", s)
	}
	if _, err := hex.Decode(m[:], []byte(digits)); err != nil {
		return m, fmt.Errorf("%q is not a MAC address: write it as aa:bb:cc:dd:ee:ff", s)
	}
	if m[0]&1 == 1 {
		return MAC{}, fmt.Errorf("%q is a multicast address: no NIC owns it", s)
	}
	if m == (MAC{}) {
		return m, fmt.Errorf("%q is all zeros: no NIC owns it", s)
	}
	return m, nil
}

// macDigits strips one consistent separator from evenly grouped digits.
func macDigits(s string) (string, bool) {
	if len(s) == 12 {
		return s, true
	}
	for _, form := range []struct{ sep, size int }{{':', 2}, {'-', 2}, {'.', 4}, {'-', 4}, {':', 4}} {
		groups := strings.Split(s, string(rune(form.sep)))
		if len(groups)*form.size != 12 {
			continue
		}
		even := true
		for _, g := range groups {
			even = even && len(g) == form.size
		}
		if even {
			return strings.Join(groups, ""), true
		}
	}
	return "", false
}

// MACFrom reads the first six bytes of a DHCP chaddr whose hlen is 6.
func MACFrom(hw []byte) (MAC, bool) {
	if len(hw) != 6 {
		return MAC{}, false
	}
	m := MAC(hw)
	return m, m != MAC{} && m[0]&1 == 0
}

// String gives the address in lower case with colons.
func (m MAC) String() string { return string(m.append(make([]byte, 0, 17), ':')) }

// Hyphens gives the address as PXELINUX and iPXE's ${mac:hexhyp} write it.
func (m MAC) Hyphens() string { return string(m.append(make([]byte, 0, 17), '-')) }

func (m MAC) append(b []byte, sep byte) []byte {
	const digits = "0123456789abcdef"
	for i, c := range m {
		if i > 0 {
			b = append(b, sep)
		}
		b = append(b, digits[c>>4], digits[c&15])
	}
	return b
}

// MarshalText writes the form that String gives.
func (m MAC) MarshalText() ([]byte, error) { return m.append(make([]byte, 0, 17), ':'), nil }

// UnmarshalText accepts what ParseMAC accepts.
func (m *MAC) UnmarshalText(b []byte) error {
	v, err := ParseMAC(string(b))
	if err != nil {
		return err
	}
	*m = v
	return nil
}
