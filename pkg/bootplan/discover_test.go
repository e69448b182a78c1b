package bootplan_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/site"
)

// TestDiscoveryIsNoInstall: whatever the state, what a machine is handed to be
// looked at with names no answer file and no installer's argument.
func TestDiscoveryIsNoInstall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := planned(t), epoch
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			m, _ := s.Machine("n1")
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			if rapid.Bool().Draw(t, "ask") {
				s = fold(t, s, now, site.DiscoveryAsked{Node: "n1", By: "ops", Until: now.Add(time.Hour)})
				continue
			}
			s = fold(t, s, now, step(t, s, m, now)...)
		}
		leave := s.Settings
		leave.Discovery = site.Discovery{Strangers: rapid.Bool().Draw(t, "leave"), Image: "debian13"}
		s = fold(t, s, now, site.PlanApplied{Settings: leave})
		node, _ := s.Machine("n1")
		for _, m := range []*site.Machine{node, nil} {
			d := boot.For(s, m, now)
			p, err := composer().Compose(s, m, d, site.MAC{2, 0, 0, 0, 0, 1}, server(), token)
			if err != nil {
				t.Fatal(err)
			}
			if m == nil && len(p.Answers.Files) > 0 {
				t.Fatal("a stranger is given an answer file")
			}
			if d.Action != boot.Discover {
				continue
			}
			for _, word := range []string{"/answer/", "url=http://10.20.0.1:8080/answer", "auto=true", "install attempt"} {
				if strings.Contains(p.Script, word) {
					t.Fatalf("%q in the script of a discovery:\n%s", word, p.Script)
				}
			}
			if len(p.Answers.Files) > 0 || !strings.Contains(p.Script, "rdinit=/rackseed/discover") {
				t.Fatalf("%d answer files; %s", len(p.Answers.Files), p.Script)
			}
		}
	})
}

// TestDriversOfDebian: its network installer lacks drivers of disks, and is
// told where its medium has them.
func TestDriversOfDebian(t *testing.T) {
	s := planned(t)
	leave := s.Settings
	leave.Discovery = site.Discovery{Strangers: true, Image: "debian13"}
	s = fold(t, s, epoch, site.PlanApplied{Settings: leave})
	p, err := composer().Compose(s, nil, boot.For(s, nil, epoch), site.MAC{2}, server(), token)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"rackseed.modules=http://10.20.0.1:8080/images/d1/dists/trixie/main/debian-installer/binary-amd64/Packages.gz",
		"rackseed.url=http://10.20.0.1:8080/discover/02-00-00-00-00-00/-/" + token, "initrd --name discover.img http://10.20.0.1:8080/boot/discover-x86_64.cpio",
	} {
		if !strings.Contains(p.Script, want) {
			t.Errorf("the script lacks %q:\n%s", want, p.Script)
		}
	}
}

// TestCablesAreCheckedWhereTheyArePlanned, and nowhere else.
func TestCablesAreCheckedWhereTheyArePlanned(t *testing.T) {
	for _, tt := range []struct {
		name   string
		nic    site.NIC
		wiring site.Wiring
		want   string // of the script's variable; empty means that nobody looks
	}{
		{"no cable in the plan", site.NIC{MAC: site.MAC{2, 0, 0, 0, 0, 1}}, site.WiringEnforce, ""},
		{"a cable, and no word of what it does", site.NIC{MAC: site.MAC{2, 0, 0, 0, 0, 1}, Switch: "leaf-1"}, "", "wiring='warn'"},
		{"a speed alone", site.NIC{MAC: site.MAC{2, 0, 0, 0, 0, 1}, Speed: 10000}, site.WiringEnforce, "wiring='enforce'"},
		{"a cable that nobody is to look at", site.NIC{MAC: site.MAC{2, 0, 0, 0, 0, 1}, Switch: "leaf-1"}, site.WiringOff, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := planned(t)
			leave := s.Settings
			leave.Discovery.Wiring = tt.wiring
			m, _ := s.Machine("n1")
			n := *m.Node
			n.NICs = map[string]site.NIC{"nic1": tt.nic}
			s = fold(t, s, epoch, site.PlanApplied{Settings: leave}, site.NodePlanned{Node: n}, site.Armed{Node: "n1", Until: epoch.Add(time.Hour)})
			p, err := compose(t, s, "n1")
			if err != nil {
				t.Fatal(err)
			}
			script := ""
			for _, f := range p.Answers.Files {
				if f.Name == "disk.sh" {
					script = string(f.Data)
				}
			}
			if looks := strings.Contains(script, "check_cabling"); looks != (tt.want != "") || !strings.Contains(script, tt.want) {
				t.Errorf("it looks at cables: %t, want %q", looks, tt.want)
			}
		})
	}
}
