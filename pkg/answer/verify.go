package answer

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

// verifyScript compares a system with what tuneScript makes of it.
func verifyScript(t *Target) (string, error) {
	s := newScript("")
	tuneFunctions(s, t)
	return verifyText(s, t, hostLines(s, t.Intent)), s.err
}

// verifyText is the check of everything that s has written so far.
func verifyText(s *script, t *Target, hosts string) string {
	i := t.Intent
	v := newScript(fmt.Sprintf("rackseed-verify compares this system with what %s must be, and prints one deviation a line.", i.Node))
	v.b.Grow(32 << 10)
	v.piece("verify")
	if i.Network != nil {
		v.piece("net-ports")
		v.piece("verify-net")
	}
	v.say("", "checks() {")
	check := func(field, command string, args ...string) { v.call(field, "\t"+command, args...) }
	check("name", "host_name", i.Node)
	if hosts != "" {
		check("hosts", "hosts_block", sum(hosts))
	}
	if i.Address.IsValid() {
		check("name", "resolves", ownAddress(i), i.Node)
	}
	verifyNetwork(check, i.Network)
	verifyKernel(v, i, check)
	for _, l := range i.Limits {
		check("limit "+l.Item, "limit", l.Domain, l.Item, fmt.Sprint(l.Value))
	}
	if n := openFiles(i.Limits); n > 0 {
		check("limit nofile", "service_limit", fmt.Sprint(n))
	}
	verifySystem(i, check)
	for _, f := range s.files {
		if f.path != "/etc/hostname" {
			check("file", "file", f.path, sum(f.text))
		}
	}
	for _, key := range i.Access.SSHKeys {
		check("access.ssh_keys", "root_key", key)
	}
	for _, a := range i.NTP {
		check("ntp", "time_server", a.String())
	}
	if i.Firewall.Value == "off" {
		check("firewall", "no_firewall", "firewalld", "ufw")
	}
	if i.SELinux.Value != "" {
		check("selinux", "selinux", i.SELinux.Value)
	}
	for _, concept := range i.Services {
		check("service", "running", v.units(concept)...)
	}
	v.say("}")
	v.piece("verify-report")
	text, err := v.text()
	if err != nil && s.err == nil {
		s.err = err
	}
	return text
}

func sum(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

// ownAddress is where the node's name leads: in the hosts of the site that is
// the management network, which need not be the one that it boots on.
func ownAddress(i *profile.Intent) string {
	for _, h := range i.Hosts {
		for _, name := range h.Names {
			if name == i.Node {
				return h.Addr.String()
			}
		}
	}
	return i.Address.String()
}

func verifyKernel(v *script, i *profile.Intent, check func(field, command string, args ...string)) {
	for _, a := range i.KernelArgs {
		check("kernel argument", "kernel_argument", a.Arg)
	}
	for _, p := range hugepages(i.KernelArgs) {
		check("hugepages", "hugepages", p.size, p.count)
	}
	for _, m := range i.Modules {
		if loads(m) {
			check("module", "module", m.Name)
		}
	}
	for _, s := range i.Sysctl {
		check("sysctl "+s.Key, "kernel_parameter", s.Key, s.Value)
	}
	if i.THP.Value != "" {
		check("thp", "huge_pages", i.THP.Value)
	}
	if i.KSM.Value != "" {
		check("ksm", "same_pages", i.KSM.Value, ksmRun(&v.words, i.KSM.Value))
	}
}

func verifySystem(i *profile.Intent, check func(field, command string, args ...string)) {
	if i.Tuned.Value != "" {
		check("tuned", "tuned_profile", tunedProfiles(i))
	}
	for _, d := range i.Schedulers {
		ahead := ""
		if d.ReadAheadKB > 0 {
			ahead = fmt.Sprint(d.ReadAheadKB)
		}
		check("scheduler", "scheduler", d.Disks, d.Scheduler, ahead)
	}
	for _, p := range i.Slices {
		if p.CPUs != "" {
			check("slice "+p.Unit, "allowed_cpus", p.Unit, p.CPUs)
		}
	}
	for _, j := range i.Journald {
		check("journald "+j.Key, "journald", j.Key, j.Value)
	}
}

// pages is a number of huge pages of one size.
type pages struct{ size, count string } // size in KiB, as /sys names it

// hugepages reads the arguments as the kernel does: hugepagesz holds for the
// hugepages behind it.
func hugepages(args []profile.KernelArg) []pages {
	var all []pages
	size := ""
	for _, a := range args {
		key, value, _ := strings.Cut(a.Arg, "=")
		switch key {
		case "hugepagesz":
			size = map[string]string{"2M": "2048", "1G": "1048576", "1GB": "1048576", "512M": "524288", "64K": "64", "32M": "32768", "16G": "16777216"}[value]
		case "hugepages":
			if size != "" {
				all = append(all, pages{size, value})
			}
		}
	}
	return all
}
