package flight

import (
	"regexp"
	"sync"
)

// textRules look at what installers write to syslog and consoles. Each says
// once what a line of an installer or of firmware stands for.
var textRules = sync.OnceValue(compileTextRules)

func compileTextRules() []rule {
	var all []rule
	for _, t := range []struct{ id, pattern, cause, next string }{
		{
			"out-of-memory-stage2", `curl: \(23\)|(?i)no space left on device.*(initr|stage2|/run)|write error: No space left on device`,
			"curl: (23), or no space in memory: the machine has not enough of it for the installer's own system (stage 2)",
			"give it more memory (RHEL 9 and openEuler want 3 GiB, RHEL 10 and Kylin 4 GiB), or take away memory that is set aside by kernel arguments",
		},
		{
			"out-of-memory", `(?i)out of memory: kill|oom-kill|invoked oom-killer`,
			"it ran out of memory", "give it more memory; an installer with many packages wants 3 GiB and more",
		},
		{
			"server-unreachable", `curl: \((6|7|28|35|52|56)\)|(?i)bad archive mirror|wget: can't connect|Network is unreachable`,
			"it cannot reach this server", "look at its address, gateway and VLAN, and at a firewall here: `rackseed doctor`",
		},
		{
			"secure-boot", `(?i)security violation|verification failed: \(0x1a\)|image .*not authenticated|bad shim signature|access denied.*(efi|image)`,
			"Secure Boot refused what was loaded", "switch Secure Boot off in its BIOS, or serve the signed loaders (--loaders)",
		},
		{"no-boot-device", `(?i)no bootable device|no boot device|operating system not found|missing operating system|reboot and select proper boot device`, "its firmware found nothing to boot", "the boot order of its BIOS names no device with a system: `rackseed bootdev get NODE`"},
		{"media-test", `PXE-E61|(?i)media test failure|check cable|PXE-E05`, "its network port has no link", "look at the cable and the switch port; the port that is cabled must be the one with PXE"},
		{"no-offers", `PXE-E51|PXE-E16|(?i)no valid offer received|no DHCP or proxyDHCP offers`, "its ROM got no DHCP offer that it could use", "compare with what was answered: if nothing came in here, its port is in another VLAN or blocked by spanning tree"},
		{"no-boot-file", `PXE-E53|(?i)no boot filename received`, "its ROM got an address and no boot file", "if the address is another server's, its firmware does not merge proxy offers; if it is ours, the machine is not armed"},
		{"no-boot-server", `PXE-E55|PXE-E74`, "its ROM asked port 4011 and got no answer", "a firewall here or on the way drops UDP port 4011: `rackseed doctor`"},
		{"tftp-no-answer", `PXE-E32|PXE-E18|PXE-E11|(?i)server response timeout`, "its ROM asked for its boot file and got no answer", "a firewall here or on the way drops UDP: TFTP answers from ports above 1023"},
		{"rom-memory", `PXE-E23|(?i)client received tftp error`, "its ROM has no room for the boot file", "UEFI HTTP boot, or newer firmware"},
		{"no-root", `(?i)dracut.*(could not boot|/dev/root does not exist)|dracut-initqueue.*(timeout|starting timeout)`, "the installer's first stage did not find its second", "it could not fetch the image's stage 2: look for curl errors above; `rackseed image verify`"},
		{"kernel-panic", `Kernel panic`, "its kernel stopped", "the lines before it say why; a damaged image is found by `rackseed image verify`"},
		{"disk-errors", `(?i)I/O error, dev|critical medium error|Medium Error|DRDY ERR`, "a disk reports errors", "exchange the disk, or choose another in the plan; its SMART values are in `rackseed inventory`"},
		{"clock", `(?i)certificate (is not yet valid|has expired)|not valid yet \(invalid for another|clock skew`, "its clock is wrong", "set the time in its BIOS or BMC, or give the provisioning network an ntp: in the plan"},
		{"hardware-error", `(?i)mce:.*(hardware error|machine check)|\[Hardware Error\]|EDAC .*(UE|uncorrect)`, "its hardware reports an error", "its BMC's log names the part: `rackseed inventory NODE`"},
		{"package-missing", `(?i)unable to locate package|has no installation candidate|no match for argument|packages cannot be installed:`, "a package that its role wants is in no repository that it knows", "a larger medium (the DVD), or a repository of the plan that has it: repositories: or images.NAME.mirror"},
		{"repository", `(?i)failed to download metadata|error setting up (base )?repository|failed to synchronize cache|Curl error \(\d+\)`, "it cannot read the packages", "`rackseed image verify` checks the medium; a repository of the plan that is elsewhere must be reachable from it"},
		{"link-lost", `(?i)NETDEV WATCHDOG|(eth|en|em)\w*: .*link is down|NIC Link is Down`, "its network link went down", "look at the cable, the optics and the switch port"},
		{"ipxe-error", `ipxe\.org/[0-9a-f]{8}`, "iPXE stopped with an error", "the page it names explains it: https://ipxe.org/ followed by the number"},
	} {
		pattern := regexp.MustCompile(t.pattern)
		all = append(all, rule{id: t.id, once: true, cause: t.cause, next: t.next, find: func(h history) []hit {
			return h.each(func(e Entry) bool {
				return (e.Source == Syslog || e.Source == Console) && pattern.MatchString(e.Detail)
			}, none)
		}})
	}
	return all
}
