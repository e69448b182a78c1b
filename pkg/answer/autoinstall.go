package answer

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Autoinstall is the language of Ubuntu's live server installer: a NoCloud
// seed with the installer's wishes in its user data.
const Autoinstall Kind = "autoinstall"

const cloudConfigType = "text/cloud-config; charset=utf-8"

// installerFolder is where cloud-init puts our scripts in the installer: its
// memory, so nothing of them is left on the disk.
const installerFolder = "/run/rackseed"

// renderAutoinstall writes for Ubuntu. The scripts are in the user data, so
// that the same seed works from a volume, without this daemon.
func renderAutoinstall(t *Target) (Answers, error) {
	switch release(t.Image.Version) {
	case "22.04", "24.04":
	default:
		return Answers{}, fmt.Errorf("no autoinstall can be written for Ubuntu %s yet: use the live server medium of 22.04 or 24.04", t.Image.Version)
	}
	user, err := userData(t)
	if err != nil {
		return Answers{}, err
	}
	args, err := autoinstallArgs(t)
	if err != nil {
		return Answers{}, err
	}
	var w words
	meta := yamlDocument(yamlMap{
		// A new attempt is a new instance: cloud-init starts afresh.
		{"instance-id", fmt.Sprintf("rackseed-%s-%d", w.item("name", t.Intent.Node), t.Attempt)},
		{"local-hostname", t.Intent.Node},
	})
	return Answers{Kind: Autoinstall, Args: args, Files: []File{
		{Name: "user-data", Type: cloudConfigType, Data: []byte(user)},
		{Name: "meta-data", Type: cloudConfigType, Data: []byte(meta)},
		{Name: "vendor-data", Type: cloudConfigType, Data: []byte("#cloud-config\n{}\n")},
	}}, w.err
}

// release is 22.04 of 22.04.5.
func release(version string) string {
	const digits = len("22.04")
	if len(version) > digits && version[digits] == '.' {
		return version[:digits]
	}
	return version
}

// autoinstallArgs is what Ubuntu's initramfs, its cloud-init and its
// installer must know, in this order.
func autoinstallArgs(t *Target) ([]string, error) {
	var w words
	if t.Medium {
		// The volume is found by its label.
		return []string{"autoinstall", "---", "console=tty0", "console=" + console(t.Image)}, nil
	}
	args := []string{"ip=dhcp"}
	if t.MAC != (site.MAC{}) {
		args = append(args, "BOOTIF=01-"+t.MAC.Hyphens())
	}
	return append(args,
		"url="+w.kernel("image URL", t.Base+"/images/"+t.Image.Digest+".iso"),
		// cloud-init takes url= for its own too, and would fetch the whole medium again.
		"cloud-config-url=/dev/null",
		// Without this word the installer asks before it writes to a disk. The semicolon is plain text to
		// iPXE and to the kernel; GRUB would want it quoted. The slash at the end is part of the prefix.
		"autoinstall", "ds=nocloud-net;s="+w.kernel("answer URL", t.AnswerURL("")),
		// What follows is taken over into the installed system.
		"---", "console=tty0", "console="+console(t.Image),
	), w.err
}

func userData(t *Target) (string, error) {
	wishes, err := autoinstall(t)
	if err != nil {
		return "", err
	}
	scripts := []any{}
	for _, s := range []struct {
		name  string
		write func(*Target) (string, error)
	}{
		{"early.sh", func(t *Target) (string, error) { return diskScript(t, "disk-autoinstall") }},
		{"tune.sh", tuneScript},
		{"late.sh", autoinstallLate},
		{"error.sh", piece("evidence", "autoinstall-error")},
	} {
		text, err := s.write(t)
		if err != nil {
			return "", err
		}
		scripts = append(scripts, yamlMap{{"path", installerFolder + "/" + s.name}, {"permissions", "0700"}, {"content", yamlText(text)}})
	}
	var w words
	head := fmt.Sprintf("#cloud-config\n# Rackseed: autoinstall for %s, attempt %d.\n", w.item("name", t.Intent.Node), t.Attempt)
	return head + yamlDocument(yamlMap{{"write_files", scripts}, {"autoinstall", wishes}}), w.err
}

// autoinstall is what the installer reads. It has no questions left.
func autoinstall(t *Target) (yamlMap, error) {
	var w words
	storage, err := autoinstallStorage(t)
	if err != nil {
		return nil, err
	}
	l := t.Intent.Locale
	wishes := yamlMap{
		{"version", 1},
		{"early-commands", command("early.sh")},
		{"refresh-installer", yamlMap{{"update", false}}},
		{"locale", w.line("locale.language", l.Language)},
		{"keyboard", yamlMap{{"layout", w.line("locale.keyboard", l.Keyboard)}}},
		{"timezone", w.line("locale.timezone", l.Timezone)},
	}
	if t.MAC != (site.MAC{}) {
		wishes = append(wishes, yamlPair{"network", installNetwork(t.MAC)})
	}
	return append(wishes, yamlMap{
		// A machine room has no way to the archive; the medium's own packages do. What the medium lacks
		// late.sh installs from the repositories of the plan, of which this installer would use none.
		{"apt", yamlMap{{"geoip", false}, {"fallback", "offline-install"}, {"conf", yamlText(aptOffline)}}},
		{"drivers", yamlMap{{"install", false}}},
		{"storage", storage},
		// It stands in the place of identity: nobody but root, whose access late.sh sets.
		{"user-data", yamlMap{{"disable_root", false}, {"users", []any{}}}},
		{"ssh", yamlMap{{"install-server", true}, {"allow-pw", false}}},
		{"updates", "security"}, // there is no word for none; aptOffline makes it none
		{"late-commands", command("late.sh")},
		{"error-commands", command("error.sh")},
		{"shutdown", "reboot"},
	}...), w.err
}

// aptOffline is apt's configuration while the installer runs. It upgrades what
// it installed whenever there is a default route, and each host that cannot be
// reached behind it would cost minutes. Which origins it upgrades from it says
// in a file that apt reads later than this one, so no package may be upgraded.
const aptOffline = `Acquire::Retries "0";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
Unattended-Upgrade::Package-Blacklist:: ".*";
`

func command(script string) []any {
	return []any{yamlStrings([]string{"sh", installerFolder + "/" + script})}
}

// installNetwork asks for an address on the NIC that booted, and on no other.
func installNetwork(mac site.MAC) yamlMap {
	return yamlMap{
		{"version", 2},
		{"ethernets", yamlMap{{"boot", yamlMap{
			{"match", yamlMap{{"macaddress", mac.String()}}},
			{"dhcp4", true},
			// As firmware and initramfs did: one machine, one lease.
			{"dhcp-identifier", "mac"},
		}}}},
	}
}

func autoinstallLate(t *Target) (string, error) {
	root, err := rootHash(t.Root, "*")
	if err != nil {
		return "", err
	}
	packages, err := packagesOf(t)
	if err != nil {
		return "", err
	}
	s := newScript(fmt.Sprintf("Rackseed finishes %s in /target.", t.Intent.Node))
	s.set("report_url", "report URL", t.reports())
	s.set("root_password", "access.root", root)
	s.set("packages", "packages", strings.Join(packages, " "))
	for _, piece := range []string{"report", "evidence", "autoinstall-late"} {
		s.piece(piece)
	}
	return s.text()
}
