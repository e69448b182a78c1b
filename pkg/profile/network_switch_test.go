package profile

import (
	"slices"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

func TestSwitchHints(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*site.Bond)
		want   []string // vendors
		ports  []string
	}{
		{"a vendor", func(b *site.Bond) { b.Mode, b.Options, b.Fallback = "802.3ad", nil, "Huawei" }, []string{"huawei"}, []string{"leaf-1 10GE1/0/1"}},
		{"some vendor", func(b *site.Bond) { b.Mode, b.Options, b.Fallback = "802.3ad", nil, "yes" },
			[]string{"huawei", "h3c", "cisco", "arista", "juniper", "dell", "cumulus", "ruckus"}, []string{"leaf-1 10GE1/0/1"}},
		{"no LACP", func(b *site.Bond) {}, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, n := hyperconverged()
			b := s.Roles["hci"].Bonds["bond0"]
			tt.change(&b)
			s.Roles["hci"].Bonds["bond0"] = b
			n.NICs = map[string]site.NIC{"nic1": {MAC: n.MACs[0], Switch: "leaf-1", Port: "10GE1/0/1"}}
			network, err := network(s, n)
			if err != nil {
				t.Fatal(err)
			}
			var vendors, ports []string
			for _, h := range SwitchHints(s, network) { // bond1 speaks LACP too, and nothing boots over it
				if h.Bond != "bond0" || len(h.Commands) == 0 {
					t.Errorf("%+v", h)
				}
				vendors, ports = append(vendors, h.Vendor), h.Ports
			}
			if !slices.Equal(vendors, tt.want) || !slices.Equal(ports, tt.ports) {
				t.Errorf("got %v %v, want %v %v", vendors, ports, tt.want, tt.ports)
			}
		})
	}
	if got := SwitchHints(&site.Settings{}, nil); got != nil {
		t.Errorf("%v", got)
	}
}
