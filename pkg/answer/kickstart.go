package answer

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// defaultLanguage is what every installer and console can show.
const defaultLanguage = "en_US.UTF-8"

// reports is where stages are reported, without the stage; nowhere without a
// token.
func (t *Target) reports() string {
	if t.Token == "" || t.Medium {
		return ""
	}
	return t.Base + "/report/" + t.Token
}

// rootHash is what stands for the password of root; locked stands for none.
// A password in the clear is refused without being repeated.
func rootHash(root, locked string) (string, error) {
	switch {
	case root == "" || root == site.RootLocked:
		return locked, nil
	case root == Masked:
		return Masked, nil
	case site.Secret(root).Sealed() || !site.ValidRoot(site.Secret(root)):
		return "", errors.New("access.root is neither locked nor a crypt hash: write locked, or the output of `openssl passwd -6`")
	default:
		return root, nil
	}
}

// renderKickstart writes for anaconda: everything in one file, so that it
// also works from a medium without this daemon.
func renderKickstart(t *Target) (Answers, error) {
	d, err := dialectOf(t.Image)
	if err != nil {
		return Answers{}, err
	}
	text, err := kickstart(t, d)
	if err != nil {
		return Answers{}, err
	}
	args, err := kickstartArgs(t, d)
	if err != nil {
		return Answers{}, err
	}
	return Answers{Kind: Kickstart, Files: []File{{Name: "ks.cfg", Type: "text/plain; charset=utf-8", Data: []byte(text)}}, Args: args}, nil
}

// kickstartArgs is what the initramfs must know to fetch the rest.
func kickstartArgs(t *Target, d dialect) ([]string, error) {
	var w words
	if t.Medium {
		// The volume's label is enough; these are for a medium that carries the file itself.
		return []string{"inst.ks=hd:LABEL=" + OEMDRV + ":/ks.cfg", "inst.text", "inst.noninteractive", "inst.nosave=all_ks", "inst.geoloc=0", "console=tty0", "console=" + console(t.Image)}, nil
	}
	args := []string{
		"inst.ks=" + w.kernel("answer URL", t.AnswerURL("ks.cfg")),
		"inst.stage2=" + w.kernel("image URL", t.tree(".")),
	}
	if d.repoArg {
		args = append(args, "inst.repo="+w.kernel("image URL", t.tree(".")))
	}
	args = append(args, "ip=dhcp")
	if t.MAC != (site.MAC{}) {
		args = append(args, "BOOTIF=01-"+t.MAC.Hyphens())
		if d.ifname {
			args = append(args, "ifname=netboot0:"+t.MAC.String())
		}
	}
	args = append(args,
		// A port in spanning tree stays silent for up to 50 s.
		"rd.net.timeout.carrier=60", "rd.net.timeout.dhcp=60", "rd.net.dhcp.retry=5", "inst.waitfornet=60",
		"inst.text", "inst.noninteractive", "inst.ks.sendmac", "inst.ks.sendsn", "inst.nosave=all_ks", "inst.geoloc=0",
	)
	if t.Syslog.IsValid() {
		// All generations speak TCP to it (anaconda writes "@@" into its rsyslog.conf).
		args = append(args, "inst.syslog="+t.Syslog.String())
	}
	if d.fpiToTail {
		args = append(args, "fpi_to_tail=off")
	}
	if d.smmu && t.Image.Arch == "aarch64" {
		args = append(args, "smmu.bypassdev=0x1000:0x17", "smmu.bypassdev=0x1000:0x15", "video=efifb:off")
	}
	return append(args, "console=tty0", "console="+console(t.Image)), w.err
}

// tree is the URL of a directory of the image, without a slash at its end.
func (t *Target) tree(dir string) string {
	return strings.TrimSuffix(t.ImageURL(strings.TrimPrefix(dir, ".")), "/")
}

// ks is a kickstart being written.
type ks struct {
	words
	b strings.Builder
}

