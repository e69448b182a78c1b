package answer

import (
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

func TestArgumentsOfEachGeneration(t *testing.T) {
	var all strings.Builder
	for _, image := range anacondas() {
		args := render(t, target(t, image)).Args
		all.WriteString(image.Name + ":\n")
		for _, a := range args {
			name, _, _ := strings.Cut(a, "=")
			// EL9 and later ignore what has no prefix; an installer that listens has no password.
			if slices.Contains(strings.Fields("ks ksdevice repo stage2 inst.sshd"), name) {
				t.Errorf("%s: %s", image.Name, a)
			}
			all.WriteString("  " + a + "\n")
		}
		if last := args[len(args)-1]; last != "console="+console(image) {
			t.Errorf("%s: the installer's last console is %s", image.Name, last)
		}
	}
	golden(t, "arguments", all.String())
}

func TestCommandLineFitsTheKernel(t *testing.T) {
	for _, image := range append(anacondas(), debian("13")) {
		target := target(t, image)
		target.Token = strings.Repeat("x", 2048)
		if _, err := Render(target); err == nil || !strings.Contains(err.Error(), "the kernel keeps 2047") {
			t.Errorf("%s: got %v", image.Name, err)
		}
	}
}

func TestGenerations(t *testing.T) {
	for _, tt := range []struct {
		family, version string
		ok              bool
	}{
		{"rhel", "8", true}, {"rhel", "9.4", true}, {"rhel", "10", true}, {"rhel", "7.9", false}, {"rhel", "11", false}, {"rhel", "", false},
		{"openeuler", "20.03-LTS", true}, {"openeuler", "22.03-LTS-SP4", true}, {"openeuler", "24.03", true}, {"openeuler", "25.03", false},
		{"kylin", "V10", true}, {"kylin", "10", true}, {"kylin", "v10-SP2", true}, {"kylin", "V11", false},
	} {
		image := site.Image{Family: tt.family, Distro: tt.family, Version: tt.version}
		if _, err := dialectOf(image); (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "yet: use release 8, 9 or 10") {
			t.Errorf("%s %s: %v", tt.family, tt.version, err)
		}
	}
}

// TestTimeInEachGeneration: a generation that does not know timesource stops at it.
func TestTimeInEachGeneration(t *testing.T) {
	for _, image := range anacondas() {
		old := slices.Contains([]string{"rhel 8", "openeuler 20.03", "openeuler 22.03", "kylin V10"}, generation(image))
		for _, servers := range []bool{true, false} {
			target := target(t, image)
			if !servers {
				target.Intent.NTP = nil
			}
			d, err := readKickstart(string(render(t, target).Files[0].Data))
			if err != nil {
				t.Fatal(err)
			}
			got := append(d.all("timezone"), d.all("timesource")...)
			want := [][]string{{"timezone", "Asia/Shanghai", "--utc"}}
			switch {
			case old && servers:
				want[0] = append(want[0], "--ntpservers=10.20.0.1,10.20.0.2")
			case old:
				want[0] = append(want[0], "--nontp")
			case servers:
				want = append(want, []string{"timesource", "--ntp-server=10.20.0.1"}, []string{"timesource", "--ntp-server=10.20.0.2"})
			default:
				want = append(want, []string{"timesource", "--ntp-disable"})
			}
			if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
				t.Errorf("%s: %q, want %q", image.Name, got, want)
			}
		}
	}
}

func TestKylinKeepsItsLicence(t *testing.T) {
	for _, image := range anacondas() {
		text := string(render(t, target(t, image)).Files[0].Data)
		if got := strings.Contains(text, ".kyinfo LICENSE"); got != (image.Family == "kylin") {
			t.Errorf("%s: copies .kyinfo: %v", image.Name, got)
		}
		if got := strings.Contains(text, "This installer adds crashkernel="); got != (image.Family == "openeuler") {
			t.Errorf("%s: tells of crashkernel: %v", image.Name, got)
		}
	}
}

func TestPackageNames(t *testing.T) {
	for _, tt := range []struct {
		image site.Image
		want  []string
	}{
		{rocky9(), []string{"openssh-server", "tuned", "ceph-common", "iscsi-initiator-utils"}},
		{debian("13"), []string{"openssh-server", "tuned", "ceph-common", "open-iscsi"}},
	} {
		got, err := packageNames(tt.image, []string{"openssh-server", "tuned", "ceph", "iscsi", "ceph-common"})
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v %v", tt.image.Name, got, err)
		}
	}
	if _, err := packageNames(debian("13"), []string{"selinux"}); err == nil || !strings.Contains(err.Error(), "debian has no package for selinux") {
		t.Errorf("got %v", err)
	}
}

// TestScriptsOfDisksParse looks at what only mirrors, layouts and Kylin have.
