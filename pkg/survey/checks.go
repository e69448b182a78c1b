package survey

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Status is how bad a finding is.
type Status string

// The statuses. With a fail, serving would not work or would do harm.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "fail"
)

// Finding is one thing that was looked at. Fix is what to do; it is empty
// when there is nothing to do.
type Finding struct {
	ID     string `json:"id"`
	Status Status `json:"status"`
	What   string `json:"what"`
	Why    string `json:"why,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// Port is a port that the daemon wants.
type Port struct {
	Proto  string // udp or tcp
	Number int
	Use    string // what for
}

// Options say what is going to be served, and where.
type Options struct {
	Interface string
	Subnet    netip.Prefix // of the provisioning network; zero means not planned yet
	StateDir  string
	Machines  int    // how many the plan has; zero means not planned yet
	Ports     []Port // nil means the standard ones
	// Server says that addresses are going to be given, so that another
	// server is a failure and not a fact. SkipSearch leaves out the 12 s of
	// listening for one.
	Server     bool
	SkipSearch bool
	Search     Search // its Interface is set from Interface
	// Running says that this machine's own daemon already serves, so its
	// ports are taken and its answers are expected.
	Running bool
}

// StandardPorts are what `rackseed serve` listens on.
func StandardPorts() []Port {
	return []Port{
		{"udp", 67, "DHCP"}, {"udp", 69, "TFTP"}, {"udp", 4011, "the PXE boot server"}, {"tcp", 8080, "HTTP boot"},
	}
}

// Checks looks at everything that has kept such daemons from working.
func Checks(ctx context.Context, o Options) []Finding {
	if o.Ports == nil {
		o.Ports = StandardPorts()
	}
	var all []Finding
	for _, p := range o.Ports {
		all = append(all, checkPort(p, o.Running))
	}
	all = append(all, checkInterface(o)...)
	if f, ok := checkAddressInUse(ctx, o); ok {
		all = append(all, f)
	}
	all = append(all, checkServers(ctx, o), checkFirewall(ctx, o), checkDisk(o.StateDir), checkClock())
	if limit, ok := neighbourLimit(); ok {
		all = append(all, judgeNeighbours(o.Machines, limit))
	}
	return all
}

func checkPort(p Port, running bool) Finding {
	f := Finding{ID: fmt.Sprintf("port-%s-%d", p.Proto, p.Number), Status: OK}
	h, held, err := PortHolder(p.Proto, p.Number)
	switch {
	case err != nil:
		f.Status, f.What, f.Why = Warn, fmt.Sprintf("%s port %d could not be looked up", p.Proto, p.Number), err.Error()
		f.Fix = "run doctor as root"
	case held && running && h.Name == "rackseed":
		f.What = fmt.Sprintf("%s port %d is held by this daemon, process %d", p.Proto, p.Number, h.PID)
	case held:
		f.Status, f.What = Fail, fmt.Sprintf("%s port %d is held by %s", p.Proto, p.Number, h)
		f.Why = p.Use + " needs it"
		f.Fix = stopHint(h)
	default:
		f.What = fmt.Sprintf("%s port %d is free for %s", p.Proto, p.Number, p.Use)
	}
	return f
}

func stopHint(h Holder) string {
	switch {
	case h.PID == 0:
		return "run doctor as root to see its name, then stop it"
	case h.Name == "dnsmasq":
		return "stop it: `systemctl stop dnsmasq`; libvirt's own serves a virtual network: `virsh net-destroy default`"
	default:
		return fmt.Sprintf("stop it: `systemctl status %d` names its service", h.PID)
	}
}

func checkInterface(o Options) []Finding {
	if o.Interface == "" {
		return []Finding{{ID: "interface", Status: Warn, What: "no interface was named", Why: "nothing is said on an interface that nobody named", Fix: "add --interface NAME; `ip -br link` lists them"}}
	}
	i, err := Facts(o.Interface)
	if err != nil {
		return []Finding{{ID: "interface", Status: Fail, What: fmt.Sprintf("there is no interface %s", o.Interface), Why: err.Error(), Fix: "`ip -br link` lists what there is"}}
	}
	return []Finding{judgeLink(i), judgePlace(i), judgeAddress(i, o.Subnet)}
}

func judgeLink(i Interface) Finding {
	f := Finding{ID: "interface", Status: OK, What: fmt.Sprintf("%s is up and has a carrier", i.Name)}
	switch {
	case !i.Up:
		f.Status, f.What, f.Fix = Fail, i.Name+" is down", "ip link set "+i.Name+" up"
	case !i.Carrier:
		f.Status, f.What = Fail, i.Name+" has no carrier"
		f.Fix = "plug the cable in; is the switch port enabled?"
	}
	return f
}

func judgePlace(i Interface) Finding {
	f := Finding{ID: "interface-place", Status: OK, What: i.Name + " is wired and does not lead to the rest of the world"}
	switch {
	case i.Wireless:
		f.Status, f.What, f.Why = Fail, i.Name+" is wireless", "machines boot from a wire, and a wireless network is somebody else's"
	case i.PointToPoint:
		f.Status, f.What, f.Why = Fail, i.Name+" is a tunnel", "machines boot from a wire"
	case i.DefaultRoute:
		f.Status, f.What, f.Why = Warn, "the default route leads over "+i.Name, "so it may be the customer's network"
	default:
		return f
	}
	f.Fix = "name the interface of the provisioning network with --interface"
	return f
}

func judgeAddress(i Interface, subnet netip.Prefix) Finding {
	f := Finding{ID: "address", Status: OK}
	for _, p := range i.Addrs {
		if !subnet.IsValid() || subnet.Contains(p.Addr()) {
			f.What = fmt.Sprintf("%s has the address %s", i.Name, p)
			return f
		}
	}
	f.Status, f.What = Fail, fmt.Sprintf("%s has no IPv4 address", i.Name)
	f.Fix = fmt.Sprintf("ip addr add ADDRESS/BITS dev %s", i.Name)
	if subnet.IsValid() {
		f.What = fmt.Sprintf("%s has no address in %s, the provisioning network of the plan", i.Name, subnet)
		f.Fix = fmt.Sprintf("ip addr add %s/%d dev %s", subnet.Masked().Addr().Next(), subnet.Bits(), i.Name)
	}
	return f
}

func checkServers(ctx context.Context, o Options) Finding {
	f := Finding{ID: "dhcp-servers", Status: OK}
	switch {
	case o.Interface == "":
		f.What = "other DHCP servers were not searched for: no interface was named"
		return f
	case o.SkipSearch:
		f.What = "other DHCP servers were not searched for, as was asked (--quick)"
		return f
	}
	o.Search.Interface = o.Interface
	found, err := o.Search.Run(ctx)
	if err != nil {
		f.Status, f.What, f.Why, f.Fix = Warn, "other DHCP servers could not be searched for", err.Error(), "run doctor as root, with the cable plugged in"
		return f
	}
	return judgeServers(found, o)
}

func judgeServers(found []DHCPServer, o Options) Finding {
	f := Finding{ID: "dhcp-servers", Status: OK, What: "no other DHCP server answers on " + o.Interface}
	var names []string
	boots := false
	for _, d := range found {
		what := fmt.Sprintf("%s (%s) offers addresses in %s", d.ServerID, d.MAC, d.Subnet)
		switch {
		case d.Proxy:
			what = fmt.Sprintf("%s (%s) offers boot files", d.ServerID, d.MAC)
		case d.BootFile != "":
			boots = true
			what = fmt.Sprintf("%s (%s) offers addresses in %s and the boot file %s", d.ServerID, d.MAC, d.Subnet, d.BootFile)
		}
		names = append(names, what)
	}
	if len(names) == 0 {
		return f
	}
	f.Status, f.What = Warn, strings.Join(names, "; ")
	f.Why = "beside it, Rackseed gives boot files only"
	f.Fix = "serve with --dhcp proxy"
	if o.Server {
		f.Status, f.Why = Fail, "two servers on one wire give machines two truths"
		f.Fix = "serve with --dhcp proxy, or move to a segment of its own"
	}
	if boots {
		// Seen: iPXE of QEMU's BIOS follows the boot file that came with the address.
		f.Fix += "; beside it, some machines follow its boot file and never come here: take that out of it (dnsmasq dhcp-boot and pxe-service; ISC and Kea filename and next-server; Windows options 66 and 67), or have it name this server"
	}
	return f
}

func checkFirewall(ctx context.Context, o Options) Finding {
	rules, nft := readRuleset(ctx)
	legacy, old := legacyRules(ctx)
	if !nft && !old {
		f := Finding{ID: "firewall", Status: OK, What: "the firewall's rules were not read: " + errNoRules.Error()}
		if m := firewallManager(); m != "" {
			f.Status, f.Why = Warn, string(m)+" runs, and drops what nobody allowed"
			f.Fix = m.openHint(blockedPorts(o.Ports), o.Interface)
		}
		return f
	}
	return judgeFirewall(rules, legacy, o, firewallManager())
}

func judgeFirewall(rules Ruleset, legacy string, o Options, m manager) Finding {
	f := Finding{ID: "firewall", Status: OK, What: "no rule of the firewall drops what machines send"}
	var blocked []blockedPort
	var names []string
	for _, p := range o.Ports {
		at, dropped := rules.Blocks(p)
		if dropped || legacyBlocks(legacy, p) {
			blocked = append(blocked, blockedPort{p, at})
			names = append(names, strings.ToUpper(p.Proto)+" "+fmt.Sprint(p.Number))
		}
	}
	if len(blocked) == 0 {
		return f
	}
	f.Status, f.What = Warn, "the firewall of this machine seems to drop "+strings.Join(names, ", ")
	f.Why = "machines would ask and hear nothing"
	f.Fix = m.openHint(blocked, o.Interface)
	return f
}

const (
	littleSpace = 2 << 30
	noSpace     = 100 << 20
)

// checkDisk looks at the nearest folder that exists: the state directory is
// made when the daemon first starts.
func checkDisk(dir string) Finding {
	f := Finding{ID: "disk-space", Status: OK}
	if dir == "" {
		f.What = "no state directory was named"
		return f
	}
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		f.Status, f.What, f.Why, f.Fix = Fail, "the disk of "+dir+" could not be looked at", err.Error(), "name a writable folder with --state"
		return f
	}
	return judgeDisk(dir, st.Bavail*uint64(st.Bsize))
}

func judgeDisk(dir string, free uint64) Finding {
	f := Finding{ID: "disk-space", Status: OK, What: fmt.Sprintf("%d MiB are free in %s", free>>20, dir)}
	f.Why = "leases, the log and images live there; a full disk stops every install"
	f.Fix = "make room, or name another folder with --state"
	switch {
	case free < noSpace:
		f.Status = Fail
	case free < littleSpace:
		f.Status = Warn
	default:
		f.Why, f.Fix = "", ""
	}
	return f
}

// neighbourLimit is how many neighbours the kernel remembers at most. Network
// namespaces do not show it.
func neighbourLimit() (limit int, ok bool) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/neigh/default/gc_thresh3")
	if err != nil {
		return 0, false
	}
	limit, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return limit, err == nil
}

// judgeNeighbours leaves a quarter to BMCs, switches and whoever else speaks.
// Seen: with the table full, machines behind a relay were not answered for 15 s.
func judgeNeighbours(machines, limit int) Finding {
	f := Finding{ID: "neighbours", Status: OK, What: fmt.Sprintf("the kernel remembers %d neighbours", limit)}
	if machines <= limit*3/4 {
		return f
	}
	f.Status, f.What = Warn, fmt.Sprintf("the kernel remembers %d neighbours, and the plan has %d machines", limit, machines)
	f.Why = "with its table full it drops what is sent to the others (`neighbor table overflow` in dmesg)"
	f.Fix = fmt.Sprintf("sysctl -w net.ipv4.neigh.default.gc_thresh3=%d net.ipv4.neigh.default.gc_thresh2=%d", 4*machines, 2*machines)
	return f
}

func checkClock() Finding {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	synchronised := err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	return judgeClock(time.Now(), synchronised)
}

// oldest is when this was written: no clock that is right shows less.
func oldest() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func judgeClock(now time.Time, synchronised bool) Finding {
	f := Finding{ID: "clock", Status: OK, What: "the clock says " + now.UTC().Format(time.RFC3339)}
	switch {
	case now.Before(oldest()):
		f.Status, f.Why = Fail, "that is in the past: leases, armings and certificates would be wrong"
		f.Fix = "date -s 'YYYY-MM-DD HH:MM', and look at the battery of the machine"
	case !synchronised:
		f.Status, f.Why = Warn, "nothing keeps it right, and machines take their time from here"
		f.Fix = "start chrony or systemd-timesyncd; without a network, compare it with a watch"
	}
	return f
}
