package lldp_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/lldp"
	"github.com/rackseed/rackseed/pkg/site"
)

// frame puts TLVs, in hex with blanks, behind an Ethernet header.
func frame(tlvs string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll("0180c200000e 020000000001 88cc"+tlvs, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

const (
	chassisMAC = "0207 04 020000000001"
	portEth    = "0407 05 457468312f37" // Eth1/7
	ttl        = "0602 0078"
	name       = "0a06 6c6561662d32" // leaf-2
	pvid       = "fe06 0080c2 01 007a"
	frameSize  = "fe06 00120f 04 2400"
	end        = "0000"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, tlvs string
		want       site.Neighbour
		not        bool
	}{
		{"a switch that says everything", chassisMAC + portEth + ttl + name + pvid + frameSize + end, site.Neighbour{Switch: "leaf-2", Port: "Eth1/7", VLAN: 122, MTU: 9216}, false},
		{"no name: its chassis", chassisMAC + portEth + ttl + end, site.Neighbour{Switch: "02:00:00:00:00:01", Port: "Eth1/7"}, false},
		{"a port that is a MAC, described", chassisMAC + "0407 03 020000000009" + ttl + "0804 67653033" + end, site.Neighbour{Switch: "02:00:00:00:00:01", Port: "ge03"}, false},
		{"a chassis that is an address", "0206 05 01 0a140001" + portEth + ttl + end, site.Neighbour{Switch: "10.20.0.1", Port: "Eth1/7"}, false},
		{"no end", chassisMAC + portEth + ttl, site.Neighbour{Switch: "02:00:00:00:00:01", Port: "Eth1/7"}, false},
		{"padding after the end", chassisMAC + portEth + ttl + end + "ffffffff", site.Neighbour{Switch: "02:00:00:00:00:01", Port: "Eth1/7"}, false},
		{"a name with control characters", chassisMAC + portEth + ttl + "0a04 1b5b3261" + end, site.Neighbour{Switch: "[2a", Port: "Eth1/7"}, false},
		{"the port first", portEth + chassisMAC + ttl + end, site.Neighbour{}, true},
		{"no port", chassisMAC + ttl + end, site.Neighbour{}, true},
		{"a TLV that is cut off", chassisMAC + portEth + ttl + "0aff 6c", site.Neighbour{}, true},
		{"an empty chassis", "0200" + portEth + ttl + end, site.Neighbour{}, true},
		{"nothing", "", site.Neighbour{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := lldp.Parse(frame(tt.tlvs))
			if ok == tt.not {
				t.Fatalf("read: %t, %+v", ok, got)
			}
			if diff := cmp.Diff(tt.want, got); !tt.not && diff != "" {
				t.Error(diff)
			}
		})
	}
	tagged, _ := hex.DecodeString(strings.ReplaceAll("0180c200000e 020000000001 8100 007a 88cc"+chassisMAC+portEth+ttl+end, " ", ""))
	if n, ok := lldp.Parse(tagged); !ok || n.Port != "Eth1/7" {
		t.Errorf("a tagged frame: %+v, %t", n, ok)
	}
	other := frame(chassisMAC + portEth + ttl + end)
	other[12], other[13] = 8, 0
	if n, ok := lldp.Parse(other); ok {
		t.Errorf("an IPv4 frame was read as %+v", n)
	}
}

// FuzzParse: whatever a port hears, what comes of it prints and is bounded.
func FuzzParse(f *testing.F) {
	f.Add(frame(chassisMAC + portEth + ttl + name + pvid + frameSize + end))
	f.Add(frame(chassisMAC + "0407 03 020000000009" + ttl + "0804 67653033" + end))
	f.Add(frame("0206 05 01 0a140001" + portEth + ttl + end))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := lldp.Parse(b)
		if !ok {
			return
		}
		for _, s := range []string{n.Switch, n.Port} {
			if s != site.Printable(s, 1022) {
				t.Errorf("%q does not print", s)
			}
		}
		if n.VLAN < 0 || n.VLAN > 4095 || n.MTU < 0 || n.MTU > 65535 {
			t.Errorf("%+v", n)
		}
	})
}
