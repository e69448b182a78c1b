package bootplan_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

const token = "TOKENTOKENTOKEN"

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

func composer() *bootplan.Composer {
	return &bootplan.Composer{Profiles: profiles.Files, Root: func(site.Secret) (string, error) { return answer.Masked, nil }}
}

func server() ipxe.Server {
	return ipxe.Server{Addr: netip.MustParseAddr("10.20.0.1"), HTTP: "http://10.20.0.1:8080"}
}

func fold(t interface{ Fatal(...any) }, s *site.State, at time.Time, bodies ...site.Body) *site.State {
	s = s.Fork()
	for _, b := range bodies {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, At: at, Body: b}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func planned(t interface{ Fatal(...any) }) *site.State {
	return fold(t, site.NewState(), epoch,
		site.PlanApplied{Settings: site.Settings{
			Provision: site.Provision{Network: "p"}, Networks: map[string]site.Network{"p": {Subnet: netip.MustParsePrefix("10.20.0.0/16")}},
			Roles: map[string]site.Role{"base": {Profile: "base", Image: "debian13"}, "odd": {Profile: "nothing", Image: "debian13"}},
		}},
		site.ImageAdded{Image: site.Image{Name: "debian13", Digest: "d1", Family: "debian", Distro: "debian", Version: "13", Arch: "x86_64", Kernel: "install amd/c++/linux", Initrd: "initrd.gz", Repos: []string{"."}}},
		site.NodePlanned{Node: site.Node{Name: "n1", Role: "base", MACs: []site.MAC{{2, 0, 0, 0, 0, 1}}}},
		site.NodePlanned{Node: site.Node{Name: "n2", Role: "odd", MACs: []site.MAC{{2, 0, 0, 0, 0, 2}}}},
	)
}

func compose(t *testing.T, s *site.State, name string) (bootplan.Plan, error) {
	t.Helper()
	m, ok := s.Machine(name)
	if !ok {
		t.Fatal("no such node")
	}
	return composer().Compose(s, m, boot.For(s, m, epoch), m.Node.MACs[0], server(), token)
}

// TestInstallIsWhole: whatever the installer is sent for, it is also given.
func TestInstallIsWhole(t *testing.T) {
	s := fold(t, planned(t), epoch, site.Armed{Node: "n1", Until: epoch.Add(time.Hour)})
	p, err := compose(t, s, "n1")
	if err != nil {
		t.Fatal(err)
	}
	if want := "http://10.20.0.1:8080/images/d1/install%20amd/c++/linux"; p.Boot.Kernel != want {
		t.Errorf("the kernel is at %s, want %s", p.Boot.Kernel, want)
	}
	first := "http://10.20.0.1:8080/answer/" + token + "/" + p.Answers.Files[0].Name
	for _, want := range []string{"kernel --name vmlinuz " + p.Boot.Kernel + " ", "initrd --name initrd.img " + p.Boot.Initrd, first} {
		if !strings.Contains(p.Script, want) {
			t.Errorf("the script lacks %q:\n%s", want, p.Script)
		}
	}
	for _, arg := range p.Boot.Args {
		if strings.ContainsAny(arg, "\t\n") || strings.Contains(arg, "||") || strings.Contains(arg, "&&") || strings.Contains(arg, "${") {
			t.Errorf("iPXE would not take %q for an argument", arg)
		}
	}
}

// TestScriptIsThatOfThePlan: with its answers rendered before or not, and
// under a plan that can no longer be rendered, a node gets what Compose says.
func TestScriptIsThatOfThePlan(t *testing.T) {
	c := composer()
	script := func(s *site.State) (string, error) {
		m, _ := s.Machine("n1")
		return c.Script(s, m, boot.For(s, m, epoch), m.Node.MACs[0], server(), token)
	}
	s := fold(t, planned(t), epoch, site.Armed{Node: "n1", Until: epoch.Add(time.Hour)})
	want, err := compose(t, s, "n1")
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"first", "again"} {
		if got, err := script(s); err != nil || got != want.Script {
			t.Errorf("%s: error %v, the script is\n%s\nwant\n%s", when, err, got, want.Script)
		}
	}
	other := fold(t, s, epoch, site.ImageAdded{Image: site.Image{Name: "debian13", Digest: "d2", Family: "debian", Distro: "debian", Version: "7"}})
	if got, err := script(other); err == nil || got != "" {
		t.Errorf("from an image that nothing can be written for: %q", got)
	}
	m, _ := s.Machine("n1")
	broken := *m.Node
	broken.Role = "odd"
	replanned := fold(t, s, epoch, site.PlanApplied{Settings: s.Settings, Digest: "another"}, site.NodePlanned{Node: broken}, site.Armed{Node: "n1", Until: epoch.Add(time.Hour)})
	if got, err := script(replanned); err == nil || got != "" {
		t.Errorf("under a plan that cannot be carried out: %q", got)
	}
}

