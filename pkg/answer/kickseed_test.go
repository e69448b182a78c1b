package answer

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

// kickseedHarness is what stands around kickseed's parser in Debian's
// installer: its answers and its log go into files, and %pre is kept.
const kickseedHarness = `set -e
HANDLERS=$lib/handlers
ks_log() { echo "$*" >>"$SPOOL/log"; }
ks_preseed() { echo "$*" >>"$SPOOL/preseed"; }
ks_write_script() { cat >/dev/null; }
ks_run_script() { cp "$4" "$SPOOL/pre"; }
. "$lib/kickseed.sh"
kickseed "$1"
`

// kickseed is Debian's own reader of kickstarts, by people who read them for
// another installer than anaconda and share nothing with us.
type kickseed struct {
	lib     string // its shell files
	grammar string // a sed script that takes out what is younger than it
	tools   string // busybox's, which its scripts are made for
}

func newKickseed(t *testing.T) kickseed {
	t.Helper()
	const udeb = "../../.cache/trixie/debs/kickseed-common.udeb"
	if _, err := os.Stat(udeb); err != nil {
		t.Skip("needs Debian's kickstart reader: hack/trixie.sh kickseed-common")
	}
	for _, program := range []string{"busybox", "dpkg-deb"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: apt-get install %[1]s", program)
		}
	}
	dir := t.TempDir()
	if out, err := within(t, "dpkg-deb", "-x", udeb, dir).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v: %s", udeb, err, out)
	}
	return kickseed{
		lib:     filepath.Join(dir, "lib/kickseed"),
		grammar: "../../test/e2e/kickseed/initrd/usr/lib/rackseed/old-grammar.sed",
		tools:   commands(t, map[string]string{"getopt": `exec busybox getopt "$@"`}),
	}
}

// translated is what kickseed made of a kickstart.
type translated struct {
	answers map[string]string
	log     []string // each remark once
	pre     string
	post    []string
	chroot  []bool // of post
}

// read has kickseed translate a kickstart whose %pre has written include.
func (k kickseed) read(t *testing.T, text, include string) translated {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text = strings.Replace(text, "%include /tmp/rackseed-disk.ks", "%include "+write("disk.ks", include), 1)
	sed := within(t, "sed", "-f", k.grammar, write("ks.rendered", text))
	old, err := sed.Output()
	if err != nil {
		t.Fatalf("%v: %v", sed, err)
	}
	cmd := within(t, "busybox", "sh", write("harness", kickseedHarness), write("ks.cfg", string(old)))
	cmd.Env = []string{"lib=" + k.lib, "SPOOL=" + dir, "PATH=" + k.tools + ":" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	got := translated{answers: map[string]string{}}
	file := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for line := range strings.Lines(file("preseed")) {
		f := strings.SplitN(strings.TrimRight(line, "\n"), " ", 4)
		got.answers[f[1]] = strings.Join(f[3:], "")
	}
	// What its handlers refuse is in the log, what getopt refuses is not.
	got.log = slices.Compact(slices.Sorted(strings.SplitSeq(strings.TrimSpace(file("log")+string(out)), "\n")))
	got.pre = file("pre")
	for i := 0; ; i++ {
		name := fmt.Sprintf("parse/post/%d", i)
		if _, err := os.Stat(filepath.Join(dir, name+".script")); err != nil {
			return got
		}
		_, err := os.Stat(filepath.Join(dir, name+".chroot"))
		got.post, got.chroot = append(got.post, file(name+".script")), append(got.chroot, err == nil)
	}
}

// unindented is a script as kickseed passes it on: it takes the blanks off
// both ends of each line.
func unindented(text string) string {
	return regexp.MustCompile(`(?m)^[ \t]+|[ \t]+$`).ReplaceAllString(strings.TrimRight(text, "\n"), "")
}

// notInKickseed is all that it may not understand of what we write: commands
// and options that are younger than it, and one disk among several.
func notInKickseed() *regexp.Regexp {
	commands := "eula|firstboot|ignoredisk|selinux|sshkey|timesource"
	options := "activate|append=.*|bindto=mac|boot-drive=.*|disklabel=gpt|erroronfail|log=.*|nontp|ntpservers=.*|onboot=yes|service=ssh"
	return regexp.MustCompile(`^(Unrecognised kickstart command: (` + commands + `)` +
		`|getopt: unrecognized option '(--(` + options + `) ?)+'` +
		`|firewall preseeding not supported yet|can't clear multiple drives; assuming just the first one` +
		`|unsupported restriction '--ondisk')$`)
}

// TestKickseedReadsEveryKickstart reads the kickstart of every role, and of
// one role for every anaconda, by the code with which Debian's installer would.
func TestKickseedReadsEveryKickstart(t *testing.T) {
	k := newKickseed(t)
	understood := notInKickseed()
	for name, intent := range roles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := *intent
			own.Disks = site.Disks{System: named(1)}
			target := target(t, rocky9())
			target.Intent, target.Root = &own, hash
			include := included(t, target, false)
			images := anacondas()
			if name != "base" {
				images = images[:1]
			}
			for _, image := range images {
				target.Image = image
				text := string(render(t, target).Files[0].Data)
				d, err := readKickstart(text)
				if err != nil {
					t.Fatal(err)
				}
				got := k.read(t, text, include)
				for _, remark := range got.log {
					if !understood.MatchString(remark) {
						t.Errorf("%s: kickseed says: %s", image.Name, remark)
					}
				}
				got.sameScripts(t, image.Name, d)
				got.sameAnswers(t, target, d)
			}
		})
	}
}

