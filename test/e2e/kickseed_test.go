//go:build e2e

package e2e

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/internal/lab"
)

// TestKickseedReadsOurKickstart has a real installer that is not ours take a
// kickstart of ours: Debian's, with kickseed, the reader it has for people who
// come from kickstart. It goes as far as that reader goes: our %pre has found
// the disk, and the commands have become answers of Debian's installer.
func TestKickseedReadsOurKickstart(t *testing.T) {
	t.Parallel()
	needInstall(t)
	hash := "$6$e2e$" + strings.Repeat("a", 86)
	iso := made(t, "kickseed/build.sh", root+"/.cache/e2e", medium(t))
	s := newSiteOf(t, installed{image: "el8", iso: iso, root: hash}, "", oneNode())
	disk := emptyDisk(t, s.Dir(), "disk", 12<<30)
	s.rackseed(t, "install", node, "--no-power", "--no-wait")
	machine := s.PowerOn(lab.Machine{Name: node, MAC: nodeMAC(), Memory: 1536, Disk: disk, Serial: "E2E0001"})
	ctx, cancel := context.WithTimeout(t.Context(), installTime)
	defer cancel()
	if _, err := machine.WaitSerial(ctx, `kickseed has read the kickstart`); err != nil {
		t.Fatalf("%v\n%s", err, machine.Serial.Tail(60))
	}

	said := machine.Serial.String()
	for _, want := range []string{
		`/dev/vda, 12 GB, path pci-.*: fits system`,
		`(?m)ignoredisk --only-use=vda$`,
		`(?m)part / --fstype=xfs --size=[0-9]+ --grow --ondisk=vda$`,
		`answer: d-i time/zone string Asia/Shanghai`,
		`answer: d-i netcfg/get_hostname string ` + node + `\.` + regexp.QuoteMeta(domain),
		`answer: passwd passwd/root-password-crypted password ` + regexp.QuoteMeta(hash),
		`answer: d-i mirror/http/directory string /images/[0-9a-f]{64}/`,
		`answer: d-i partman-auto/disk string /dev/vda`,
		`answer: d-i partman-auto/expert_recipe string .* 1024 1024 1024 xfs .* mountpoint\{ /boot \} .* mountpoint\{ / \}`,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("the console does not say %s", want)
		}
	}
	var unknown []string
	for _, m := range regexp.MustCompile(`Unrecognised kickstart command: (\w+)`).FindAllStringSubmatch(said, -1) {
		unknown = append(unknown, m[1])
	}
	slices.Sort(unknown)
	if want := []string{"eula", "firstboot", "ignoredisk", "selinux", "sshkey"}; !slices.Equal(slices.Compact(unknown), want) {
		t.Errorf("kickseed does not know %q, want %q", unknown, want)
	}
	if shown := s.show(t); shown.State != "installing" || shown.Stage != "disk" {
		t.Errorf("node show says %+v, want installing and the disk found", shown)
	}
}