func TestWhatIsNotInstalledGetsNoAnswers(t *testing.T) {
	held := fold(t, planned(t), epoch, site.NodeHeld{Node: "n1", Reason: "doubt"})
	for name, s := range map[string]*site.State{"planned": planned(t), "held": held} {
		p, err := compose(t, s, "n1")
		if err != nil || len(p.Answers.Files) > 0 || p.Boot.Kernel != "" || strings.Contains(p.Script, token) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestUncomposable: an install that cannot be carried out is an error before
// anything of it was handed out.
func TestUncomposable(t *testing.T) {
	arm := func(n string) site.Body { return site.Armed{Node: n, Until: epoch.Add(time.Hour)} }
	odd := site.ImageAdded{Image: site.Image{Name: "debian13", Digest: "d2", Family: "plan9"}}
	for name, c := range map[string]struct {
		node string
		s    *site.State
		says string
	}{
		"profile": {"n2", fold(t, planned(t), epoch, arm("n2")), `"nothing"`},
		"family":  {"n1", fold(t, planned(t), epoch, arm("n1"), odd), "plan9"},
	} {
		p, err := compose(t, c.s, c.node)
		if err == nil || !strings.Contains(err.Error(), c.says) || p.Script != "" || len(p.Answers.Files) > 0 {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	s := fold(t, planned(t), epoch, arm("n1"))
	m, _ := s.Machine("n1")
	c := composer()
	c.Root = func(site.Secret) (string, error) { return "", errors.New("another key") }
	if p, err := c.Compose(s, m, boot.For(s, m, epoch), site.MAC{}, server(), token); err == nil || p.Script != "" {
		t.Errorf("with a key that is gone: %+v, %v", p, err)
	}
}

// TestInstallerOnlyForWhoIsArmed is the promise of the product, for machines
// with any history: a kernel in the script means that an arming holds or that
// the attempt which used it up still runs.
func TestInstallerOnlyForWhoIsArmed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now := planned(t), epoch
		for range rapid.IntRange(0, 25).Draw(t, "steps") {
			m, _ := s.Machine("n1")
			now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
			s = fold(t, s, now, step(t, s, m, now)...)
		}
		m, _ := s.Machine("n1")
		armed := m.Phase == site.PhaseArmed && now.Before(m.Arming.Until)
		p, err := composer().Compose(s, m, boot.For(s, m, now), site.MAC{2, 0, 0, 0, 0, 1}, server(), token)
		if err != nil {
			t.Fatal(err)
		}
		file, boots := ipxe.BootFile(ipxe.Client{Arch: ipxe.ArchX64}, p.Boot.Decision, server())
		hands := strings.Contains(p.Script, "\nkernel ") || len(p.Answers.Files) > 0 || strings.Contains(p.Script, token)
		if hands && !armed && !m.Running() {
			t.Fatalf("%s (%+v) is handed an installer:\n%s", m.Phase, m.Arming, p.Script)
		}
		if hands && !boots {
			t.Fatalf("the script installs, but DHCP gives %q", file)
		}
		if m.Installed && hands {
			t.Fatal("an installed machine is handed an installer")
		}
	})
}

// step is something that can happen to a machine.
func step(t *rapid.T, s *site.State, m *site.Machine, now time.Time) []site.Body {
	switch rapid.SampledFrom([]string{"arm", "disarm", "ask", "report", "expire", "hold", "image"}).Draw(t, "what") {
	case "arm":
		bodies, _ := install.Arm(s, []*site.Machine{m}, "ops", "", now.Add(time.Hour)) // or refused
		return bodies
	case "disarm":
		return install.Disarm([]*site.Machine{m}, "ops", "")
	case "ask":
		d := boot.For(s, m, now)
		switch {
		case m.Running():
			return install.RealTime.Again(m, now)
		case d.Action == boot.Install:
			return []site.Body{install.RealTime.Start(m, d.Image.Digest, "n", "hash", site.MAC{}, netip.Addr{}, now)}
		}
	case "report":
		stage := rapid.SampledFrom([]install.Stage{install.StageAnswer, install.StageEarly, install.StagePartitioned, install.StageDone, install.StageVerified, install.StageFailed}).Draw(t, "stage")
		if m.Attempt.Number > 0 && (m.Running() || m.Phase == site.PhaseInstalled || m.Phase == site.PhaseFailed) {
			bodies, _ := install.RealTime.Next(m, install.Report{Stage: stage}, now) // or refused
			return bodies
		}
	case "expire":
		return install.RealTime.Expire(s, now, time.Time{})
	case "hold":
		if m.Phase == site.PhaseArmed || m.Running() {
			return []site.Body{site.NodeHeld{Node: m.Node.Name, Reason: "doubt"}}
		}
	case "image":
		if i, ok := s.Images.Get("debian13"); ok && !m.Running() {
			return []site.Body{site.ImageRemoved{Name: i.Name}, site.ImageAdded{Image: i}}
		}
	}
	return nil
}

// TestInstallersLogToTheDaemon, in the words of each, and only where it
// listens.
func TestInstallersLogToTheDaemon(t *testing.T) {
	s := fold(t, planned(t), epoch,
		site.ImageAdded{Image: site.Image{Name: "rocky9", Digest: "r9", Family: "rhel", Distro: "rocky", Version: "9.6", Arch: "x86_64", Kernel: "images/pxeboot/vmlinuz", Initrd: "images/pxeboot/initrd.img", Repos: []string{"BaseOS", "AppStream"}}},
	)
	m, ok := s.Machine("n1")
	if !ok {
		t.Fatal("no such node")
	}
	for image, want := range map[string]string{"debian13": " log_host=10.20.0.1 log_port=514 ", "rocky9": " inst.syslog=10.20.0.1:514 "} {
		i, _ := s.Images.Get(image)
		d := boot.Decision{Action: boot.Install, Node: m.Node, Attempt: 1, Image: i}
		for _, port := range []uint16{514, 0} {
			c := composer()
			c.Syslog = port
			for _, when := range []string{"at first", "when its answers were rendered before"} {
				script, err := c.Script(s, m, d, m.Node.MACs[0], server(), token)
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(script, want) != (port != 0) {
					t.Errorf("%s, port %d, %s:\n%s", image, port, when, script)
				}
			}
		}
	}
}
