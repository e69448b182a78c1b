package answer

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// grammar is what one generation of anaconda knows, as far as an install of a
// server needs it: each command with its options. What a generation calls
// deprecated is not in it. The source are the command tables of pykickstart
// for RHEL 8, 9 and 10 and for Fedora 29, 33 and 36.
type grammar struct {
	commands map[string]string
	packages string // options of %packages
}

func grammarOf(image site.Image) grammar {
	g := grammar{commands: map[string]string{
		"text": "non-interactive", "skipx": "", "firstboot": "enable disable reconfig", "eula": "agreed", "reboot": "eject kexec", "zerombr": "", "cdrom": "",
		"lang": "addsupport", "keyboard": "vckeymap xlayouts switch", "rootpw": "lock plaintext iscrypted", "sshkey": "username",
		"network":  "bootproto device bindto onboot activate no-activate hostname ip netmask gateway nameserver nodefroute mtu vlanid interfacename bondslaves bondopts noipv4 noipv6",
		"firewall": "enabled disabled service port trust remove-service use-system-defaults", "selinux": "enforcing permissive disabled",
		"url": "url mirrorlist metalink proxy noverifyssl", "repo": "name baseurl mirrorlist metalink cost excludepkgs includepkgs install proxy noverifyssl",
		"services": "enabled disabled", "%include": "",
		"ignoredisk": "drives only-use", "clearpart": "all none linux list drives initlabel disklabel cdl", "bootloader": "append boot-drive driveorder location timeout leavebootorder iscrypted password",
		"part":     "fstype size grow maxsize ondisk ondrive asprimary fsoptions label recommended hibernation",
		"raid":     "level device fstype spares fsoptions label useexisting noformat chunksize",
		"volgroup": "pesize useexisting noformat reserved-space reserved-percent",
		"logvol":   "vgname name fstype size grow maxsize percent fsoptions label useexisting noformat recommended",
		"timezone": "utc ntpservers nontp",
	}, packages: "excludeWeakdeps instLangs ignoremissing nocore default excludedocs multilib retries timeout"}
	release := image.Family + " " + strings.TrimPrefix(image.Version, "V")
	modern := func() {
		g.packages = "exclude-weakdeps inst-langs ignoremissing nocore default exclude-docs multilib retries timeout"
	}
	switch {
	case strings.HasPrefix(release, "rhel 9"), strings.HasPrefix(release, "rhel 10"):
		modern()
		g.commands["timezone"], g.commands["timesource"] = "utc", "ntp-server ntp-pool ntp-disable nts"
		g.commands["rootpw"] += " allow-ssh"
	case strings.HasPrefix(release, "openeuler 24.03"):
		modern()
		g.commands["timezone"], g.commands["timesource"] = "utc", "ntp-server ntp-pool ntp-disable nts"
	case strings.HasPrefix(release, "openeuler 22.03"):
		modern()
	}
	return g
}

// scriptSections lists the sections of scripts with their options.
func scriptSections() map[string]string {
	const script = "erroronfail log interpreter"
	return map[string]string{"%pre": script, "%pre-install": script, "%post": script + " nochroot", "%onerror": script, "%traceback": script}
}

// ksOption is --name=value, or --name.
func ksOption(word string) (name, value string, ok bool) {
	name, found := strings.CutPrefix(word, "--")
	name, value, _ = strings.Cut(name, "=")
	return name, value, found
}

// ksLine is a command taken apart.
type ksLine struct {
	name    string
	options map[string]string
	words   []string // arguments that are no options
}

func (g grammar) parse(d document) (lines []ksLine, wrong []error) {
	for _, c := range d.commands {
		known, ok := g.commands[c[0]]
		if !ok {
			wrong = append(wrong, fmt.Errorf("%s is no command here", c[0]))
			continue
		}
		l := ksLine{name: c[0], options: map[string]string{}}
		for _, w := range c[1:] {
			name, value, is := ksOption(w)
			switch {
			case !is:
				l.words = append(l.words, w)
			case !slices.Contains(strings.Fields(known), name):
				wrong = append(wrong, fmt.Errorf("%s has no option --%s here", c[0], name))
			default:
				l.options[name] = value
			}
		}
		lines = append(lines, l)
	}
	for _, s := range d.sections {
		known := scriptSections()[s.name]
		if s.name == "%packages" {
			known = g.packages
		} else if known == "" {
			wrong = append(wrong, fmt.Errorf("%s is no section here", s.name))
		}
		for _, w := range strings.Fields(s.header)[1:] {
			if name, _, is := ksOption(w); !is || !slices.Contains(strings.Fields(known), name) {
				wrong = append(wrong, fmt.Errorf("%s has no option %s here", s.name, w))
			}
		}
	}
	return lines, wrong
}

