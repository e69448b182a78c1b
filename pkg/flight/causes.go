package flight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// rule is a pattern over the entries of one machine, with what it means and
// what to do about it. Cause and next take the words of a hit.
type rule struct {
	id     string
	normal bool // nothing to worry about
	once   bool // the first hit of an attempt says it all
	find   func(h history) []hit
	cause  string
	next   string
}

// hit is where a pattern was found.
type hit struct {
	index int // of the entry that shows it
	words []any
}

// history is what rules look at: the entries of one machine, the oldest
// first, and the time.
type history struct {
	entries []Entry
	now     time.Time
}

// How long what should follow is waited for before its absence means
// something. They are generous: big machines are slow.
const (
	waitLoaded   = 90 * time.Second // a loader that was sent, to its first packet
	waitBootFile = time.Minute      // an address, to the boot file
	waitTaken    = 20 * time.Second // an offer, to what the client makes of it
	waitPOST     = 10 * time.Minute
	waitKernel   = 10 * time.Minute
	waitReport   = 5 * time.Minute
	blockedPort  = 20 * time.Second // spanning tree blocks for 30 s, rapid spanning tree for less
	loopWithin   = 10 * time.Minute
	loopTimes    = 3
)

// Diagnose says in plain language what the entries of one machine show, the
// oldest first, and puts each cause beside the entry that shows it. The
// entries are in order of time.
func Diagnose(entries []Entry, now time.Time) []Diagnosis {
	h := history{entries, now}
	var found []Diagnosis
	for _, r := range slices.Concat(rules(), textRules()) {
		told := map[int]bool{}
		for _, x := range r.find(h) {
			e := &entries[x.index]
			if r.once && told[e.Attempt] {
				continue
			}
			told[e.Attempt] = true
			f := Diagnosis{ID: r.id, At: e.At, Cause: words(r.cause, x.words), Next: r.next, Normal: r.normal}
			if e.Cause == "" || !r.normal {
				e.Cause = strings.TrimSuffix(f.Cause+"; "+f.Next, "; ")
				e.tidy()
			}
			found = append(found, f)
		}
	}
	slices.SortStableFunc(found, func(a, b Diagnosis) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return found
}

func words(format string, args []any) string {
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// each gives the entries that ok says yes to.
func (h history) each(ok func(e Entry) bool, word func(e Entry) []any) []hit {
	var hits []hit
	for i, e := range h.entries {
		if ok(e) {
			hits = append(hits, hit{i, word(e)})
		}
	}
	return hits
}

// next is the first entry behind index that ok says yes to, within a time of
// it; -1 when there is none.
func (h history) next(index int, within time.Duration, ok func(e Entry) bool) int {
	for i := index + 1; i < len(h.entries); i++ {
		if h.entries[i].At.Sub(h.entries[index].At) > within {
			return -1
		}
		if ok(h.entries[i]) {
			return i
		}
	}
	return -1
}

// waited reports whether what did not follow an entry had time to.
func (h history) waited(index int, d time.Duration) bool {
	return h.now.Sub(h.entries[index].At) > d
}

func isLoader(e Entry) bool {
	name := strings.ToLower(e.Name)
	sent := e.Source == TFTP && e.What == "sent" || e.Source == HTTP && e.What == "loader" && e.Detail == ""
	return sent && (strings.HasSuffix(name, ".efi") || strings.HasSuffix(name, ".kpxe") || strings.HasSuffix(name, ".pxe") || strings.HasSuffix(name, ".0"))
}

// cameBack reports what only a loader that runs does.
func cameBack(e Entry) bool {
	return e.Client == ClientIPXE || e.Source == HTTP || e.Source == Log && e.What == "install-started" ||
		e.Source == TFTP && !isLoader(e) && (e.What == "open" || e.What == "sent") && (strings.HasSuffix(e.Name, ".ipxe") || strings.Contains(e.Name, "grub"))
}

func asks(e Entry) bool { return e.What == "discover" && e.Client.Firmware() }

func offersAddress(e Entry) bool { return e.Source == DHCP && e.What == "offer" }

func offersBootFile(e Entry) bool {
	return e.Source == ProxyDHCP && e.What == "offer" && e.Name != "" && e.Client != ClientIPXE
}

// goesOn reports that a client took an offer: ours, or another server's.
func goesOn(e Entry) bool {
	return e.Source == TFTP || e.Source == HTTP || strings.HasPrefix(e.What, "request") || e.What == "ack"
}

func none(Entry) []any { return nil }

func nameOf(e Entry) []any { return []any{e.Name} }

// harmless are files that loaders look for and that need not be there.
func harmless(name string) bool {
	for _, part := range []string{"revocations", "shim_certificate", "grub.cfg-", "mokmanager", "mmx64", "mmaa64", "fbx64", "fbaa64", "boot.cfg", "pxelinux.cfg", "bcd", "command.lst", ".fs/"} {
		if strings.Contains(strings.ToLower(name), part) {
			return true
		}
	}
	return false
}

func rules() []rule {
	return slices.Concat(tftpRules(), dhcpRules(), bootRules())
}

func tftpRules() []rule {
	return []rule{
		{
			id: "tftp-size-probe", normal: true,
			cause: "the ROM asked for the size of %s and stopped: it does so before every download",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return e.Source == TFTP && e.What == "size-probe" }, nameOf)
			},
		},
		{
			id: "tftp-looked-for", normal: true,
			cause: "the loader looked for %s, which need not be there",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return e.Source == TFTP && e.What == "refused" && harmless(e.Name) }, nameOf)
			},
		},
		{
			id:    "tftp-unknown-file",
			cause: "it asked for %s, which is no boot file of this server",
			next:  "another DHCP server names that file (option 67), or the firmware remembers it: `rackseed explain` shows what we name",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return e.Source == TFTP && e.What == "refused" && !harmless(e.Name) }, nameOf)
			},
		},
		{
			id:    "tftp-unheard",
			cause: "it asked for %s and never took the first block",
			next:  "our answers do not reach it: a firewall here or on the way drops UDP from ports above 1023; `rackseed doctor` looks at this machine's",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return e.Source == TFTP && e.What == "timed-out" && e.Bytes == 0 }, nameOf)
			},
		},
		{
			id:    "tftp-cut-off",
			cause: "the transfer of %s stopped after %d KiB",
			next:  "packets are lost on the way: look at the cable, the duplex and the MTU of its port; a ROM that gives up by itself wants a smaller loader or UEFI HTTP boot",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool {
					return e.Source == TFTP && e.Bytes > 0 && (e.What == "timed-out" || e.What == "aborted")
				}, func(e Entry) []any { return []any{e.Name, e.Bytes >> 10} })
			},
		},
	}
}