// TestKickseedSees: what it does not know, it says.
func TestKickseedSees(t *testing.T) {
	k := newKickseed(t)
	text := string(render(t, target(t, anacondas()[0])).Files[0].Data)
	for want, change := range map[string][2]string{
		"Unrecognised kickstart command: langs":           {"lang ", "langs "},
		"getopt: unrecognized option '--bootprotos=dhcp'": {"--bootproto=", "--bootprotos="},
		"timezone command requires a timezone":            {"timezone ", "timezone Etc/UTC "},
	} {
		got := k.read(t, strings.Replace(text, change[0], change[1], 1), "")
		if !slices.ContainsFunc(got.log, func(remark string) bool { return strings.HasPrefix(remark, want) }) || notInKickseed().MatchString(want) {
			t.Errorf("%q for %q: it says %q", change[1], change[0], got.log)
		}
	}
}

// sameScripts: it has found the same scripts in the kickstart as we put in.
func (got translated) sameScripts(t *testing.T, image string, d document) {
	t.Helper()
	// The last line is of old-grammar.sed.
	pre := unindented(got.pre[:strings.LastIndex(strings.TrimRight(got.pre, "\n"), "\n")])
	if pre != unindented(d.section("%pre")[0].body) {
		t.Errorf("%s: %%pre is not ours:\n%s", image, got.pre)
	}
	posts := d.section("%post")
	if len(got.post) != len(posts) {
		t.Fatalf("%s: %d sections %%post, want %d", image, len(got.post), len(posts))
	}
	for i, p := range posts {
		if unindented(got.post[i]) != unindented(p.body) {
			t.Errorf("%s: %s is not ours:\n%s", image, p.header, got.post[i])
		}
		if got.chroot[i] == strings.Contains(p.header, "--nochroot") {
			t.Errorf("%s: %s: chroot is %v", image, p.header, got.chroot[i])
		}
	}
}

// sameAnswers: the commands mean to it what the plan says.
func (got translated) sameAnswers(t *testing.T, target *Target, d document) {
	t.Helper()
	base, _ := repositories(target.Image)
	want := map[string]string{
		"debian-installer/locale":           target.Intent.Locale.Language,
		"time/zone":                         target.Intent.Locale.Timezone,
		"clock-setup/utc":                   "true",
		"passwd/root-password-crypted":      hash,
		"netcfg/choose_interface":           target.MAC.String(),
		"netcfg/get_hostname":               target.Intent.FQDN(),
		"mirror/http/hostname":              "10.20.0.1:8080",
		"mirror/http/directory":             strings.TrimPrefix(target.tree(base), "http://10.20.0.1:8080") + "/",
		"partman-auto/disk":                 "/dev/sda",
		"finish-install/reboot_in_progress": "",
	}
	var names []string
	for line := range strings.Lines(d.section("%packages")[0].body) {
		if !strings.HasPrefix(line, "@") {
			names = append(names, strings.TrimSpace(line))
		}
	}
	want["pkgsel/include"] = strings.Join(names, " ")
	for _, question := range slices.Sorted(maps.Keys(want)) {
		if answer, ok := got.answers[question]; !ok || answer != want[question] {
			t.Errorf("%s: %s is %q, want %q", target.Image.Name, question, answer, want[question])
		}
	}
	recipe := got.answers["partman-auto/expert_recipe"]
	for _, v := range target.Intent.Layout.Volumes {
		if simple(target.Intent.Layout) {
			break
		}
		wanted := fmt.Sprintf(`(:|\.) %d [0-9]+ (%[1]d|-1) xfs \$lvmok\{ \} in_vg\{ vg_sys \} lv_name\{ %s \} [^.]*mountpoint\{ %s \} \.`, extents(v.Size), v.Name, regexp.QuoteMeta(v.Mount))
		if !regexp.MustCompile(wanted).MatchString(recipe) {
			t.Errorf("%s: volume %s is not as planned among the partitions: %s", target.Image.Name, v.Name, recipe)
		}
	}
	if !strings.Contains(recipe, "mountpoint{ / }") || !strings.Contains(recipe, "mountpoint{ /boot }") {
		t.Errorf("%s: partitions: %s", target.Image.Name, recipe)
	}
}
