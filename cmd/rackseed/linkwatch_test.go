package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
)

func TestLinkTrouble(t *testing.T) {
	addr := netip.MustParseAddr("10.20.0.5")
	l := link{name: "enp3s0", index: 2, addr: addr}
	s := site.Settings{Networks: map[string]site.Network{"provision": {Subnet: netip.MustParsePrefix("10.20.0.0/16")}}}
	up := survey.Interface{Name: "enp3s0", Index: 2, Up: true, Carrier: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.20.0.5/16")}}
	for name, c := range map[string]struct {
		change func(*survey.Interface)
		want   []string // nothing: no trouble
	}{
		"as it was":            {func(*survey.Interface) {}, nil},
		"one address more":     {func(i *survey.Interface) { i.Addrs = append(i.Addrs, netip.MustParsePrefix("192.0.2.1/24")) }, nil},
		"taken down":           {func(i *survey.Interface) { i.Up, i.Carrier = false, false }, []string{"enp3s0 is down", "ip link set enp3s0 up"}},
		"a cable pulled":       {func(i *survey.Interface) { i.Carrier = false }, []string{"no carrier", "cable"}},
		"its address lost":     {func(i *survey.Interface) { i.Addrs = nil }, []string{"lost the address 10.20.0.5", "ip addr add 10.20.0.5/16 dev enp3s0", "nmcli device set enp3s0 managed no"}},
		"a USB card put again": {func(i *survey.Interface) { i.Index = 7 }, []string{"enp3s0 was away", "start the daemon again"}},
	} {
		i := up
		i.Addrs = append([]netip.Prefix(nil), up.Addrs...)
		c.change(&i)
		got := linkTrouble(l, i, s)
		if (got == "") != (c.want == nil) {
			t.Errorf("%s: %q", name, got)
		}
		for _, part := range c.want {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q does not say %q", name, got, part)
			}
		}
	}
}
