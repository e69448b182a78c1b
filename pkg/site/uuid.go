package site

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// UUID is an SMBIOS system UUID in the byte order in which it is written.
type UUID [16]byte

// ParseUUID reads the 8-4-4-4-12 form or 32 bare digits.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	digits := strings.ReplaceAll(strings.TrimSpace(s), "-", "")
	if len(digits) != 32 {
		return UUID{}, fmt.Errorf("%q is not a UUID: write it as 12345678-1234-1234-1234-123456789abc", s)
	}
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, fmt.Errorf("%q is not a UUID: write it as 12345678-1234-1234-1234-123456789abc", s)
	}
	return u, nil
}

// UUIDFromClient reads DHCP option 97 (RFC 4578 section 2.3): a type octet of
// zero and 16 bytes as SMBIOS stores them, which since SMBIOS 2.6 means that
// the first three fields are little-endian.
func UUIDFromClient(b []byte) (UUID, bool) {
	if len(b) != 17 || b[0] != 0 {
		return UUID{}, false
	}
	var u UUID
	copy(u[:], b[1:])
	u[0], u[1], u[2], u[3] = u[3], u[2], u[1], u[0]
	u[4], u[5] = u[5], u[4]
	u[6], u[7] = u[7], u[6]
	return u, !u.Junk()
}

// Junk reports a UUID that many boards share: all zeros or all ones.
func (u UUID) Junk() bool {
	ones := UUID{}
	for i := range ones {
		ones[i] = 0xff
	}
	return u == UUID{} || u == ones
}

// IsZero reports that no UUID is known.
func (u UUID) IsZero() bool { return u == UUID{} }

// String gives the 8-4-4-4-12 form in lower case.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// MarshalText writes the form that String gives.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText accepts what ParseUUID accepts.
func (u *UUID) UnmarshalText(b []byte) error {
	v, err := ParseUUID(string(b))
	if err != nil {
		return err
	}
	*u = v
	return nil
}