// storage is what the lines of a kickstart make of its disks.
type storage struct {
	disks    []string            // of ignoredisk
	parts    map[string]string   // raid.* and pv.* → disk
	used     map[string]int      // members that something stands on
	mounts   map[string]int      // mount points
	groups   map[string]int      // volume groups → volumes that grow
	growing  map[string][]string // disk → growing partitions
	biosboot []string
	esp      bool
}

// meaning checks what no syntax says: that what is named is defined, once.
func meaning(lines []ksLine, efi bool) (wrong []error) {
	complain := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	count, devices := map[string]int{}, map[string]bool{}
	s := storage{parts: map[string]string{}, used: map[string]int{}, mounts: map[string]int{}, groups: map[string]int{}, growing: map[string][]string{}}
	for _, l := range lines {
		count[l.name]++
		switch l.name {
		case "network":
			if devices[l.options["device"]] {
				complain("%s has two network lines", l.options["device"])
			}
			devices[l.options["device"]] = true
			if l.options["bootproto"] == "static" && (l.options["ip"] == "" || l.options["netmask"] == "") {
				complain("a static network without an address")
			}
		case "ignoredisk":
			s.disks = strings.Split(l.options["only-use"], ",")
		case "clearpart", "bootloader", "part", "raid", "volgroup", "logvol":
			s.take(l, complain)
		}
	}
	for _, once := range []string{"text", "lang", "keyboard", "timezone", "rootpw", "reboot", "ignoredisk", "clearpart", "zerombr", "bootloader", "eula", "firewall", "selinux"} {
		if count[once] != 1 {
			complain("%d lines %s", count[once], once)
		}
	}
	if count["url"]+count["cdrom"] != 1 {
		complain("no source of packages, or two")
	}
	s.check(efi, complain)
	return wrong
}

func (s *storage) take(l ksLine, complain func(string, ...any)) {
	if len(l.words) == 0 && (l.name == "part" || l.name == "raid" || l.name == "logvol" || l.name == "volgroup") {
		complain("%s names nothing", l.name)
		return
	}
	on := func(disks string) {
		for _, d := range strings.Split(disks, ",") {
			if !slices.Contains(s.disks, d) {
				complain("%s is on %s, which is not among %v", l.name, d, s.disks)
			}
		}
	}
	_, grows := l.options["grow"]
	switch l.name {
	case "clearpart":
		on(l.options["drives"])
		if len(strings.Split(l.options["drives"], ",")) != len(s.disks) {
			complain("clearpart leaves a disk out")
		}
	case "bootloader":
		on(l.options["boot-drive"])
	case "part":
		on(l.options["ondisk"])
		if grows {
			s.growing[l.options["ondisk"]] = append(s.growing[l.options["ondisk"]], l.words[0])
		}
		s.place(l.words[0], l.options["fstype"], l.options["ondisk"], complain)
	case "raid":
		seen := map[string]bool{}
		for _, m := range l.words[1:] {
			if s.parts[m] == "" || seen[s.parts[m]] {
				complain("raid %s: %s is not defined, or on the disk of another member", l.words[0], m)
			}
			seen[s.parts[m]] = true
			s.used[m]++
		}
		if len(l.words) < 3 || l.options["level"] != "RAID1" || l.options["device"] == "" {
			complain("raid %s is no mirror of two", l.words[0])
		}
		s.place(l.words[0], l.options["fstype"], "md", complain)
	case "volgroup":
		if s.parts[l.words[1]] == "" {
			complain("volgroup %s: %s is not defined", l.words[0], l.words[1])
		}
		s.used[l.words[1]]++
		s.groups[l.words[0]] = 0
	case "logvol":
		if _, ok := s.groups[l.options["vgname"]]; !ok {
			complain("logvol %s: group %s is not defined", l.words[0], l.options["vgname"])
		}
		if grows {
			s.groups[l.options["vgname"]]++
		}
		if l.options["name"] == "" || l.options["size"] == "" {
			complain("logvol %s lacks name or size", l.words[0])
		}
		s.place(l.words[0], l.options["fstype"], "lv", complain)
	}
}

