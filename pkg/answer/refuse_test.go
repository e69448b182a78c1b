package answer

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// field is a place in a target that a plan, a profile or a medium fills.
type field struct {
	name  string
	plain string
	set   func(*Target, string)
}

func fields() []field {
	return []field{
		{"node", "x", func(t *Target, v string) { t.Intent.Node = v }},
		{"domain", "x", func(t *Target, v string) { t.Intent.Domain = v }},
		{"role", "x", func(t *Target, v string) { t.Intent.Role = v }},
		{"profile", "x", func(t *Target, v string) { t.Intent.Profile = v }},
		{"timezone", "x", func(t *Target, v string) { t.Intent.Locale.Timezone = v }},
		{"language", "x", func(t *Target, v string) { t.Intent.Locale.Language = v }},
		{"keyboard", "x", func(t *Target, v string) { t.Intent.Locale.Keyboard = v }},
		{"ssh key", "x", func(t *Target, v string) { t.Intent.Access.SSHKeys = []string{v} }},
		{"root", hash, func(t *Target, v string) { t.Root = v }},
		{"package", "curl", func(t *Target, v string) { t.Intent.Packages = []string{v} }},
		{"service", "ssh", func(t *Target, v string) { t.Intent.Services = []string{v} }},
		{"sysctl key", "x", func(t *Target, v string) { t.Intent.Sysctl = []profile.Setting{{Key: v, Value: "1"}} }},
		{"sysctl value", "x", func(t *Target, v string) { t.Intent.Sysctl = []profile.Setting{{Key: "k", Value: v}} }},
		{"sysctl why", "x", func(t *Target, v string) {
			t.Intent.Sysctl = []profile.Setting{{Key: "k", Value: "1", Reason: profile.Reason{Why: v}}}
		}},
		{"sysctl source", "x", func(t *Target, v string) {
			t.Intent.Sysctl = []profile.Setting{{Key: "k", Value: "1", Reason: profile.Reason{Source: v}}}
		}},
		{"limit domain", "x", func(t *Target, v string) { t.Intent.Limits = []profile.Limit{{Domain: v, Item: "nproc", Value: 1}} }},
		{"limit item", "x", func(t *Target, v string) { t.Intent.Limits = []profile.Limit{{Domain: "root", Item: v, Value: 1}} }},
		{"limit why", "x", func(t *Target, v string) {
			t.Intent.Limits = []profile.Limit{{Domain: "root", Item: "nproc", Value: 1, Reason: profile.Reason{Why: v}}}
		}},
		{"kernel argument", "x", func(t *Target, v string) { t.Intent.KernelArgs = []profile.KernelArg{{Arg: v}} }},
		{"kernel argument why", "x", func(t *Target, v string) {
			t.Intent.KernelArgs = []profile.KernelArg{{Arg: "quiet", Reason: profile.Reason{Why: v}}}
		}},
		{"module", "x", func(t *Target, v string) { t.Intent.Modules = []profile.Module{{Name: v}} }},
		{"module options", "x", func(t *Target, v string) { t.Intent.Modules = []profile.Module{{Name: "kvm", Options: v}} }},
		{"tuned", "x", func(t *Target, v string) { t.Intent.Tuned.Value = v }},
		{"thp", "never", func(t *Target, v string) { t.Intent.THP.Value = v }},
		{"ksm", "on", func(t *Target, v string) { t.Intent.KSM.Value = v }},
		{"scheduler", "none", func(t *Target, v string) { t.Intent.Schedulers = []profile.Scheduler{{Disks: "hdd", Scheduler: v}} }},
		{"disks of a scheduler", "nvme", func(t *Target, v string) { t.Intent.Schedulers = []profile.Scheduler{{Disks: v, Scheduler: "none"}} }},
		{"slice", "x.slice", func(t *Target, v string) { t.Intent.Slices = []profile.Slice{{Unit: v, CPUs: "0"}} }},
		{"CPUs of a slice", "0-3", func(t *Target, v string) { t.Intent.Slices = []profile.Slice{{Unit: "x.slice", CPUs: v}} }},
		{"environment of a slice", "X=x", func(t *Target, v string) {
			t.Intent.Slices = []profile.Slice{{Unit: "x.service", Environment: []string{v}}}
		}},
		{"firewall", "off", func(t *Target, v string) { t.Intent.Firewall.Value = v }},
		{"SELinux", "permissive", func(t *Target, v string) { t.Intent.SELinux.Value = v }},
		{"why no firewall", "x", func(t *Target, v string) {
			t.Intent.Firewall = profile.Choice{Value: "off", Reason: profile.Reason{Why: v}}
		}},
		{"memory of a slice", "1G", func(t *Target, v string) { t.Intent.Slices = []profile.Slice{{Unit: "x.slice", MemoryHigh: v}} }},
		{"journald key", "x", func(t *Target, v string) { t.Intent.Journald = []profile.Setting{{Key: v, Value: "1"}} }},
		{"journald value", "x", func(t *Target, v string) { t.Intent.Journald = []profile.Setting{{Key: "k", Value: v}} }},
		{"host", "x", func(t *Target, v string) {
			t.Intent.Hosts = []profile.Host{{Addr: t.Intent.Address, Names: []string{v}}}
		}},
		{"repository name", "x", func(t *Target, v string) {
			t.Intent.Repositories = []profile.Repository{{Name: v, URL: "http://x", Suite: "trixie"}}
		}},
		{"repository URL", "x", func(t *Target, v string) {
			t.Intent.Repositories = []profile.Repository{{Name: "x", URL: v, Suite: "trixie"}}
		}},
		{"repository key", "x", func(t *Target, v string) {
			t.Intent.Repositories = []profile.Repository{{Name: "x", URL: "http://x", Key: v, Suite: "trixie"}}
		}},
		{"repository suite", "x", func(t *Target, v string) {
			t.Intent.Repositories = []profile.Repository{{Name: "x", URL: "http://x", Suite: v}}
		}},
		{"disk wwn", "x", func(t *Target, v string) { t.Intent.Disks.System = []site.DiskSelector{{WWN: v}} }},
		{"disk serial", "x", func(t *Target, v string) { t.Intent.Disks.System = []site.DiskSelector{{Serial: v}} }},
		{"disk path", "x", func(t *Target, v string) { t.Intent.Disks.System = []site.DiskSelector{{ByPath: v}} }},
		{"disk model", "x", func(t *Target, v string) { t.Intent.Disks.System = []site.DiskSelector{{Model: v}} }},
		{"second system disk", "x", func(t *Target, v string) { t.Intent.Disks.System = []site.DiskSelector{{WWN: "1"}, {Serial: v}} }},
		{"OSD disk", "x", func(t *Target, v string) { t.Intent.Disks.OSD = []site.DiskSelector{{Model: v}} }},
		{"volume", "x", func(t *Target, v string) {
			t.Intent.Layout.Volumes = []profile.Volume{{Name: "root", Mount: "/", Size: 1}, {Name: v, Mount: "/x", Size: 1}}
		}},
		{"mount point", "/x", func(t *Target, v string) {
			t.Intent.Layout.Volumes = []profile.Volume{{Name: "root", Mount: "/", Size: 1}, {Name: "x", Mount: v, Size: 1}}
		}},
		{"token", "x", func(t *Target, v string) { t.Token = v }},
		{"base", "http://x", func(t *Target, v string) { t.Base = "http://" + v }},
		{"digest", "x", func(t *Target, v string) { t.Image.Digest = v }},
		{"repository", "x", func(t *Target, v string) { t.Image.Repos = []string{v, "AppStream"} }},
		{"second repository", "x", func(t *Target, v string) { t.Image.Repos = []string{"BaseOS", v} }},
		{"version", "9", func(t *Target, v string) { t.Image.Version = v }},
	}
}

