package answer

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

const shellType = "text/x-shellscript; charset=utf-8"

// renderPreseed writes for Debian's installer. A preseed value is one line,
// so whatever is longer than a command is a script of its own.
func renderPreseed(t *Target) (Answers, error) {
	main, err := preseed(t)
	if err != nil {
		return Answers{}, err
	}
	files := []File{{Name: "preseed.cfg", Type: "text/plain; charset=utf-8", Data: []byte(main)}}
	for _, f := range []struct {
		name  string
		write func(*Target) (string, error)
	}{
		{"early.sh", earlyScript},
		{"disk.sh", func(t *Target) (string, error) { return diskScript(t, "disk-debconf") }},
		{"late.sh", lateScript},
		{"tune.sh", tuneScript},
	} {
		text, err := f.write(t)
		if err != nil {
			return Answers{}, err
		}
		files = append(files, File{Name: f.name, Type: shellType, Data: []byte(text)})
	}
	args, err := preseedArgs(t)
	if err != nil {
		return Answers{}, err
	}
	return Answers{Kind: Preseed, Files: files, Args: args}, nil
}

// preseedArgs is what the installer must know before it has a network and
// its file. The name given here beats the one in DHCP.
func preseedArgs(t *Target) ([]string, error) {
	var w words
	args := []string{
		"auto=true", "priority=critical",
		"url=" + w.kernel("answer URL", t.AnswerURL("preseed.cfg")),
		"interface=auto",
	}
	if t.MAC != (site.MAC{}) {
		args = append(args, "BOOTIF=01-"+t.MAC.Hyphens())
	}
	if t.Syslog.IsValid() {
		// By UDP (rootskel's syslogd).
		args = append(args, "log_host="+t.Syslog.Addr().String(), fmt.Sprintf("log_port=%d", t.Syslog.Port()))
	}
	args = append(args, "hostname="+w.kernel("name", t.Intent.Node))
	if t.Intent.Domain != "" {
		args = append(args, "domain="+w.kernel("domain", t.Intent.Domain))
	}
	// A lease without a router or without name servers would be asked about,
	// and wait for ever. The blank is a value; an empty one would be dropped.
	servers := `" "`
	if len(t.Intent.DNS) > 0 {
		servers = t.Intent.DNS[0].String()
	}
	return append(args,
		"netcfg/no_default_route=true", "netcfg/get_nameservers="+servers,
		"netcfg/dhcp_timeout=60", "netcfg/link_wait_timeout=60",
		// With a preseed file this installer speaks on the last console alone; the screen shows at least
		// what the kernel says.
		"DEBIAN_FRONTEND=text", "console=tty0", "console="+console(t.Image),
	), w.err
}

// preseedLine is one answer, or with no question a comment.
type preseedLine struct{ question, kind, value string }

func preseed(t *Target) (string, error) {
	var w words
	lines, err := preseedLines(t, &w)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Rackseed: preseed for %s, attempt %d.\n", w.item("name", t.Intent.Node), t.Attempt)
	for _, l := range lines {
		switch {
		case l.question == "":
			fmt.Fprintf(&b, "\n# %s\n", l.value)
		case l.value == "":
			fmt.Fprintf(&b, "%s %s\n", owned(l.question), l.kind)
		default:
			fmt.Fprintf(&b, "%s %s %s\n", owned(l.question), l.kind, l.value)
		}
	}
	return b.String(), w.err
}

// owned puts the package before a question that asks for it; d-i stands for
// the installer's own.
func owned(question string) string {
	switch question {
	case "tasksel/first":
		return "tasksel " + question
	case "popularity-contest/participate":
		return "popularity-contest " + question
	default:
		return "d-i " + question
	}
}

