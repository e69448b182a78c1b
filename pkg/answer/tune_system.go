package answer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
)

func tuneSystem(s *script, i *profile.Intent) {
	tuneLimits(s, i.Limits)
	tuneTuned(s, i)
	tuneSchedulers(s, i.Schedulers)
	tuneSlices(s, i.Slices)
	tuneJournald(s, i.Journald)
}

func tuneLimits(s *script, limits []profile.Limit) {
	if len(limits) == 0 {
		return
	}
	var b strings.Builder
	for _, l := range limits {
		field := "limit " + l.Item
		explain(s, &b, field, l.Reason)
		fmt.Fprintf(&b, "%s - %s %d\n", s.item(field, l.Domain), s.item(field, l.Item), l.Value)
	}
	section(s, "Limits of login sessions, and of whatever else passes PAM.")
	s.file("/etc/security/limits.d/60-rackseed.conf", b.String())
	if n := openFiles(limits); n > 0 {
		section(s, "Services do not pass PAM. The hard limit stays at systemd's own: a container engine raises its own up to it.")
		s.file("/etc/systemd/system.conf.d/60-rackseed.conf", fmt.Sprintf("[Manager]\nDefaultLimitNOFILE=%d:%d\n", n, max(n, systemdHardFiles)))
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

// disksProfile is a tuned profile of our own, beside the one of the plan.
const disksProfile = "rackseed-disks"

// profileDirs are where tuned looks for profiles of the site: before 2.24, and
// on RHEL 9 to this day, in the first, elsewhere (RHEL 10, Debian 13) only in
// the second. A profile that it misses leaves the whole system untuned.
func profileDirs() []string { return []string{"/etc/tuned/", "/etc/tuned/profiles/"} }

// tunedProfiles are the profiles that tuned merges, later ones over earlier
// ones.
func tunedProfiles(i *profile.Intent) string {
	if i.Tuned.Value == "" || len(i.Schedulers) == 0 {
		return i.Tuned.Value
	}
	return i.Tuned.Value + " " + disksProfile
}

// tuneTuned writes what `tuned-adm profile` would: in an install chroot there
// is no daemon to ask.
func tuneTuned(s *script, i *profile.Intent) {
	name := i.Tuned.Value
	if name == "" {
		return
	}
	section(s, "The profile of tuned. Releases before and after 2.24 look for those of the site in different places.")
	if len(i.Schedulers) > 0 {
		for _, dir := range profileDirs() {
			s.file(dir+disksProfile+"/tuned.conf", `# Written by Rackseed: without this, tuned sets another read-ahead after the rules of udev.
[main]
summary=Leaves schedulers and read-ahead to the rules of udev

[disk]
enabled=false
`)
		}
	}
	if cpus := derived(i, "isolated_cpus"); isolates(name) && cpus != "" {
		var b strings.Builder
		explain(s, &b, "tuned", i.Tuned.Reason)
		fmt.Fprintf(&b, "isolated_cores=%s\n", s.cpus("isolated_cpus", cpus))
		s.named("/etc/tuned/"+s.item("tuned", name)+"-variables.conf", b.String())
	}
	s.say(fmt.Sprintf("put 0644 /etc/tuned/active_profile <<'%s'", endOfText), s.item("tuned", name)+strings.TrimPrefix(tunedProfiles(i), name), endOfText)
	s.say(fmt.Sprintf("put 0644 /etc/tuned/profile_mode <<'%s'", endOfText), "manual", endOfText)
}

// isolates tells which profiles read isolated_cores from a file of their own.
func isolates(profile string) bool {
	return slices.Contains([]string{"cpu-partitioning", "cpu-partitioning-powersave", "realtime", "realtime-virtual-host", "realtime-virtual-guest"}, profile)
}

// derived is a value that was computed from the hardware.
func derived(i *profile.Intent, key string) string {
	for _, d := range i.Derived {
		if d.Key == key {
			return d.Value
		}
	}
	return ""
}

func tuneSchedulers(s *script, schedulers []profile.Scheduler) {
	if len(schedulers) == 0 {
		return
	}
	var b strings.Builder
	for _, d := range schedulers {
		field := "scheduler of " + d.Disks
		match, ok := map[string]string{
			"nvme": `KERNEL=="nvme*n*"`,
			"ssd":  `KERNEL=="sd*|vd*", ATTR{queue/rotational}=="0"`,
			"hdd":  `KERNEL=="sd*|vd*", ATTR{queue/rotational}=="1"`,
		}[d.Disks]
		if !ok {
			s.refuse("schedulers", d.Disks, "is none of nvme, ssd and hdd")
		}
		explain(s, &b, field, d.Reason)
		fmt.Fprintf(&b, `ACTION=="add|change", SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", %s`, match)
		if d.Scheduler != "" {
			fmt.Fprintf(&b, `, ATTR{queue/scheduler}="%s"`, s.item(field, d.Scheduler))
		}
		if d.ReadAheadKB > 0 {
			fmt.Fprintf(&b, `, ATTR{queue/read_ahead_kb}="%d"`, d.ReadAheadKB)
		}
		b.WriteByte('\n')
	}
	section(s, "How disks queue, by their kind.")
	s.file("/etc/udev/rules.d/60-rackseed-disks.rules", b.String())
}

func tuneSlices(s *script, slices []profile.Slice) {
	if len(slices) == 0 {
		return
	}
	section(s, "Services that keep to their own CPUs and memory.")
	for _, p := range slices {
		field := "slice " + p.Unit
		kind := "Slice"
		if strings.HasSuffix(p.Unit, ".service") {
			kind = "Service"
		} else if !strings.HasSuffix(p.Unit, ".slice") {
			s.refuse("slices", p.Unit, "is neither a .slice nor a .service")
		}
		var b strings.Builder
		explain(s, &b, field, p.Reason)
		fmt.Fprintf(&b, "[%s]\n", kind)
		if p.CPUs != "" {
			fmt.Fprintf(&b, "AllowedCPUs=%s\n", s.cpus(field, p.CPUs))
			if kind == "Service" {
				// Where cgroups are version 1, AllowedCPUs has no effect.
				fmt.Fprintf(&b, "CPUAffinity=%s\n", s.cpus(field, p.CPUs))
			}
		}
		for _, v := range p.Environment {
			fmt.Fprintf(&b, "Environment=\"%s\"\n", s.environment(field, v))
		}
		if p.MemoryHigh != "" {
			fmt.Fprintf(&b, "MemoryHigh=%s\n", s.item(field, p.MemoryHigh))
		}
		s.named(slicePath(s.item("slices", p.Unit)), b.String())
	}
}

func slicePath(unit string) string {
	return "/etc/systemd/system/" + strings.ReplaceAll(unit, "/", "-") + ".d/60-rackseed.conf"
}

func tuneJournald(s *script, settings []profile.Setting) {
	if len(settings) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString("[Journal]\n")
	for _, v := range settings {
		field := "journald " + v.Key
		explain(s, &b, field, v.Reason)
		fmt.Fprintf(&b, "%s=%s\n", s.item("journald key", v.Key), s.value(field, v.Value))
	}
	section(s, "The journal.")
	s.file("/etc/systemd/journald.conf.d/60-rackseed.conf", b.String())
}
