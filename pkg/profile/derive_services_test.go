package profile

import (
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// TestSizesOfServices: what the hardware and the size of the site come to.
func TestSizesOfServices(t *testing.T) {
	memory := func(n int64) site.Hardware { return site.Hardware{Memory: n * gib} }
	for _, c := range []struct {
		profile, key string
		set          map[string]any
		hardware     site.Hardware
		want         string
	}{
		{"database", "innodb_buffer_pool_size", nil, memory(256), "8589934592"},
		{"database", "innodb_buffer_pool_size", nil, memory(16), "6871947673"},
		{"database", "innodb_buffer_pool_size", nil, site.Hardware{}, ""},
		{"message-queue", "disk_free_limit", nil, memory(64), "41231686042"},
		{"message-queue", "disk_free_limit", map[string]any{"vm_memory_high_watermark": 0.4}, memory(64), "27487790695"},
		{"message-queue", "disk_free_limit", nil, site.Hardware{}, ""},
		{"message-queue", "vm_memory_high_watermark", nil, site.Hardware{}, "0.6"},
		{"monitoring", "prometheus_storage", nil, site.Hardware{}, "259200000"}, // one node
	} {
		i := settled(t)(resolved(t, c.profile, c.set, c.hardware, site.Disks{}))
		if got := byKey(i.Derived)[c.key]; got != c.want {
			t.Errorf("%s of %s with %d GiB and %v is %q, want %q", c.key, c.profile, c.hardware.Memory/gib, c.set, got, c.want)
		}
	}
}

// TestPrometheusOfALargeSite: 512 nodes take 66 to 132 GB in 15 days.
func TestPrometheusOfALargeSite(t *testing.T) {
	s := settings()
	s.Roles["m"] = site.Role{Profile: "monitoring"}
	nodes := make([]site.Node, 512)
	for n := range nodes {
		nodes[n] = site.Node{Name: "n", Role: "m"}
	}
	i := settled(t)(NewResolver(profiles.Files, s, NodesOf(nodes)).Resolve(&nodes[0]))
	if got := byKey(i.Derived)["prometheus_storage"]; got != "132710400000" {
		t.Errorf("%s bytes", got)
	}
}

// TestGuardsFollowTheDeployer: Kolla wants neither firewalld nor SELinux in
// its way, and a plan can decide otherwise.
func TestGuardsFollowTheDeployer(t *testing.T) {
	for _, c := range []struct {
		deployer          string
		set               map[string]any
		firewall, selinux string
	}{
		{"", nil, "on", "enforcing"},
		{"kolla", nil, "off", "permissive"},
		{"kolla", map[string]any{"firewall": true, "selinux": true}, "on", "enforcing"},
		{"", map[string]any{"firewall": false, "selinux": false}, "off", "permissive"},
	} {
		s := settings()
		s.OpenStack.Deployer = c.deployer
		s.Roles["r"] = site.Role{Profile: "base", Set: c.set}
		i := settled(t)(Resolve(profiles.Files, s, &site.Node{Name: "n", Role: "r"}))
		if i.Firewall.Value != c.firewall || i.SELinux.Value != c.selinux {
			t.Errorf("deployer %q, %v: firewall %s, SELinux %s", c.deployer, c.set, i.Firewall.Value, i.SELinux.Value)
		}
	}
}
