package survey

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// manager is the program that writes the firewall's rules, by which they are
// to be changed: rules that are written past it are gone at its next start.
type manager string

const (
	firewalld manager = "firewalld"
	ufw       manager = "ufw"
)

func firewallManager() manager {
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(text)) == string(firewalld) {
			return firewalld
		}
	}
	if text, err := os.ReadFile("/etc/ufw/ufw.conf"); err == nil && strings.Contains(string(text), "\nENABLED=yes") {
		return ufw
	}
	return ""
}

// blockedPort is a port that the chain drops; one without a chain is dropped
// by iptables-legacy.
type blockedPort struct {
	Port
	at Chain
}

func blockedPorts(ports []Port) (all []blockedPort) {
	for _, p := range ports {
		all = append(all, blockedPort{Port: p})
	}
	return all
}

// openHint says how to open ports.
func (m manager) openHint(blocked []blockedPort, iface string) string {
	var each []string
	switch m {
	case firewalld:
		for _, p := range blocked {
			each = append(each, fmt.Sprintf("--add-port=%d/%s", p.Number, p.Proto))
		}
		zone := "$(firewall-cmd --get-default-zone)"
		if iface != "" {
			zone = "$(firewall-cmd --get-zone-of-interface=" + iface + ")"
		}
		return "firewall-cmd --zone=" + zone + " " + strings.Join(each, " ") + "; again with --permanent to keep it"
	case ufw:
		for _, p := range blocked {
			each = append(each, strings.TrimSpace(fmt.Sprintf("ufw allow %s proto %s to any port %d", inOn(iface), p.Proto, p.Number)))
		}
		return strings.Join(each, "; ")
	}
	return strings.Join(acceptRules(blocked), "; ")
}

// acceptRules are commands that open ports where no program keeps the rules,
// one for each chain and protocol: a chain that accepts does not speak for
// another that drops.
func acceptRules(blocked []blockedPort) []string {
	var rules []string
	for len(blocked) > 0 {
		first := blocked[0]
		var ports []string
		blocked = slices.DeleteFunc(slices.Clone(blocked), func(p blockedPort) bool {
			same := p.at == first.at && p.Proto == first.Proto
			if same {
				ports = append(ports, fmt.Sprint(p.Number))
			}
			return same
		})
		if first.at == (Chain{}) {
			rules = append(rules, fmt.Sprintf("iptables-legacy -I INPUT -p %s -m multiport --dports %s -j ACCEPT", first.Proto, strings.Join(ports, ",")))
			continue
		}
		rules = append(rules, fmt.Sprintf("nft insert rule %s %s dport { %s } accept", first.at, first.Proto, strings.Join(ports, ", ")))
	}
	return rules
}

func inOn(iface string) string {
	if iface == "" {
		return ""
	}
	return "in on " + iface
}

// legacyRules asks the iptables that nft does not see.
func legacyRules(ctx context.Context) (string, bool) {
	if _, err := os.Stat("/proc/net/ip_tables_names"); err != nil {
		return "", false
	}
	out, err := exec.CommandContext(ctx, "iptables-legacy", "-S", "INPUT").Output()
	return string(out), err == nil
}

// legacyBlocks judges what `iptables -S INPUT` prints: something drops
// everything, and nothing before it accepts the port by name. Like
// Ruleset.Blocks it is a hint, and follows no jumps.
func legacyBlocks(rules string, p Port) bool {
	dropped := false
	for line := range strings.Lines(rules) {
		f := strings.Fields(line)
		at := slices.Index(f, "-j")
		switch {
		case len(f) >= 3 && f[0] == "-P":
			dropped = dropped || f[2] == "DROP"
		case at < 0 || at+1 >= len(f) || f[0] != "-A":
		case f[at+1] == "ACCEPT" && (named(f, p) || at == 2):
			return false
		case (f[at+1] == "DROP" || f[at+1] == "REJECT") && (named(f, p) || at == 2):
			return true
		}
	}
	return dropped
}

// named reports a rule for the port, of whatever else it asks.
func named(f []string, p Port) bool {
	proto := slices.Index(f, "-p")
	if proto < 0 || proto+1 >= len(f) || f[proto+1] != p.Proto {
		return false
	}
	for i, word := range f {
		if (word == "--dport" || word == "--dports") && i+1 < len(f) && slices.ContainsFunc(strings.Split(f[i+1], ","), func(r string) bool { return portIn(r, p.Number) }) {
			return true
		}
	}
	return false
}

func portIn(r string, port int) bool {
	var first, last int
	if n, _ := fmt.Sscanf(r, "%d:%d", &first, &last); n == 2 {
		return first <= port && port <= last
	}
	return r == fmt.Sprint(port)
}

// checkAddressInUse asks the wire whether somebody else has our address.
func checkAddressInUse(ctx context.Context, o Options) (Finding, bool) {
	i, err := Facts(o.Interface)
	if err != nil || !i.Carrier || o.SkipSearch {
		return Finding{}, false
	}
	probe, err := OpenProber(ctx, o.Interface)
	if err != nil {
		return Finding{ID: "address-in-use", Status: Warn, What: "whether another station has our address could not be asked", Why: err.Error(), Fix: "run doctor as root"}, true
	}
	defer probe.Close()
	taken := map[netip.Addr]site.MAC{}
	for _, p := range i.Addrs {
		if busy, by, err := probe.Probe(ctx, p.Addr(), true); err == nil && busy && by != (site.MAC{}) {
			taken[p.Addr()] = by
		}
	}
	return judgeInUse(i, taken), true
}

func judgeInUse(i Interface, taken map[netip.Addr]site.MAC) Finding {
	f := Finding{ID: "address-in-use", Status: OK, What: "no other station answers for the addresses of " + i.Name}
	for _, p := range i.Addrs {
		if by, ok := taken[p.Addr()]; ok {
			f.Status, f.What = Fail, fmt.Sprintf("%s, the address of %s, is also that of the station %s", p.Addr(), i.Name, by)
			f.Why = "machines would reach the one or the other"
			f.Fix = fmt.Sprintf("ip addr del %s dev %s, and take another one", p, i.Name)
		}
	}
	return f
}

// errNoRules means that no firewall could be read.
var errNoRules = errors.New("nft and iptables-legacy are not installed, or may not look")
