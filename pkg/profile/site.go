package profile

import (
	"iter"
	"maps"
	"net/netip"
	"slices"

	"github.com/rackseed/rackseed/pkg/site"
)

// hostsOf lists who is who: each node by the address that it is managed by,
// and the virtual addresses of the cloud. There is no line for 127.0.1.1:
// Kolla wants a name to resolve to nothing but the API address.
func hostsOf(s *site.Settings, nodes iter.Seq[*site.Node]) []Host {
	management, _, _ := networkFor(s, site.NetManagement)
	var hosts []Host
	for n := range nodes {
		addr, ok := n.Addresses[management]
		if !ok {
			addr, ok = s.Address(n)
		}
		if ok && addr.IsValid() {
			hosts = append(hosts, Host{addr, names(n.Name, s.Domain)})
		}
	}
	slices.SortStableFunc(hosts, func(a, b Host) int { return a.Addr.Compare(b.Addr) })
	for _, vip := range []struct {
		name string
		addr netip.Addr
	}{{"internal", s.OpenStack.InternalVIP}, {"external", s.OpenStack.ExternalVIP}} {
		if vip.addr.IsValid() {
			hosts = append(hosts, Host{vip.addr, names(vip.name, s.Domain)})
		}
	}
	return hosts
}

// names puts the full name first: it is the canonical one (hosts(5)).
func names(bare, domain string) []string {
	if domain == "" {
		return []string{bare}
	}
	return []string{bare + "." + domain, bare}
}

// repositoriesOf are where a node finds packages when the laptop has gone:
// the mirror of its medium, and what the plan adds.
func repositoriesOf(s *site.Settings, n *site.Node) []Repository {
	image := s.ImageOf(n)
	var list []Repository
	if m := s.Images[image]; m.Mirror != "" {
		list = append(list, Repository{Name: image, URL: m.Mirror, Key: m.MirrorKey, Mirror: true})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Repositories)) {
		r := s.Repositories[name]
		if len(r.Images) == 0 || slices.Contains(r.Images, image) {
			list = append(list, Repository{Name: name, URL: r.URL, Key: r.Key, Suite: r.Suite})
		}
	}
	return list
}
