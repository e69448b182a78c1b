package profile

import (
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

func TestShippedProfilesLoad(t *testing.T) {
	names := Names(profiles.Files)
	if len(names) == 0 {
		t.Fatal("there are none")
	}
	for _, name := range names {
		p, err := Load(profiles.Files, name)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.Summary == "" {
			t.Errorf("%s has no summary", name)
		}
		for _, s := range p.Sysctl {
			if s.Why == "" || s.Source == "" {
				t.Errorf("%s: sysctl %s lacks its why or its source", name, s.Key)
			}
		}
		for _, l := range p.Limits {
			if l.Why == "" || l.Source == "" {
				t.Errorf("%s: limit %s %s lacks its why or its source", name, l.Domain, l.Item)
			}
		}
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "name: p\nsummary: x\nsysctls: []\n", "[3:1] unknown field \"sysctls\""},
		{"unknown key further in", "name: p\nsysctl:\n  - key: a\n    value: b\n    reason: c\n", "[5:5] unknown field \"reason\""},
		{"a key twice", "name: p\nsummary: a\nsummary: b\n", "[3:1]"},
		{"place with its file", "name: p\nsysctls: []\n", "p.yaml:2:1: "},
		{"wrong type", "name: p\nlimits: [{domain: root, item: nofile, value: many}]\n", "[2:46]"},
		{"not YAML", "name: [p\n", "profile p.yaml"},
		{"another name", "name: q\n", `profile p.yaml calls itself "q"`},
		{"empty", "", `calls itself ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(fstest.MapFS{"p.yaml": {Data: []byte(tt.text)}}, "p")
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "p.yaml") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestLoadNamesWhatThereIs(t *testing.T) {
	from := fstest.MapFS{"base.yaml": {}, "compute.yaml": {}, "README.md": {}}
	for _, name := range []string{"storage", "../base", "", "a/b", "base.yaml"} {
		_, err := Load(from, name)
		if err == nil || !strings.Contains(err.Error(), "there are base, compute") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func settings() *site.Settings {
	return &site.Settings{
		Domain:    "gz.example.net",
		Access:    site.Access{Root: site.RootLocked, SSHKeys: []string{"ssh-ed25519 AAAA a"}},
		Provision: site.Provision{Network: "provision"},
		Networks: map[string]site.Network{"provision": {
			DNS: []netip.Addr{netip.MustParseAddr("10.20.0.1")}, NTP: []netip.Addr{netip.MustParseAddr("10.20.0.2")},
		}},
		Roles: map[string]site.Role{"controller": {Profile: "p"}, "lost": {Profile: "q"}},
	}
}

func TestResolve(t *testing.T) {
	from := fstest.MapFS{"p.yaml": {Data: []byte(`
name: p
packages: [curl]
services: [ssh]
sysctl: [{key: vm.swappiness, value: "10", why: because, source: there}]
limits: [{domain: root, item: nofile, value: 65536}]
`)}}
	addr := netip.MustParseAddr("10.20.1.1")
	disks := []site.DiskSelector{{WWN: "0x1"}}
	got, err := Resolve(from, settings(), &site.Node{
		Name: "cs-controller-01", Role: "controller", Addresses: map[string]netip.Addr{"provision": addr, "storage": netip.MustParseAddr("10.23.0.1")},
		Disks: site.Disks{System: disks},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &Intent{
		Node: "cs-controller-01", Domain: "gz.example.net", Role: "controller", Profile: "p",
		Locale:  site.Locale{Timezone: "UTC", Language: "en_US.UTF-8", Keyboard: "us"},
		Access:  site.Access{Root: site.RootLocked, SSHKeys: []string{"ssh-ed25519 AAAA a"}},
		Address: addr, DNS: []netip.Addr{netip.MustParseAddr("10.20.0.1")}, NTP: []netip.Addr{netip.MustParseAddr("10.20.0.2")},
		Hosts: []Host{{addr, []string{"cs-controller-01.gz.example.net", "cs-controller-01"}}},
		Disks: site.Disks{System: disks}, Chain: []string{"p"},
		Concepts: []Value{
			{Kind: "packages", Value: "curl", Reason: Reason{From: "profile p (p.yaml:3)"}},
			{Kind: "services", Value: "ssh", Reason: Reason{From: "profile p (p.yaml:4)"}},
		}, Packages: []string{"curl"}, Services: []string{"ssh"},
		Sysctl: []Setting{{Key: "vm.swappiness", Value: "10", Reason: Reason{Why: "because", Source: "there", From: "profile p (p.yaml:5)"}}},
		Limits: []Limit{{Domain: "root", Item: "nofile", Value: 65536, Reason: Reason{From: "profile p (p.yaml:6)"}}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResolveKeepsTheLocaleOfThePlan(t *testing.T) {
	s := settings()
	s.Locale = site.Locale{Timezone: "Asia/Shanghai", Language: "zh_CN.UTF-8", Keyboard: "de"}
	got, err := Resolve(fstest.MapFS{"p.yaml": {Data: []byte("name: p\n")}}, s, &site.Node{Role: "controller"})
	if err != nil || got.Locale != s.Locale || got.Address.IsValid() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestResolveRefuses(t *testing.T) {
	from := fstest.MapFS{"p.yaml": {Data: []byte("name: p\n")}}
	for role, want := range map[string]string{
		"none": `node n has role "none", which the plan does not define`,
		"lost": `role lost: there is no role profile "q": there are p`,
	} {
		if _, err := Resolve(from, settings(), &site.Node{Name: "n", Role: role}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestFQDN(t *testing.T) {
	for domain, want := range map[string]string{"": "n", "example.net": "n.example.net"} {
		if got := (&Intent{Node: "n", Domain: domain}).FQDN(); got != want {
			t.Errorf("domain %q gives %s, want %s", domain, got, want)
		}
	}
}

// FuzzLoad: a customer's profile may be anything, and is refused or read, and
// what is read resolves or says why not.
func FuzzLoad(f *testing.F) {
	data, err := profiles.Files.ReadFile("base.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("name: p\nlimits: [{value: 1e99}]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte(strings.ReplaceAll(grandparent, "${kind}", "${text}")))
	f.Add([]byte("name: base\nsysctl: [{key: -, value: '${hugepages}', when: '! !nfv'}]\n"))
	if data, err = profiles.Files.ReadFile("compute.yaml"); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(strings.Replace(string(data), "name: compute\nextends: base", "name: base", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		from := fstest.MapFS{"base.yaml": {Data: data}}
		if p, err := Load(from, "base"); err == nil && p.Name != "base" {
			t.Errorf("took a profile that calls itself %q", p.Name)
		}
		s := settings()
		s.Roles["r"] = site.Role{Profile: "base", Hardware: server256(), Disks: disks(4)}
		if i, err := Resolve(from, s, &site.Node{Name: "n", Role: "r"}); err == nil && i.Profile != "base" {
			t.Errorf("resolved %q", i.Profile)
		}
	})
}
