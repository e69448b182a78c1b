package site

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// cryptHash matches crypt(5) hashes of methods that an installer accepts:
// SHA-512, SHA-256 and yescrypt. Counted repetitions are dear to compile, and
// most commands match none.
var cryptHash = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\$6\$(rounds=[0-9]+\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{86}` +
		`|\$5\$(rounds=[0-9]+\$)?[./0-9A-Za-z]{1,16}\$[./0-9A-Za-z]{43}` +
		`|\$y\$[./0-9A-Za-z]+\$[./0-9A-Za-z]{0,86}\$[./0-9A-Za-z]{43})$`)
})

// ValidRoot reports whether s may stand as Access.Root: nothing, RootLocked, a
// crypt hash or a sealed value. Plain text may not.
func ValidRoot(s Secret) bool {
	v := s.Reveal()
	return v == "" || v == RootLocked || s.Sealed() || cryptHash().MatchString(v)
}

// JunkSerial reports a serial number that firmware makers left as it was in
// the reference code, so that many boards share it.
func JunkSerial(serial string) bool {
	s := strings.ToLower(strings.Join(strings.Fields(serial), " "))
	if s == "" || strings.Trim(s, s[:1]) == "" && len(s) > 2 {
		return true
	}
	s = strings.Trim(s, " .-_*<>()[]")
	return slices.Contains([]string{
		"", "to be filled by o.e.m", "to be filled by oem", "default string", "0123456789", "1234567890", "123456789", "12345678",
		"system serial number", "chassis serial number", "base board serial number", "serial number", "not specified", "not applicable",
		"not available", "none", "n/a", "na", "null", "unknown", "empty", "invalid", "o.e.m", "oem", "default", "test", "xxxxxxx",
	}, s)
}

var scientific = regexp.MustCompile(`^[0-9](\.[0-9]+)?[eE]\+[0-9]+$`)

func roundedBySpreadsheet(serial string) bool { return scientific.MatchString(serial) }

var diskName = regexp.MustCompile(`^(/dev/)?([shv]d[a-z]+|xvd[a-z]+|nvme[0-9]+(n[0-9]+)?|mmcblk[0-9]+|dasd[a-z]+)$`)

// kernelDiskName reports a name that the kernel deals out in the order in
// which it finds disks.
func kernelDiskName(s string) bool { return diskName.MatchString(s) }

// validLabel is one label of a host name: RFC 1123 section 2.1, lower case.
func validLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

func validDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

// validInterface follows dev_valid_name of the Linux kernel, and leaves out
// what a shell or a kickstart would take apart.
func validInterface(s string) bool {
	return len(s) >= 1 && len(s) <= 15 && s != "." && s != ".." && onlyOf(s, "._-@")
}

// printable reports that s holds nothing but visible characters and spaces.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0xfffd || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029
	})
}

// onlyOf reports that s holds ASCII letters, digits and extra, nothing else.
func onlyOf(s, extra string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(extra, c) >= 0) {
			return false
		}
	}
	return true
}

func lowerHex(s string, length int) bool {
	return len(s) == length && strings.Trim(s, "0123456789abcdef") == ""
}

// specialAddress tells whether a is the network or the broadcast address of
// an IPv4 subnet. A /31 and a /32 have neither (RFC 3021).
func specialAddress(subnet netip.Prefix, a netip.Addr) string {
	if !subnet.IsValid() || !subnet.Addr().Is4() || !a.Is4() || subnet.Bits() > 30 {
		return ""
	}
	first, hosts := addrNumber(subnet.Masked().Addr()), uint32(1)<<(32-subnet.Bits())-1
	switch addrNumber(a) {
	case first:
		return "network"
	case first + hosts:
		return "broadcast"
	default:
		return ""
	}
}

// checkSSHKey reads a line of an authorized_keys file (sshd(8)): the blob
// must say the same key type as the line (RFC 4253 section 6.6).
func checkSSHKey(line string) error {
	fields := strings.Fields(line)
	at := slices.IndexFunc(fields, func(f string) bool {
		return f == "ssh-ed25519" || f == "ssh-rsa" || strings.HasPrefix(f, "ecdsa-sha2-") || strings.HasPrefix(f, "sk-")
	})
	if at < 0 || at+1 >= len(fields) {
		return errors.New("no key type that OpenSSH accepts is followed by a key")
	}
	blob, err := base64.StdEncoding.DecodeString(fields[at+1])
	if err != nil {
		return errors.New("the key is not base64: it was cut or wrapped")
	}
	if len(blob) < 4 {
		return errors.New("the key is cut short")
	}
	n := uint64(binary.BigEndian.Uint32(blob))
	if n > uint64(len(blob)-4) || string(blob[4:4+n]) != fields[at] {
		return fmt.Errorf("the key is not of type %s", fields[at])
	}
	if uint64(len(blob)) < 4+n+32 {
		return errors.New("the key is cut short")
	}
	return nil
}