func hostile() []string {
	return []string{
		"x\nreboot", "x\r\nreboot", "'; reboot; '", "$(reboot)", "`reboot`", `"`, `\`, `x\`, `" --lock "`, "%end", "x\n%end\n%post\nreboot",
		"%include /etc/shadow", "  %end", endOfText, "x\n" + endOfText + "\nreboot", "#", "x # y", "${net0/mac}", "||", "&& x", "\x00", "é", "\xff", "\u2028", "\u0085",
		"-n", "--lock", " x", "x ", "a b", "*", "../../etc", "x'y", "\x1b[0m", "'", "''", "d-i partman/confirm boolean true", "\t", "/answer/../", "a=b", "@", "%wheel",
	}
}

// TestNoValueChangesTheStructure: whatever a value is, it stays one value, or
// the rendering is refused.
func TestNoValueChangesTheStructure(t *testing.T) {
	t.Parallel()
	images := []func() site.Image{rocky9, func() site.Image { return debian("13") }, func() site.Image { return anacondas()[7] }}
	plain := map[string][]string{}
	static := embedded(t)
	structure := func(f field, i int, value string) (files []string, err error) {
		target := target(t, images[i]())
		f.set(target, value)
		a, err := Render(target)
		if err != nil {
			return nil, err
		}
		again, err := Render(target)
		if err != nil || !reflect.DeepEqual(a, again) {
			t.Fatalf("%s %q: two renders differ (%v)", f.name, value, err)
		}
		return shapes(t, static, a), nil
	}
	for _, f := range fields() {
		for i := range images {
			value := f.plain
			if f.name == "version" {
				value = []string{"9", "13", "V10"}[i]
			}
			files, err := structure(f, i, strings.TrimPrefix(value, "http://"))
			if err != nil {
				t.Fatalf("%s: %v", f.name, err)
			}
			plain[f.name+string(rune('0'+i))] = files
		}
	}
	holds := func(f field, i int, value string) string {
		if value == "" || f.name == "root" && value == site.RootLocked {
			return ""
		}
		files, err := structure(f, i, value)
		if err != nil {
			return ""
		}
		want := plain[f.name+string(rune('0'+i))]
		if slices.Equal(want, files) {
			return ""
		}
		return cmp.Diff(want, files)
	}
	for _, f := range fields() {
		for i := range images {
			for _, value := range hostile() {
				if diff := holds(f, i, value); diff != "" {
					t.Errorf("%s %q changes the structure (-plain +got):\n%s", f.name, value, diff)
				}
			}
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		f := rapid.SampledFrom(fields()).Draw(r, "field")
		i := rapid.IntRange(0, len(images)-1).Draw(r, "image")
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{1,12}`)).Draw(r, "value")
		if diff := holds(f, i, value); diff != "" {
			r.Fatalf("%s %q changes the structure (-plain +got):\n%s", f.name, value, diff)
		}
	})
}