const edgePort = "set its port to portfast (Cisco: spanning-tree portfast; Huawei, H3C: stp edged-port enable), and LACP, if there is any, to fallback"

func dhcpRules() []rule {
	return []rule{
		{
			id:    "port-blocked",
			cause: "it had looked for an address for %s before its first packet came through: its port is blocked after the link comes up, as spanning tree does",
			next:  edgePort,
			find:  findBlockedPort,
		},
		{
			id:    "port-blocked-again",
			cause: "iPXE came up and was without a link for %s: its port is blocked after the link comes up, as spanning tree does",
			next:  edgePort,
			find:  findBlockedAgain,
		},
		{
			id: "another-server", once: true,
			cause: "another DHCP server, %s, answered it, and it took that offer",
			next:  "`rackseed doctor` finds the server: unplug it, or serve beside it with --dhcp proxy",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return e.Source == DHCP && e.What == "request-elsewhere" }, func(e Entry) []any { return []any{e.Addr} })
			},
		},
		{
			id:    "offer-ignored",
			cause: "it was offered an address %d times and took none",
			next:  "our answers do not reach it: look at the VLAN of its port, the relay, DHCP snooping on the switch, and a firewall here",
			find:  func(h history) []hit { return findIgnored(h, offersAddress) },
		},
		{
			id:    "proxy-offer-ignored",
			cause: "%d times it got our boot file beside the other server's address, and did not come for it: this firmware does not merge the two offers",
			next:  "have the other server name the boot file of the offer (FILE) and this server's address (ADDRESS): dnsmasq dhcp-boot=FILE,,ADDRESS; ISC and Kea next-server ADDRESS and filename FILE; Windows options 66 ADDRESS and 67 FILE; or put the machine on a network of its own with --dhcp server",
			find:  func(h history) []hit { return findIgnored(h, offersBootFile) },
		},
		{
			id:    "other-boot-file",
			cause: "it took the other server's address and never came for our boot file: it follows the one that came with the address, or cannot reach this server",
			next:  "`rackseed doctor` says whether the other server names a boot file: take it out of that server (dnsmasq dhcp-boot and pxe-service; ISC and Kea filename and next-server; Windows options 66 and 67)",
			find:  findOtherBootFile,
		},
		{
			id: "address-taken", cause: "it found its address %s in use by another station",
			next: "find the station: its MAC is in the ARP table of this machine (`ip neigh`); the address is put aside for ten minutes",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return e.What == "decline" }, func(e Entry) []any { return []any{e.Addr} })
			},
		},
		{
			id: "asks-for-old-address", normal: true,
			cause: "it asked for an address that is not its own any more, and asks again for the right one",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return e.What == "nak" }, none)
			},
		},
		{
			id: "not-planned", once: true,
			cause: "the plan does not name this machine, so it gets no answer",
			next:  "add its MAC to the plan, or take it in with `rackseed node adopt`",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool { return asks(e) && e.Node == "" && strings.Contains(e.Detail, "no answer") }, none)
			},
		},
	}
}

// findBlockedPort looks at the first packet of a boot: firmware counts the
// seconds since it began to ask (RFC 2131, secs).
func findBlockedPort(h history) []hit {
	var hits []hit
	last := -1
	for i, e := range h.entries {
		if !asks(e) {
			continue
		}
		fresh := last < 0 || e.At.Sub(h.entries[last].At) > e.Took
		if fresh && e.Took >= blockedPort {
			hits = append(hits, hit{i, []any{brief(e.Took)}})
		}
		last = i
	}
	return hits
}

