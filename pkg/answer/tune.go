package answer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// tuneScript writes the script that makes a system what the Intent says. It
// is the same for every delivery, and running it again changes nothing.
func tuneScript(t *Target) (string, error) {
	s := newScript(fmt.Sprintf("Rackseed makes this system what %s must be (role %s, profile %s).", t.Intent.Node, t.Intent.Role, t.Intent.Profile))
	s.say("# Run it inside the system, or with ROOT=/mnt/sysimage on one that is mounted there. Running",
		"# it again changes nothing.")
	s.piece("tune")
	tuneFunctions(s, t)
	s.say("", "tune_all")
	onlyOurRepositories(s, t)
	tuneNetwork(s, t)
	return s.text()
}

// tuneFunctions adds tune_all, which makes a system what it must be, and
// verify_text, which prints the script that compares a system with that.
func tuneFunctions(s *script, t *Target) {
	i := t.Intent
	hosts := hostLines(s, i)
	s.b.Grow(64<<10 + len(hosts))
	s.say("", "tune_all() {")
	tuneRepositories(s, t)
	s.say("", "install_packages")
	tuneName(s, i, hosts)
	tuneKernel(s, i)
	tuneSystem(s, i)
	tuneAccess(s, i.Access)
	tuneServices(s, i)
	tuneGuards(s, i)
	verifyAtFirstBoot(s, t)
	tuneFiles(s)
	s.say("}")
	check := verifyText(s, t, hosts)
	s.say("", "verify_text() {", fmt.Sprintf("cat <<'%s'", endOfText), strings.TrimSuffix(check, "\n"), endOfText, "}")
}

// verifyPath is where an installed system keeps verify_text.
const verifyPath = "/usr/local/sbin/rackseed-verify"

func section(s *script, why string) { s.say("", "# "+why) }

// explain adds comments with the reason of a value.
func explain(s *script, b *strings.Builder, field string, r profile.Reason) {
	if r.Why != "" {
		fmt.Fprintf(b, "# %s\n", s.line(field, r.Why))
	}
	if r.Source != "" {
		fmt.Fprintf(b, "# Source: %s\n", s.line(field, r.Source))
	}
}

func tuneName(s *script, i *profile.Intent, lines string) {
	section(s, "The bare host name: cephadm and Kolla compare it with their own lists.")
	s.file("/etc/hostname", s.item("name", i.Node))
	if lines == "" {
		section(s, "The plan reserves no address for this node, so /etc/hosts stays as it is.")
		return
	}
	section(s, "The hosts of the plan. What others wrote into /etc/hosts stays, but for 127.0.1.1.")
	s.say(fmt.Sprintf("hosts <<'%s'", endOfText), strings.TrimSuffix(lines, "\n"), endOfText)
}