// shapes reduces answers to what an interpreter makes of them: words, lines,
// sections, with the values blanked out.
func shapes(t *testing.T, static parts, a Answers) []string {
	t.Helper()
	var all []string
	for _, arg := range a.Args {
		name, _, _ := strings.Cut(arg, "=")
		if strings.ContainsAny(arg, " \t\n\"$") && arg != `netcfg/get_nameservers=" "` {
			t.Errorf("an argument is more than one word: %q", arg)
		}
		all = append(all, name)
	}
	for _, f := range a.Files {
		text := static.leftOut(string(f.Data))
		if strings.HasSuffix(f.Name, ".sh") {
			all = append(all, shellShape(text))
			continue
		}
		if f.Name == "preseed.cfg" {
			if _, err := readPreseed(text); err != nil {
				t.Errorf("%v", err)
			}
			for line := range strings.Lines(text) {
				f := strings.SplitN(line+"   ", " ", 4)
				all = append(all, f[0]+f[1]+f[2])
			}
			continue
		}
		d, err := readKickstart(text)
		if err != nil {
			t.Errorf("%v", err)
		}
		for _, c := range d.commands {
			shape := c[0]
			for _, w := range c[1:] {
				option, _, found := strings.Cut(w, "=")
				if !strings.HasPrefix(w, "--") {
					option = "word"
				}
				shape += " " + option + map[bool]string{true: "=", false: ""}[found && option != "word"]
			}
			all = append(all, shape)
		}
		for _, s := range d.sections {
			all = append(all, s.header, shellShape(s.body))
		}
		if strings.Contains(text, "\r") {
			t.Error("a carriage return")
		}
	}
	return all
}

var (
	quoted  = regexp.MustCompile(`'[^']*'(\\''[^']*')*`)
	hereDoc = regexp.MustCompile(`(?ms)<<'` + endOfText + `'\n(.*?)^` + endOfText + `$`)
)

// shellShape blanks out quoted words and counts the lines of here documents.
func shellShape(text string) string {
	text = hereDoc.ReplaceAllStringFunc(text, func(doc string) string { return "<<" + strings.Repeat("\n", strings.Count(doc, "\n")) })
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			line = "#\n"
		}
		b.WriteString(quoted.ReplaceAllString(line, "Q"))
	}
	return b.String()
}

func TestRefusalsNameTheField(t *testing.T) {
	for _, tt := range []struct {
		set  func(*Target)
		want string
	}{
		{func(t *Target) { t.Intent.Access.SSHKeys = []string{"ssh-rsa AAAA\nreboot"} }, "access.ssh_keys"},
		{func(t *Target) { t.Intent.Locale.Timezone = "UTC\n%end" }, "locale.timezone"},
		{func(t *Target) { t.Intent.Node = "a b" }, "name"},
		{func(t *Target) { t.Intent.Disks.System = []site.DiskSelector{{Serial: "a\x00"}} }, "disks.system"},
		{func(t *Target) { t.Intent.Packages = []string{"nginx"} }, `"nginx" is not a package that Rackseed knows by concept`},
		{func(t *Target) { t.Intent.Services = []string{"nginx"} }, `"nginx" is not a service`},
		{func(t *Target) { t.Intent.Sysctl = []profile.Setting{{Key: "a b", Value: "1"}} }, "sysctl key"},
		{func(t *Target) { t.Root = "hunter2" }, "access.root is neither locked nor a crypt hash"},
		{func(t *Target) { t.Root = "sealed:abc" }, "access.root"},
		{func(t *Target) { t.Image.Version = "7" }, "yet: use"},
		{func(t *Target) { t.Image.Family = "suse" }, "suse media"},
	} {
		for _, image := range []site.Image{rocky9(), debian("12")} {
			target := target(t, image)
			tt.set(target)
			_, err := Render(target)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q", image.Name, err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a password: %v", err)
			}
		}
	}
}

func TestMaskedTellsNoHash(t *testing.T) {
	for _, image := range []site.Image{rocky9(), debian("13")} {
		target := target(t, image)
		target.Root = Masked
		for _, f := range render(t, target).Files {
			if strings.Contains(string(f.Data), "$6$") {
				t.Errorf("%s has a hash", f.Name)
			}
		}
		if main := string(render(t, target).Files[0].Data); !strings.Contains(main, Masked) {
			t.Error("nothing shows that a password is set")
		}
	}
}
