package answer

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// tuneScript writes the script that makes a system what the Intent says. It
// is the same for every installer, and running it again changes nothing.
func tuneScript(t *Target) (string, error) {
	i := t.Intent
	s := newScript(fmt.Sprintf("Rackseed makes this system what %s must be (role %s, profile %s).", i.Node, i.Role, i.Profile))
	s.say("# Run it inside the system, or with ROOT=/mnt/sysimage on one that is mounted there. Running",
		"# it again changes nothing.")
	s.piece("tune")
	tuneName(s, i)
	tuneKernel(s, i.Sysctl)
	tuneLimits(s, i.Limits)
	tuneAccess(s, i.Access)
	tuneServices(s, i)
	verifyAtFirstBoot(s, t)
	return s.text()
}

func section(s *script, why string) { s.say("", "# "+why) }

func tuneName(s *script, i *profile.Intent) {
	section(s, "The bare host name: cephadm and Kolla compare it with their own lists.")
	s.file("0644", "/etc/hostname", s.item("name", i.Node))
	if !i.Address.IsValid() {
		section(s, "The plan reserves no address for this node, so /etc/hosts stays as it is.")
		return
	}
	names := []string{i.Address.String()}
	if i.Domain != "" {
		names = append(names, s.item("domain", i.FQDN()))
	}
	s.call("name", "name_resolves", append(names, i.Node)...)
}

func tuneKernel(s *script, settings []profile.Setting) {
	if len(settings) == 0 {
		return
	}
	var b strings.Builder
	for _, v := range settings {
		field := "sysctl " + v.Key
		explain(s, &b, field, v.Why, v.Source)
		fmt.Fprintf(&b, "%s = %s\n", s.item("sysctl key", v.Key), s.line(field, v.Value))
	}
	section(s, "Kernel parameters, in force from the next boot.")
	s.file("0644", "/etc/sysctl.d/60-rackseed.conf", b.String())
}

func tuneLimits(s *script, limits []profile.Limit) {
	if len(limits) == 0 {
		return
	}
	var b strings.Builder
	for _, l := range limits {
		field := "limit " + l.Item
		explain(s, &b, field, l.Why, l.Source)
		fmt.Fprintf(&b, "%s - %s %d\n", s.item(field, l.Domain), s.item(field, l.Item), l.Value)
	}
	section(s, "Limits of login sessions, and of whatever else passes PAM.")
	s.file("0644", "/etc/security/limits.d/60-rackseed.conf", b.String())
	if n := openFiles(limits); n > 0 {
		section(s, "Services do not pass PAM. The hard limit stays at systemd's own: a container engine raises its own up to it.")
		s.file("0644", "/etc/systemd/system.conf.d/60-rackseed.conf", fmt.Sprintf("[Manager]\nDefaultLimitNOFILE=%d:%d\n", n, max(n, systemdHardFiles)))
	}
}

// systemdHardFiles is systemd's default hard limit of open files, since v240.
const systemdHardFiles = 524288

// openFiles is the limit of open files that holds for everybody, or 0.
func openFiles(limits []profile.Limit) int {
	for _, l := range limits {
		if l.Domain == "*" && l.Item == "nofile" {
			return l.Value
		}
	}
	return 0
}

func explain(s *script, b *strings.Builder, field, why, source string) {
	if why != "" {
		fmt.Fprintf(b, "# %s\n", s.line(field, why))
	}
	if source != "" {
		fmt.Fprintf(b, "# Source: %s\n", s.line(field, source))
	}
}

func tuneAccess(s *script, a site.Access) {
	if len(a.SSHKeys) == 0 {
		return
	}
	section(s, "Who may log in as root.")
	s.say(`mkdir -p "$ROOT/root/.ssh"`, `chmod 0700 "$ROOT/root/.ssh"`)
	for _, key := range a.SSHKeys {
		s.call("access.ssh_keys", "line 0600 /root/.ssh/authorized_keys", key)
	}
}

func tuneServices(s *script, i *profile.Intent) {
	if len(i.NTP) > 0 {
		section(s, "Clusters need clocks that agree.")
		servers := make([]string, len(i.NTP))
		for n, a := range i.NTP {
			servers[n] = a.String()
		}
		s.call("ntp", "time_from", servers...)
	}
	section(s, "Services; each has one name or another by distribution.")
	for _, concept := range i.Services {
		s.call("service", "enable_unit", s.units(concept)...)
	}
}

// units gives the names of a service, by concept, on the systems there are.
func (w *words) units(concept string) []string {
	units, ok := map[string][]string{
		"ssh":    {"ssh", "sshd"},
		"chrony": {"chrony", "chronyd"},
	}[concept]
	if !ok {
		w.refuse("services", concept, "is not a service that Rackseed knows by concept")
	}
	return units
}

// verifyAtFirstBoot installs a check of what is in force against the Intent,
// and a unit that reports it once.
func verifyAtFirstBoot(s *script, t *Target) {
	section(s, "The first boot compares what is in force with the plan.")
	check, err := verifyScript(t)
	if err != nil && s.err == nil {
		s.err = err
	}
	s.file("0755", "/usr/local/sbin/rackseed-verify", check)
	if t.Token == "" {
		return
	}
	s.file("0644", "/etc/systemd/system/rackseed-verify.service", verifyUnit)
	section(s, "Where to report; it goes once the report was taken.")
	s.say(`mkdir -p "$ROOT/etc/rackseed"`, `chmod 0700 "$ROOT/etc/rackseed"`)
	s.file("0600", "/etc/rackseed/report", s.line("report URL", t.reports()))
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

func verifyScript(t *Target) (string, error) {
	i := t.Intent
	s := newScript(fmt.Sprintf("rackseed-verify compares this system with what %s must be, and prints one deviation a line.", i.Node))
	s.piece("verify")
	s.say("", "checks() {")
	check := func(field, command string, args ...string) { s.call(field, "\t"+command, args...) }
	check("name", "host_name", i.Node)
	if i.Address.IsValid() {
		check("name", "resolves", i.Address.String(), i.Node)
	}
	for _, v := range i.Sysctl {
		check("sysctl "+v.Key, "kernel_parameter", v.Key, v.Value)
	}
	for _, l := range i.Limits {
		check("limit "+l.Item, "limit", l.Domain, l.Item, fmt.Sprint(l.Value))
	}
	if n := openFiles(i.Limits); n > 0 {
		check("limit nofile", "service_limit", fmt.Sprint(n))
	}
	for _, key := range i.Access.SSHKeys {
		check("access.ssh_keys", "root_key", key)
	}
	for _, concept := range i.Services {
		check("service", "running", s.units(concept)...)
	}
	s.say("}")
	s.piece("verify-report")
	return s.text()
}