func findBlockedAgain(h history) []hit {
	var hits []hit
	for i, e := range h.entries {
		if !isLoader(e) {
			continue
		}
		back := h.next(i, 5*time.Minute, func(e Entry) bool { return cameBack(e) || asks(e) || isLoader(e) })
		if back < 0 || h.entries[back].Client != ClientIPXE {
			continue
		}
		if silent := h.entries[back].At.Sub(e.At); silent >= blockedPort && silent < waitLoaded {
			hits = append(hits, hit{back, []any{brief(silent)}})
		}
	}
	return hits
}

// findIgnored counts offers that nothing follows; the last of a row is hit.
func findIgnored(h history, offers func(Entry) bool) []hit {
	var hits []hit
	row := 0
	for i, e := range h.entries {
		if goesOn(e) {
			row = 0
		}
		if !offers(e) {
			continue
		}
		if row++; row < 2 {
			continue
		}
		if h.next(i, waitTaken, goesOn) >= 0 || h.next(i, waitTaken, offers) >= 0 || !h.waited(i, waitTaken) {
			continue
		}
		hits = append(hits, hit{i, []any{row}})
		row = 0
	}
	return hits
}

// findOtherBootFile looks for clients that took the other server's address,
// had our boot file, and were not heard of again.
func findOtherBootFile(h history) []hit {
	var hits []hit
	for i, e := range h.entries {
		if e.Source != ProxyDHCP || e.What != "offer" || e.Name == "" {
			continue
		}
		elsewhere := func(e Entry) bool { return e.Source == ProxyDHCP && strings.HasPrefix(e.What, "request") }
		j := h.next(i, waitTaken, elsewhere)
		if j < 0 {
			continue
		}
		heard := func(e Entry) bool { return goesOn(e) || e.What == "discover" || e.What == "disarmed" }
		if h.next(j, waitBootFile, heard) < 0 && h.waited(j, waitBootFile) {
			hits = append(hits, hit{j, nil})
		}
	}
	return hits
}

func bootRules() []rule {
	return []rule{
		{
			id:    "loader-refused",
			cause: "%s was sent and iPXE never came back: Secure Boot refused it, or the firmware is of another architecture",
			next:  "its console says which (Security Violation, Access Denied): switch Secure Boot off in its BIOS, or serve the signed loaders (--loaders)",
			find:  func(h history) []hit { return findLost(h, func(n string) bool { return strings.HasSuffix(n, ".efi") }) },
		},
		{
			id:    "loader-hangs",
			cause: "%s was sent and never came back: the network driver of the ROM hangs under it",
			next:  "update the firmware of the network card, or set the machine to UEFI",
			find: func(h history) []hit {
				return findLost(h, func(n string) bool { return !strings.HasSuffix(n, ".efi") })
			},
		},
		{
			id:    "loader-loop",
			cause: "it fetched its loader %d times in %s and got no further",
			next:  "look at its console: `rackseed console NODE`; the cause is that of the single failures above",
			find:  findLoop,
		},
		{
			id:    "boots-elsewhere",
			cause: "its BMC was told to boot it from the network, and it started an operating system from another device",
			next:  "the BMC did not keep the boot device: `rackseed bootdev set NODE pxe --once` tries the ways of its vendor and reads back; BIOS and UEFI boot order are kept apart by some",
			find:  findDiskBoot,
		},
		{
			id:    "silent-after-power-on",
			cause: "nothing was heard of it since it was switched on",
			next:  "look at its console (`rackseed console NODE`): its network port is off or in another VLAN, PXE is off for it, or its self test hangs",
			find:  findSilence,
		},
		{
			id:    "kernel-lost",
			cause: "kernel and initrd were sent, and the installer never asked for its answer file",
			next:  "its console says why: no driver for its network card in this release's initrd, a kernel that hangs, or a second port that got the address; `rackseed console NODE`",
			find:  findKernelLost,
		},
		{
			id:    "answer-refused",
			cause: "it asked for its answer files from %s, which is not its address, and got none: another DHCP server gave it that one",
			next:  "`rackseed doctor` names the other server: switch it off, or serve beside it with --dhcp proxy; then start the machine again",
			find:  findRefused,
		},
		{
			id:    "no-report",
			cause: "it fetched its answer file and reported nothing since",
			next:  "the installer waits at a question, or cannot reach this server any more (another gateway, a firewall): look at its console",
			find:  findNoReport,
		},
		{
			id:    "initrd-cut-off",
			cause: "it stopped reading %s in the middle",
			next:  "too little memory for the initrd, or a link that broke: its console says which",
			find: func(h history) []hit {
				return h.each(func(e Entry) bool {
					return e.Source == HTTP && (e.What == "kernel" || e.What == "initrd" || e.What == "stage2" || e.What == "loader") && strings.HasPrefix(e.Detail, "ended early")
				}, nameOf)
			},
		},
	}
}