func (s *storage) place(what, fstype, on string, complain func(string, ...any)) {
	switch {
	case strings.HasPrefix(what, "raid."), strings.HasPrefix(what, "pv."):
		if s.parts[what] != "" {
			complain("%s is defined twice", what)
		}
		s.parts[what] = on
	case what == "biosboot":
		s.biosboot = append(s.biosboot, on)
	case what == "swap", strings.HasPrefix(what, "/"):
		s.mounts[what]++
		s.esp = s.esp || what == "/boot/efi" && fstype == "efi"
		if fstype == "" {
			complain("%s has no filesystem", what)
		}
	default:
		complain("%s is no place for a filesystem", what)
	}
}

func (s *storage) check(efi bool, complain func(string, ...any)) {
	for what, n := range s.mounts {
		if n > 1 {
			complain("%s is mounted twice", what)
		}
	}
	if s.mounts["/"] == 0 || s.mounts["/boot"] == 0 {
		complain("no / or no /boot")
	}
	for part := range s.parts {
		if s.used[part] != 1 {
			complain("%s is used %d times", part, s.used[part])
		}
	}
	for group, growing := range s.groups {
		if growing > 1 {
			complain("%d volumes of %s grow", growing, group)
		}
	}
	for disk, parts := range s.growing {
		if len(parts) > 1 {
			complain("%v grow on %s", parts, disk)
		}
	}
	if efi != s.esp || efi == (len(s.biosboot) > 0) {
		complain("the firmware's partition is missing or is the other's")
	}
	if !efi && !slices.Equal(s.biosboot, s.disks) {
		complain("biosboot is on %v, not on %v", s.biosboot, s.disks)
	}
}

// check reads a kickstart with what %pre included.
func (g grammar) check(text string, efi bool) error {
	d, err := readKickstart(text)
	if err != nil {
		return err
	}
	lines, wrong := g.parse(d)
	if wrong = append(wrong, meaning(lines, efi)...); len(wrong) > 0 {
		return fmt.Errorf("%v", wrong)
	}
	return nil
}

// anacondas are media of every generation.
func anacondas() []site.Image {
	image := func(family, distro, version, arch string, repos ...string) site.Image {
		i := rocky9()
		i.Name, i.Family, i.Distro, i.Version, i.Arch, i.Repos = distro+version+"-"+arch, family, distro, version, arch, repos
		return i
	}
	return []site.Image{
		image("rhel", "almalinux", "8.10", "x86_64", "BaseOS", "AppStream"), image("rhel", "rocky", "9.6", "x86_64", "BaseOS", "AppStream"),
		image("rhel", "centos", "10", "x86_64", "BaseOS", "AppStream"), image("rhel", "rhel", "10.0", "aarch64", "BaseOS", "AppStream"),
		image("openeuler", "openeuler", "20.03-LTS-SP4", "x86_64", "."), image("openeuler", "openeuler", "22.03-LTS-SP4", "aarch64", "."), image("openeuler", "openeuler", "24.03-LTS", "x86_64", "."),
		image("kylin", "kylin", "V10", "x86_64", "."), image("kylin", "kylin", "V10-SP3", "aarch64", "."),
	}
}

// roles gives a node of every shipped profile: from the examples where they
// have one, else with hardware and no networks.
func roles(t *testing.T) map[string]*profile.Intent {
	t.Helper()
	all := map[string]*profile.Intent{"base": intent(t)}
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := planfile.Parse(file, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range plan.Plan.Nodes {
			name := plan.Plan.Settings.Roles[n.Role].Profile
			if all[name] != nil {
				continue
			}
			i, err := profile.Resolve(profiles.Files, &plan.Plan.Settings, &n)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = i
		}
	}
	files, err = fs.Glob(profiles.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".yaml")
		if all[name] != nil {
			continue
		}
		s := &site.Settings{Roles: map[string]site.Role{"r": {Profile: name, Hardware: site.Hardware{Sockets: 2, Cores: 16, Threads: 2, Memory: 256 << 30}}}}
		i, err := profile.Resolve(profiles.Files, s, &site.Node{Name: "node-01", Role: "r", Disks: site.Disks{OSD: named(3, 4, 5)}})
		if err != nil {
			t.Fatal(err)
		}
		all[name] = i
	}
	return all
}

