package tftp

import (
	"strings"
	"testing"
	"time"
)

func TestNegotiate(t *testing.T) {
	const mtu1500 = 1468
	for _, c := range []struct {
		about   string
		asked   string // name=value pairs
		oack    string
		blksize int
		window  int
		timeout time.Duration
	}{
		{"nothing", "", "", 512, 1, 0},
		{"OVMF", "tsize=0 blksize=1468 windowsize=4", "tsize=1000 blksize=1468 windowsize=4", 1468, 4, 0},
		{"iPXE", "blksize=1432 tsize=0 multicast=1", "blksize=1432 tsize=1000", 1432, 1, 0},
		{"curl", "tsize=0 blksize=512 timeout=6", "tsize=1000 blksize=512 timeout=6", 512, 1, 6 * time.Second},
		{"block larger than the path", "blksize=8192", "blksize=1468", 1468, 1, 0},
		{"block larger than the RFC", "blksize=70000", "blksize=1468", 1468, 1, 0},
		{"smallest block", "blksize=8", "blksize=8", 8, 1, 0},
		{"block too small", "blksize=7", "", 512, 1, 0},
		{"window clamped", "windowsize=65535", "windowsize=64", 512, 64, 0},
		{"window out of range", "windowsize=0 windowsize=4", "", 512, 1, 0},
		{"timeout out of range", "timeout=0", "", 512, 1, 0},
		{"not numbers", "blksize=x tsize=-1 windowsize=1e3 timeout=", "", 512, 1, 0},
		{"only unknown", "multicast=1 x=y", "", 512, 1, 0},
		{"twice", "blksize=1024 blksize=512", "blksize=1024", 1024, 1, 0},
	} {
		t.Run(c.about, func(t *testing.T) {
			got := negotiate(pairs(c.asked), 1000, mtu1500)
			var oack []byte
			if c.oack != "" {
				oack = oackPacket(pairs(c.oack))
			}
			if string(got.oack) != string(oack) {
				t.Errorf("OACK %q, want %q", got.oack, oack)
			}
			if got.blksize != c.blksize || got.window != c.window || got.timeout != c.timeout {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestEmptyFileHasASize(t *testing.T) {
	if got := negotiate(pairs("tsize=0"), 0, 1468); string(got.oack) != "\x00\x06tsize\x000\x00" {
		t.Errorf("OACK %q", got.oack)
	}
}

func pairs(s string) []option {
	var o []option
	for _, f := range strings.Fields(s) {
		name, value, _ := strings.Cut(f, "=")
		o = append(o, option{name, value})
	}
	return o
}