func preseedLines(t *Target, w *words) ([]preseedLine, error) {
	suite, err := suiteOf(t.Image)
	if err != nil {
		return nil, err
	}
	server, err := url.Parse(t.Base)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the machine side: %w", err)
	}
	root, err := rootHash(t.Root, "*")
	if err != nil {
		return nil, err
	}
	packages, _, err := debianPackages(t)
	if err != nil {
		return nil, err
	}
	run := func(file string) string {
		local := "/tmp/rackseed-" + strings.TrimSuffix(file, ".sh")
		return fmt.Sprintf("wget -q -O %s %s && sh %s", local, w.kernel("answer URL", t.AnswerURL(file)), local)
	}
	lines := []preseedLine{
		{value: "The installer speaks English, which every console can show; late.sh sets the language of the plan."},
		{"debian-installer/language", "string", "en"},
		{"debian-installer/country", "string", "US"},
		{"debian-installer/locale", "string", defaultLanguage},
		{"keyboard-configuration/xkb-keymap", "select", w.debconf("locale.keyboard", t.Intent.Locale.Keyboard)},
		{"preseed/early_command", "string", run("early.sh")},

		{value: "Packages come from the medium that was booted, through the laptop."},
		{"mirror/country", "string", "manual"},
		{"mirror/protocol", "string", "http"},
		{"mirror/http/hostname", "string", w.debconf("machine side", server.Host)},
		{"mirror/http/directory", "string", w.debconf("image", "/images/"+t.Image.Digest)},
		{"mirror/http/proxy", "string", ""},
		{"mirror/suite", "string", suite},
		{"mirror/udeb/suite", "string", suite},
		{value: "Debian's media carry an unsigned Release file; the medium itself was checked by its digest."},
		{"debian-installer/allow_unauthenticated", "boolean", "true"},

		{value: "Root is locked by a hash that no password has (Debian 13 asks again when it is given !); keys come with tune.sh."},
		{"passwd/root-login", "boolean", "true"},
		{"passwd/root-password-crypted", "password", w.debconf("access.root", root)},
		{"passwd/make-user", "boolean", "false"},

		{value: "The clock."},
		{"clock-setup/utc", "boolean", "true"},
	}
	lines = append(lines, clock(t.Intent.NTP)...)
	lines = append(lines,
		preseedLine{"time/zone", "string", w.debconf("locale.timezone", t.Intent.Locale.Timezone)},

		preseedLine{value: "With one disk in the machine partman would take it unasked: it gets a name that does not exist, and\n# the answers that allow writing are missing here. disk.sh gives both once it has chosen."},
		preseedLine{"partman/early_command", "string", run("disk.sh")},
		preseedLine{"partman-auto/disk", "string", "/dev/rackseed-has-not-chosen"},
	)
	lines = append(lines, partitions(t)...)
	lines = append(lines, system(t)...)
	return append(lines,
		preseedLine{"pkgsel/include", "string", strings.Join(packages, " ")},
		preseedLine{"popularity-contest/participate", "boolean", "false"},

		preseedLine{value: `A copy at \EFI\BOOT\BOOTX64.EFI boots even after the firmware has forgotten its entries.`},
		preseedLine{"grub-installer/only_debian", "boolean", "true"},
		preseedLine{"grub-installer/with_other_os", "boolean", "true"},
		preseedLine{"grub-installer/force-efi-extra-removable", "boolean", "true"},
		// tune.sh adds those of the plan, in a file of their own: here, a later plan could not take them back.
		preseedLine{"debian-installer/add-kernel-opts", "string", "console=tty0 console=" + console(t.Image)},

		preseedLine{value: "The end: what the node must be, and a reboot that asks nothing."},
		preseedLine{"preseed/late_command", "string", run("late.sh")},
		preseedLine{"finish-install/keep-consoles", "boolean", "true"},
		preseedLine{"finish-install/reboot_in_progress", "note", ""},
		preseedLine{"cdrom-detect/eject", "boolean", "false"},
	), nil
}

// clock asks a time server of the plan; the default is a pool on the
// Internet, and waits for it.
func clock(servers []netip.Addr) []preseedLine {
	if len(servers) == 0 {
		return []preseedLine{{"clock-setup/ntp", "boolean", "false"}}
	}
	return []preseedLine{{"clock-setup/ntp", "boolean", "true"}, {"clock-setup/ntp-server", "string", servers[0].String()}}
}

func system(t *Target) []preseedLine {
	kernel := "linux-image-amd64"
	if t.Image.Arch == "aarch64" {
		kernel = "linux-image-arm64"
	}
	return []preseedLine{
		{value: "Nothing from hosts that a machine room does not reach, and no questions about them."},
		{"base-installer/install-recommends", "boolean", "false"},
		{"base-installer/kernel/image", "string", kernel},
		{"hw-detect/load_firmware", "boolean", "false"},
		{"hw-detect/firmware-lookup", "string", "never"},
		{"apt-setup/services-select", "multiselect", ""},
		{"apt-setup/enable-source-repositories", "boolean", "false"},
		{"apt-setup/contrib", "boolean", "false"},
		{"apt-setup/non-free", "boolean", "false"},
		{"apt-setup/non-free-firmware", "boolean", "false"},
		{"apt-setup/disable-cdrom-entries", "boolean", "true"},
		{"tasksel/first", "multiselect", ""},
		{"pkgsel/run_tasksel", "boolean", "false"},
		{"pkgsel/upgrade", "select", "none"},
		{"pkgsel/update-policy", "select", "none"},
		{"pkgsel/updatedb", "boolean", "false"},
	}
}

func earlyScript(t *Target) (string, error) {
	s := newScript(fmt.Sprintf("Rackseed prepares Debian's installer for %s.", t.Intent.Node))
	s.set("report_url", "report URL", t.reports())
	for _, piece := range []string{"report", "evidence", "early"} {
		s.piece(piece)
	}
	return s.text()
}

// debianPackages gives those that pkgsel installs, and those that late.sh does.
// pkgsel stops with a question at the first that it does not find, so it gets
// what every medium has; the others may come from the repositories of the plan.
func debianPackages(t *Target) (pkgsel, late []string, err error) {
	packages, err := packagesOf(t)
	if t.Intent.Locale.Language != defaultLanguage {
		packages = append(packages, "locales")
	}
	for _, name := range packages {
		if slices.Contains([]string{"openssh-server", "chrony", "curl", "sudo", "python3", "locales"}, name) {
			pkgsel = append(pkgsel, name)
		} else {
			late = append(late, name)
		}
	}
	return pkgsel, late, err
}

func lateScript(t *Target) (string, error) {
	_, packages, err := debianPackages(t)
	if err != nil {
		return "", err
	}
	s := newScript(fmt.Sprintf("Rackseed finishes %s in /target.", t.Intent.Node))
	s.set("report_url", "report URL", t.reports())
	s.set("answer_url", "answer URL", t.Base+"/answer/"+t.Token)
	s.set("language", "locale.language", t.Intent.Locale.Language)
	s.set("packages", "packages", strings.Join(packages, " "))
	pieces := []string{"report", "evidence", "late"}
	if systemDisks(t.Intent.Disks) > 1 {
		pieces = []string{"report", "evidence", "late-esp", "late"}
	}
	for _, piece := range pieces {
		s.piece(piece)
	}
	return s.text()
}