// included runs %pre on a machine that has what the plan asks for, and gives
// what it wrote.
func included(t *testing.T, target *Target, efi bool) string {
	t.Helper()
	script, err := preScript(target)
	if err != nil {
		t.Fatal(err)
	}
	m := machine{efi: efi}
	for i := range systemDisks(target.Intent.Disks) {
		m.disks = append(m.disks, slot("sd"+string(rune('a'+i)), i+1))
	}
	got := m.run(t, []string{"bash"}, script)
	if got.err != nil {
		t.Fatalf("%v\n%s", got.err, got.out)
	}
	return got.include
}

// TestKickstartOfEveryRole reads every kickstart as the anaconda it is for
// would, with the part that %pre adds on either firmware and on one disk or a
// mirror.
func TestKickstartOfEveryRole(t *testing.T) {
	all := roles(t)
	if len(all) < 9 {
		t.Errorf("only the profiles %v", slices.Sorted(maps.Keys(all)))
	}
	for name, intent := range all {
		for _, efi := range []bool{true, false} {
			// Of base all four, of the others two.
			for _, disks := range []int{1, 2} {
				if name != "base" && efi != (disks == 2) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d disks, EFI %v", name, disks, efi), func(t *testing.T) {
					t.Parallel()
					own := *intent
					own.Disks = site.Disks{System: named(1, 2)[:disks]}
					target := target(t, rocky9())
					target.Intent = &own
					include := included(t, target, efi)
					for _, image := range anacondas() {
						target.Image = image
						target.Root = []string{site.RootLocked, hash}[disks-1]
						text := string(render(t, target).Files[0].Data)
						if strings.Count(text, "%include ") != 1 {
							t.Fatalf("%s: %%include is not there once", image.Name)
						}
						text = strings.Replace(text, "%include /tmp/rackseed-disk.ks\n", include, 1)
						if err := grammarOf(image).check(text, efi); err != nil {
							t.Errorf("%s: %v\n%s", image.Name, err, text[:strings.Index(text, "%packages")])
						}
					}
				})
			}
		}
	}
}

// TestGrammarSees: each fault, put into a good kickstart, is found.
func TestGrammarSees(t *testing.T) {
	target := target(t, rocky9())
	target.Intent.Disks.System, target.Intent.Layout = named(1, 2), volumes()
	good := strings.Replace(string(render(t, target).Files[0].Data), "%include /tmp/rackseed-disk.ks\n", included(t, target, true), 1)
	g := grammarOf(rocky9())
	if err := g.check(good, true); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string][2]string{
		"install is no command":            {"text\n", "text\ninstall\n"},
		"timezone has no option":           {" --utc", " --isUtc"},
		"%packages has no option":          {"--exclude-weakdeps", "--excludeWeakdeps"},
		"%onerror inside %post":            {"report \"done\"\n%end", "report \"done\"\n"},
		"has two network lines":            {"network --", "network --device=52:54:00:12:34:56 --bootproto=dhcp\nnetwork --"},
		"raid.12 is not defined":           {"part raid.12 ", "part raid.19 "},
		"on the disk of another member":    {"--size=1024 --ondisk=sdb", "--size=1024 --ondisk=sda"},
		"raid.22 is used 0 times":          {" raid.21 raid.22\n", " raid.21\n"},
		"is no mirror of two":              {" raid.21 raid.22\n", " raid.21\n"},
		"volgroup vg_sys: pv.01 is not":    {"raid pv.01", "raid pv.02"},
		"group vg_other is not defined":    {"--vgname=vg_sys --name=root", "--vgname=vg_other --name=root"},
		"/ is mounted twice":               {"logvol /var/log ", "logvol / "},
		"no / or no /boot":                 {"logvol / ", "logvol /srv "},
		"2 volumes of vg_sys grow":         {"--name=root", "--grow --name=root"},
		"which is not among":               {"--ondisk=sdb", "--ondisk=sdc"},
		"clearpart leaves a disk out":      {"--drives=sda,sdb", "--drives=sda"},
		"the firmware's partition":         {"raid /boot/efi ", "raid /srv "},
		"0 lines rootpw":                   {"rootpw --lock\n", ""},
		"no source of packages":            {"url --url", "repo --name=x --baseurl"},
		"%addon is no section here":        {"%onerror", "%addon"},
		"rootpw has no option --allow-all": {"rootpw --lock", "rootpw --lock --allow-all"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Errorf("%q is not in the kickstart", change[0])
			continue
		}
		if err := g.check(bad, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q for %q: got %v, want %s", change[1], change[0], err, want)
		}
	}
}