// command writes one command with its options and arguments, each of which is
// one word. An option with an empty value is left out.
func (k *ks) command(name string, args ...string) {
	k.b.WriteString(name)
	for _, a := range args {
		k.b.WriteString(" " + a)
	}
	k.b.WriteByte('\n')
}

func (k *ks) option(name, field, value string) string {
	return "--" + name + "=" + k.kickstart(field, value)
}

func (k *ks) comment(text string) { fmt.Fprintf(&k.b, "\n# %s\n", k.line("comment", text)) }

// section writes a script section.
func (k *ks) section(header, body string) {
	for line := range strings.Lines(body) {
		if opensSection(line) {
			k.refuse("script", strings.TrimSpace(line), "would end its kickstart section")
		}
	}
	for _, part := range []string{"\n", header, "\n", body, "%end\n"} {
		k.b.WriteString(part)
	}
}

// opensSection tells whether pykickstart takes a line for the start or the
// end of a section, or for an include, even in the middle of a script.
func opensSection(line string) bool {
	line = strings.TrimLeft(line, " \t")
	if !strings.HasPrefix(line, "%") {
		return false
	}
	word := strings.Fields(line)[0]
	return slices.Contains([]string{
		"%end", "%include", "%ksappend", "%packages", "%pre", "%pre-install", "%pre-uninstall", "%post",
		"%onerror", "%traceback", "%addon", "%anaconda", "%certificate",
	}, word)
}

func kickstart(t *Target, d dialect) (string, error) {
	k := &ks{}
	k.b.Grow(96 << 10) // what most take: growing step by step would copy it several times
	k.b.WriteString(fmt.Sprintf("# Rackseed: kickstart for %s, attempt %d.\n", k.item("name", t.Intent.Node), t.Attempt))
	k.command("text")
	k.command("skipx")
	k.command("firstboot", "--disable")
	k.command("eula", "--agreed")
	k.command("reboot")
	k.locale(t, d)
	if err := k.access(t); err != nil {
		return "", err
	}
	k.sources(t)
	if args, ok := d.crashDump[t.Image.Arch]; ok {
		k.comment("This installer adds " + args + " to the kernel's arguments by itself, and so takes that memory.")
	}
	k.comment("%pre writes this once it has chosen the system disk; without it the install stops here.")
	k.command("%include", "/tmp/rackseed-disk.ks")
	if err := k.packages(t, d); err != nil {
		return "", err
	}
	if err := k.scripts(t, d); err != nil {
		return "", err
	}
	return k.b.String(), k.err
}

func (k *ks) locale(t *Target, d dialect) {
	l := t.Intent.Locale
	k.comment("Place and time.")
	k.command("lang", k.kickstart("locale.language", l.Language))
	k.command("keyboard", k.option("xlayouts", "locale.keyboard", l.Keyboard))
	zone := k.kickstart("locale.timezone", l.Timezone)
	if !d.timesource {
		k.command("timezone", zone, "--utc", ntpOption(t.Intent.NTP))
		return
	}
	k.command("timezone", zone, "--utc")
	for _, a := range t.Intent.NTP {
		k.command("timesource", "--ntp-server="+a.String())
	}
	if len(t.Intent.NTP) == 0 {
		k.command("timesource", "--ntp-disable")
	}
}

// ntpOption is how timezone was told of time servers before there was timesource.
func ntpOption(servers []netip.Addr) string {
	if len(servers) == 0 {
		return "--nontp"
	}
	names := make([]string, len(servers))
	for i, a := range servers {
		names[i] = a.String()
	}
	return "--ntpservers=" + strings.Join(names, ",")
}

func (k *ks) access(t *Target) error {
	root, err := rootHash(t.Root, "")
	if err != nil {
		return err
	}
	k.comment("Who may log in.")
	if root == "" {
		k.command("rootpw", "--lock")
	} else {
		k.command("rootpw", "--iscrypted", k.kickstart("access.root", root))
	}
	for _, key := range t.Intent.Access.SSHKeys {
		k.command("sshkey", "--username=root", k.kickstart("access.ssh_keys", key))
	}
	return nil
}

