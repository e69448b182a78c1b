package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

const vettedPlan = `site: lab
access: {root: locked, ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wwg3UurraDbeMtHZnOQ9ghgBcCDzWap+AGtph4kvI ops]}
provision: {network: p, dhcp: server}
networks: {p: {subnet: 10.20.0.0/16, gateway: 10.20.0.1, dns: [10.20.0.1], ntp: [10.20.0.1]}}
images: {golden: {file: golden.iso}, other: {file: other.iso}}
roles:
  one: {profile: base, image: golden, hardware: {arch: x86_64}}
  two: {profile: base, image: other}
nodes:
  - {name: n1, role: one, mac: "52:54:00:00:00:01", addresses: {p: 10.20.1.1}}
  - {name: n2, role: two, mac: "52:54:00:00:00:02", addresses: {p: 10.20.1.2}}
`

// TestVet: what the plan alone does not show is found before a machine is
// armed: the media, and whether there is anything to serve.
func TestVet(t *testing.T) {
	medium := func(name string, edit func(*site.Image)) site.Image {
		i := site.Image{
			Name: name, Digest: strings.Repeat("a", 64), Family: "rhel", Distro: "rocky", Version: "9.6", Arch: "x86_64",
			Kernel: "images/pxeboot/vmlinuz", Initrd: "images/pxeboot/initrd.img", Stage2: "images/install.img", Repos: []string{"BaseOS", "AppStream"},
		}
		if edit != nil {
			edit(&i)
		}
		return i
	}
	for _, c := range []struct {
		name   string
		media  []site.Image
		server netip.Addr
		bad    bool // the profile of n1's role is replaced by one that no writer can write down
		want   string
	}{
		{name: "good", media: []site.Image{medium("golden", nil)}},
		{name: "another architecture", media: []site.Image{medium("golden", func(i *site.Image) { i.Arch = "aarch64" })}, want: "n1 is x86_64 and its image golden is for aarch64"},
		{name: "no installer system", media: []site.Image{medium("golden", func(i *site.Image) { i.Stage2 = "" })}, want: "[image-without-stage2, at images.golden]"},
		{name: "no writer", media: []site.Image{medium("golden", func(i *site.Image) { i.Version = "7.9" })}, want: "installer-unknown"},
		{name: "what others install from", media: []site.Image{medium("golden", nil), medium("other", func(i *site.Image) { i.Stage2 = "" })}},
		{name: "an address that is this server's", media: []site.Image{medium("golden", nil)}, server: netip.MustParseAddr("10.20.1.2"), want: "10.20.1.2 of n2 is already this server's"},
		{name: "nothing to serve", media: []site.Image{medium("golden", nil)}, bad: true, want: "n1 could not be installed: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			plan := filepath.Join(dir, "plan.yaml")
			text := vettedPlan
			if c.bad {
				text = strings.Replace(text, "one: {profile: base", "one: {profile: own", 1)
				if err := os.Mkdir(filepath.Join(dir, "profiles"), 0o700); err != nil {
					t.Fatal(err)
				}
				own := "name: own\nextends: base\nsummary: A site's own.\npackages: [a-package-nobody-knows]\n"
				if err := os.WriteFile(filepath.Join(dir, "profiles", "own.yaml"), []byte(own), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			box, err := seal.Ephemeral()
			if err != nil {
				t.Fatal(err)
			}
			s, err := stateOfPlan(plan, box)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range c.media {
				if err := s.Apply(site.Event{Seq: s.Seq + 1, At: time.Unix(0, 0), Body: site.ImageAdded{Image: i}}); err != nil {
					t.Fatal(err)
				}
			}
			m, _ := s.Machine("n1")
			err = vet(&bootplan.Composer{Profiles: profiles.Files, Root: box.Open}, c.server, s, []*site.Machine{m})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
