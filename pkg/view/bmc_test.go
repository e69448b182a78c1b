package view_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// TestBMCsOnTheWire: what an operator sees of BMCs that asked for an address.
func TestBMCsOnTheWire(t *testing.T) {
	mac := func(n byte) site.MAC { return site.MAC{2, 0, 0, 0xbb, 0, n} }
	s := state(t,
		site.NodePlanned{Node: site.Node{Name: "n7", Serial: "8J4XK63"}},
		site.StrangerSeen{MAC: mac(1), Class: "iDRAC", Hostname: "idrac-8j4xk63"},
		site.LeaseGranted{Lease: site.Lease{MAC: mac(1), Addr: netip.MustParseAddr("10.21.255.10"), Until: epoch.Add(time.Hour)}},
		site.StrangerSeen{MAC: site.MAC{0x3c, 0xec, 0xef, 0, 0, 2}, Class: "udhcp 1.23.1"},
		site.StrangerSeen{MAC: mac(3), Arch: "x86_64", Class: "PXEClient:Arch:00007"},
	)
	got := map[string]view.Node{}
	for _, n := range view.Nodes(s, nil, true, epoch) {
		got[n.Name] = n
	}
	for name, want := range map[string]struct {
		kind, of, detail, why string
	}{
		mac(1).String():     {view.KindBMC, "n7", "BMC, Dell iDRAC, host name idrac-8j4xk63, serial 8j4xk63, that of n7", "rackseed inventory --bmc 10.21.255.10"},
		"3c:ec:ef:00:00:02": {view.KindBMC, "", "perhaps a BMC, Supermicro, vendor class udhcp 1.23.1 from a port of Supermicro", "add bmc_pool"},
		mac(3).String():     {"", "", "x86_64", ""},
	} {
		n := got[name]
		if n.Kind != want.kind || n.BMCOf != want.of || n.Detail != want.detail || !strings.Contains(n.Why, want.why) {
			t.Errorf("%s: %+v", name, n)
		}
	}
}