func (k *ks) sources(t *Target) {
	k.comment("The NIC that booted, for the install.")
	device := "link"
	if t.MAC != (site.MAC{}) {
		device = t.MAC.String()
	}
	// Bound to the MAC: the name of a NIC here need not be its name in the system.
	activate := "--activate"
	if t.Medium {
		activate = "--no-activate" // there may be no DHCP server, and nothing is fetched
	}
	k.command("network", "--bootproto=dhcp", "--device="+device, "--bindto=mac", "--onboot=yes", activate, k.option("hostname", "name", t.Intent.FQDN()))
	if t.Intent.Firewall.Value == "off" {
		k.command("firewall", "--disabled")
	} else {
		k.command("firewall", "--enabled", "--service=ssh")
	}
	k.command("selinux", "--"+k.kickstart("selinux", cmp.Or(t.Intent.SELinux.Value, "enforcing")))
	if t.Medium {
		k.comment("Packages come from the medium that was booted.")
		k.command("cdrom")
		return
	}
	k.comment("Packages come from the medium that was booted, through the laptop.")
	base, others := repositories(t.Image)
	k.command("url", k.option("url", "image URL", t.tree(base)))
	for _, dir := range others {
		k.command("repo", k.option("name", "repository", dir), k.option("baseurl", "image URL", t.tree(dir)))
	}
}

// repositories tells the one that holds the base system from the others.
func repositories(image site.Image) (string, []string) {
	base := "."
	if len(image.Repos) > 0 {
		base = image.Repos[0]
	}
	if slices.Contains(image.Repos, "BaseOS") {
		base = "BaseOS"
	}
	return base, slices.DeleteFunc(slices.Clone(image.Repos), func(dir string) bool { return dir == base })
}

func (k *ks) packages(t *Target, d dialect) error {
	names, err := packagesOf(t)
	if err != nil {
		return err
	}
	k.section("%packages "+d.weakdeps, strings.Join(slices.Concat([]string{"@" + coreGroup}, names, d.packages), "\n")+"\n")
	return nil
}

func (k *ks) scripts(t *Target, d dialect) error {
	type part struct {
		header string
		write  func(*Target) (string, error)
	}
	parts := []part{
		{"%pre --erroronfail --log=/tmp/rs-pre.log", preScript},
		{"%pre-install", piece("ks-pre-install")},
		{"%post --nochroot", piece("ks-post-begin")},
		{"%post --erroronfail --log=/root/rackseed-tune.log", tuneScript},
	}
	if d.licence {
		parts = append(parts, part{"%post --nochroot", licenceScript})
	}
	parts = append(parts,
		part{"%post --nochroot", piece("ks-post-end")},
		// Anaconda runs this before %traceback as well, so it is the only one.
		part{"%onerror", piece("evidence", "ks-onerror")},
	)
	for _, p := range parts {
		text, err := p.write(t)
		if err != nil {
			return err
		}
		k.section(p.header, text)
	}
	return nil
}

func preScript(t *Target) (string, error) {
	var w words
	args := w.arguments(t)
	if w.err != nil {
		return "", w.err
	}
	return diskScript(t, "disk-kickstart", variable{"kernel_arguments", args})
}

// arguments are those of the installed kernel.
func (w *words) arguments(t *Target) string {
	args := []string{"console=tty0", "console=" + console(t.Image)}
	for _, a := range kernelArgs(t.Intent) {
		args = append(args, w.kernel("kernel argument", a))
	}
	return strings.Join(args, " ")
}

func licenceScript(t *Target) (string, error) {
	s := newScript("Rackseed")
	s.set("image_url", "image URL", t.tree("."))
	s.piece("ks-kylin")
	return s.text()
}

// piece gives a script made of embedded parts that report.
func piece(names ...string) func(*Target) (string, error) {
	return func(t *Target) (string, error) {
		s := newScript("Rackseed")
		s.set("report_url", "report URL", t.reports())
		s.piece("report")
		for _, n := range names {
			s.piece(n)
		}
		return s.text()
	}
}