// hostLines are the lines of /etc/hosts: the whole site's, or at least the
// node's own.
func hostLines(s *script, i *profile.Intent) string {
	hosts := i.Hosts
	if len(hosts) == 0 && i.Address.IsValid() {
		own := profile.Host{Addr: i.Address, Names: []string{i.Node}}
		if i.Domain != "" {
			own.Names = []string{i.FQDN(), i.Node}
		}
		hosts = []profile.Host{own}
	}
	var b strings.Builder
	b.Grow(64 * len(hosts))
	for _, h := range hosts {
		b.WriteString(h.Addr.String())
		for _, name := range h.Names {
			b.WriteByte(' ')
			b.WriteString(s.item("host", name))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func tuneAccess(s *script, a site.Access) {
	if len(a.SSHKeys) == 0 {
		return
	}
	section(s, "Who may log in as root.")
	s.say("folder 0700 /root/.ssh")
	for _, key := range a.SSHKeys {
		s.call("access.ssh_keys", "line 0600 /root/.ssh/authorized_keys", key)
	}
}

func tuneServices(s *script, i *profile.Intent) {
	if len(i.NTP) > 0 || i.Clock.LocalStratum > 0 {
		section(s, "Clusters need clocks that agree.")
		args := []string{strconv.Itoa(i.Clock.LocalStratum)}
		for _, a := range i.NTP {
			args = append(args, a.String())
		}
		s.call("ntp", "time_from", args...)
	}
	section(s, "Services; each has one name or another by distribution.")
	for _, concept := range i.Services {
		s.call("service", "enable_unit", s.units(concept)...)
	}
}

// tuneGuards keeps a firewall and SELinux out of the way where the plan says
// so. Neither is turned on: a system that has run without them would not be
// reachable, or not boot before it is relabelled.
func tuneGuards(s *script, i *profile.Intent) {
	if !slices.Contains([]string{"", "on", "off"}, i.Firewall.Value) {
		s.refuse("firewall", i.Firewall.Value, "is neither on nor off")
	}
	if !slices.Contains([]string{"", "enforcing", "permissive"}, i.SELinux.Value) {
		s.refuse("selinux", i.SELinux.Value, "is neither enforcing nor permissive")
	}
	if i.Firewall.Value == "off" {
		section(s, "No firewall of the system: "+s.line("firewall", i.Firewall.Why))
		s.say("disable_unit firewalld ufw")
	}
	if i.SELinux.Value == "permissive" {
		section(s, "SELinux logs, and lets pass: "+s.line("selinux", i.SELinux.Why))
		s.say("permissive")
	}
}

// units gives the names of a service, by concept, on the systems there are.
func (w *words) units(concept string) []string {
	switch concept {
	case "ssh":
		return []string{"ssh", "sshd"}
	case "chrony":
		return []string{"chrony", "chronyd"}
	case "iscsi":
		return []string{"iscsid"}
	case "multipath":
		return []string{"multipathd", "multipath-tools"}
	case "kdump":
		return []string{"kdump", "kdump-tools"}
	case "ceph", "irqbalance", "tuned", "ksm", "ksmtuned", "lldpd", "numad", "smartd", "sysstat", "podman", "docker",
		"haproxy", "keepalived", "memcached", "libvirtd", "openvswitch", "firewalld", "mdmonitor":
		return []string{concept}
	default:
		w.refuse("services", concept, "is not a service that Rackseed knows by concept")
		return nil
	}
}

// verifyAtFirstBoot installs a check of what is in force against the Intent,
// and a unit that reports it once.
func verifyAtFirstBoot(s *script, t *Target) {
	if t.reports() == "" {
		section(s, "Whoever wants to know what is not as planned may ask this.")
		s.say("verify_text | put 0755 " + verifyPath)
		return
	}
	section(s, "The first boot compares what is in force with the plan.")
	s.say("verify_text | put 0755 " + verifyPath)
	s.file("/etc/systemd/system/rackseed-verify.service", verifyUnit)
	section(s, "Where to report; it goes once the report was taken.")
	s.say("folder 0700 /etc/rackseed", fmt.Sprintf("put 0600 /etc/rackseed/report <<'%s'", endOfText), s.line("report URL", t.reports()), endOfText)
	s.call("service", "enable_unit", "rackseed-verify")
}

// verifyUnit is of type simple because a report that waits for a laptop must
// not hold up the boot.
const verifyUnit = `[Unit]
Description=Rackseed: compare this system with its plan and report
Wants=network-online.target
After=network-online.target multi-user.target
ConditionPathExists=/etc/rackseed/report

[Service]
Type=simple
ExecStart=/usr/local/sbin/rackseed-verify --report

[Install]
WantedBy=multi-user.target
`

// tuneFiles ends the script with the list of the files that are the plan's
// alone; those that other programs write as well are not in it.
func tuneFiles(s *script) {
	section(s, "What only an earlier plan asked for goes.")
	s.say(fmt.Sprintf("planned_files <<'%s'", endOfText))
	for _, f := range s.files {
		if f.path != "/etc/hostname" {
			s.say(f.path)
		}
	}
	s.say(verifyPath, endOfText)
}
