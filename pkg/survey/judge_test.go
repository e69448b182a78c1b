package survey

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

func TestFirewall(t *testing.T) {
	const open = `{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": "filter"}}]}`
	chain := func(policy string, rules ...string) string {
		return `{"nftables": [{"chain": {"family": "inet", "table": "filter", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "` + policy + `"}}` +
			strings.Join(append([]string{""}, rules...), ", ") + `]}`
	}
	rule := func(expr string) string {
		return `{"rule": {"family": "inet", "table": "filter", "chain": "in", "expr": [` + expr + `]}}`
	}
	port := func(p string) string {
		return `{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": ` + p + `}}`
	}
	const established = `{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established"]}}, {"accept": null}`
	for _, c := range []struct {
		name, rules string
		want        bool
	}{
		{"no rules", open, false},
		{"policy accept", chain("accept"), false},
		{"policy drop", chain("drop"), true},
		{"policy drop, established accepted", chain("drop", rule(established)), true},
		{"policy drop, port accepted", chain("drop", rule(port("67")+`, {"accept": null}`)), false},
		{"policy drop, set accepted", chain("drop", rule(port(`{"set": [67, 69]}`)+`, {"accept": null}`)), false},
		{"policy drop, range accepted", chain("drop", rule(port(`{"range": [60, 70]}`)+`, {"accept": null}`)), false},
		{"policy drop, another port accepted", chain("drop", rule(port("22")+`, {"accept": null}`)), true},
		{"port dropped", chain("accept", rule(port("67")+`, {"drop": null}`)), true},
		{"everything rejected at the end", chain("accept", rule(established), rule(`{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}`)), true},
		{"somebody else's source dropped", chain("accept", rule(`{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.1"}}, {"drop": null}`)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := parseRuleset([]byte(c.rules))
			if err != nil {
				t.Fatal(err)
			}
			if _, got := r.Blocks(Port{"udp", 67, "DHCP"}); got != c.want {
				t.Errorf("Blocks(67) = %v", got)
			}
			if f := judgeFirewall(r, "", Options{Ports: []Port{{"udp", 67, "DHCP"}}}, ""); (f.Status != OK) != c.want || (f.Fix != "") != c.want {
				t.Errorf("finding = %+v", f)
			}
		})
	}
}

func TestJudgements(t *testing.T) {
	wired := Interface{Name: "eth0", Up: true, Carrier: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.20.0.1/16")}}
	edit := func(f func(*Interface)) Interface {
		i := wired
		f(&i)
		return i
	}
	subnet := netip.MustParsePrefix("10.20.0.0/16")
	other := []DHCPServer{{ServerID: netip.MustParseAddr("10.20.0.9"), Subnet: subnet}}
	proxy := []DHCPServer{{ServerID: netip.MustParseAddr("10.20.0.9"), Proxy: true}}
	for _, c := range []struct {
		name string
		got  Finding
		want Status
	}{
		{"good link", judgeLink(wired), OK},
		{"link down", judgeLink(edit(func(i *Interface) { i.Up = false })), Fail},
		{"no carrier", judgeLink(edit(func(i *Interface) { i.Carrier = false })), Fail},
		{"wired", judgePlace(wired), OK},
		{"D7 wireless", judgePlace(edit(func(i *Interface) { i.Wireless = true })), Fail},
		{"D7 tunnel", judgePlace(edit(func(i *Interface) { i.PointToPoint = true })), Fail},
		{"D7 default route", judgePlace(edit(func(i *Interface) { i.DefaultRoute = true })), Warn},
		{"address in the plan's network", judgeAddress(wired, subnet), OK},
		{"address, nothing planned", judgeAddress(wired, netip.Prefix{}), OK},
		{"address elsewhere", judgeAddress(wired, netip.MustParsePrefix("10.99.0.0/16")), Fail},
		{"no address", judgeAddress(Interface{Name: "eth0"}, netip.Prefix{}), Fail},
		{"alone", judgeServers(nil, Options{Server: true}), OK},
		{"D2 another server, and we would be one", judgeServers(other, Options{Server: true}), Fail},
		{"D2 another server, and we are a proxy", judgeServers(other, Options{}), Warn},
		{"another proxy", judgeServers(proxy, Options{Server: true}), Fail},
		{"room", judgeDisk("/x", 100<<30), OK},
		{"little room", judgeDisk("/x", 1<<30), Warn},
		{"no room", judgeDisk("/x", 1<<20), Fail},
		{"few machines", judgeNeighbours(526, 1024), OK},
		{"more machines than neighbours", judgeNeighbours(1200, 1024), Warn},
		{"right clock", judgeClock(oldest().AddDate(1, 0, 0), true), OK},
		{"lonely clock", judgeClock(oldest().AddDate(1, 0, 0), false), Warn},
		{"dead battery", judgeClock(time.Unix(0, 0), true), Fail},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got.Status != c.want || c.got.What == "" || c.got.ID == "" || (c.got.Status != OK) != (c.got.Fix != "") {
				t.Errorf("finding = %+v, want %s", c.got, c.want)
			}
		})
	}
}

func TestChecksAlwaysSaySomethingUseful(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Checks(t.Context(), Options{StateDir: t.TempDir() + "/not/yet", SkipSearch: true}) {
		if seen[f.ID] {
			t.Errorf("%s twice", f.ID)
		}
		seen[f.ID] = true
		if f.What == "" || f.Status != OK && f.Fix == "" {
			t.Errorf("finding without a fix: %+v", f)
		}
	}
	for _, id := range []string{"port-udp-67", "port-udp-69", "port-udp-4011", "interface", "dhcp-servers", "firewall", "disk-space", "clock"} {
		if !seen[id] {
			t.Errorf("no finding about %s", id)
		}
	}
}

func TestSocketTable(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  123: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 0
  124: 0100007F:0045 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0
`
	found := map[string]bool{}
	if err := socketInodes(strings.NewReader(table), "udp", 67, found); err != nil || len(found) != 1 || !found["4711"] {
		t.Errorf("found %v, %v", found, err)
	}
}

func FuzzFrame(f *testing.F) {
	mac := site.MAC{2, 1, 2, 3, 4, 5}
	f.Add(discoverFrame(mac, discover(mac, 7, true)))
	f.Add(arpProbe(mac, netip.MustParseAddr("10.20.0.77")))
	f.Add(bytes.Repeat([]byte{0x45}, 60))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, m, ok := parseReply(b); ok && (m == nil || !s.ServerID.IsValid()) {
			t.Errorf("a server without a name: %+v", s)
		}
		if owner, _, ok := parseARP(b); ok && !owner.Is4() {
			t.Errorf("owner %s", owner)
		}
	})
}

func TestDiscoverFrameReadsBack(t *testing.T) {
	mac := site.MAC{2, 1, 2, 3, 4, 5}
	payload := discover(mac, 7, true)
	d, ok := parseDatagram(discoverFrame(mac, payload))
	if !ok || d.mac != mac || d.dst.String() != "255.255.255.255:67" || d.src.String() != "0.0.0.0:68" || !bytes.Equal(d.payload, payload) {
		t.Errorf("datagram = %+v, %v", d, ok)
	}
	if sum := checksum(discoverFrame(mac, payload)[etherHeader : etherHeader+20]); sum != 0 {
		t.Errorf("the IP header's checksum does not add up: %#x", sum)
	}
}

// TestLegacyFirewall reads what iptables-legacy prints, which nft does not
// see.
func TestLegacyFirewall(t *testing.T) {
	dhcp, web := Port{"udp", 67, "DHCP"}, Port{"tcp", 8080, "HTTP boot"}
	for name, c := range map[string]struct {
		rules     string
		udp, http bool // dropped
	}{
		"no rules":                      {"", false, false},
		"policy accept":                 {"-P INPUT ACCEPT\n", false, false},
		"policy drop":                   {"-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n", true, true},
		"policy drop, ports accepted":   {"-P INPUT DROP\n-A INPUT -p udp -m udp --dport 67 -j ACCEPT\n-A INPUT -p tcp -m multiport --dports 80,8080 -j ACCEPT\n", false, false},
		"policy drop, a range accepted": {"-P INPUT DROP\n-A INPUT -p udp -m udp --dport 60:70 -j ACCEPT\n", false, true},
		"everything rejected at last":   {"-P INPUT ACCEPT\n-A INPUT -p udp -m udp --dport 67 -j ACCEPT\n-A INPUT -j REJECT --reject-with icmp-host-prohibited\n", false, true},
		"the port dropped":              {"-P INPUT ACCEPT\n-A INPUT -p udp -m udp --dport 67 -j DROP\n", true, false},
		"established alone":             {"-P INPUT DROP\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n", true, true},
		"another protocol's port":       {"-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 67 -j ACCEPT\n", true, true},
	} {
		if udp, http := legacyBlocks(c.rules, dhcp), legacyBlocks(c.rules, web); udp != c.udp || http != c.http {
			t.Errorf("%s: DHCP dropped %v, HTTP dropped %v", name, udp, http)
		}
	}
	o := Options{Interface: "eth0", Ports: []Port{dhcp, web}}
	for m, part := range map[manager]string{
		firewalld: "firewall-cmd --zone=$(firewall-cmd --get-zone-of-interface=eth0) --add-port=67/udp --add-port=8080/tcp",
		ufw:       "ufw allow in on eth0 proto udp to any port 67; ufw allow in on eth0 proto tcp to any port 8080",
		"":        "iptables-legacy -I INPUT -p udp -m multiport --dports 67 -j ACCEPT; iptables-legacy -I INPUT -p tcp -m multiport --dports 8080 -j ACCEPT",
	} {
		f := judgeFirewall(Ruleset{}, "-P INPUT DROP\n", o, m)
		if f.Status != Warn || !strings.HasPrefix(f.Fix, part) || f.What != "the firewall of this machine seems to drop UDP 67, TCP 8080" {
			t.Errorf("%s: %+v", m, f)
		}
	}
}

// TestServersWithBootFiles: beside a server that names one, proxyDHCP is not
// enough for every machine.
func TestServersWithBootFiles(t *testing.T) {
	one := DHCPServer{ServerID: netip.MustParseAddr("10.20.0.66"), Subnet: netip.MustParsePrefix("10.20.0.0/16")}
	if f := judgeServers([]DHCPServer{one}, Options{}); strings.Contains(f.Fix, "boot file") {
		t.Errorf("it names none: %+v", f)
	}
	one.BootFile = "pxelinux.0"
	if f := judgeServers([]DHCPServer{one}, Options{}); !strings.HasSuffix(f.What, "the boot file pxelinux.0") || !strings.Contains(f.Fix, "dnsmasq dhcp-boot") {
		t.Errorf("%+v", f)
	}
}

// TestFirewallFix: the commands name the chain that drops, as it is called
// here, and ports of every protocol.
func TestFirewallFix(t *testing.T) {
	const (
		web   = `{"chain": {"family": "inet", "table": "laptop", "name": "in", "hook": "input", "policy": "drop"}}`
		raw   = `{"chain": {"family": "ip", "table": "raw", "name": "pre", "hook": "prerouting", "policy": "accept"}}`
		early = `{"chain": {"family": "netdev", "table": "edge", "name": "ingress", "hook": "ingress", "policy": "accept"}}`
		out   = `{"chain": {"family": "ip", "table": "raw", "name": "out", "hook": "output", "policy": "drop"}}`
		mine  = `{"chain": {"family": "inet", "table": "laptop", "name": "services"}}`
		open  = `{"chain": {"family": "inet", "table": "laptop", "name": "in", "hook": "input", "policy": "accept"}}`
	)
	rule := func(chain, proto, port, verdict string) string {
		at := strings.Fields(chain)
		return fmt.Sprintf(`{"rule": {"family": %q, "table": %q, "chain": %q, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": %q, "field": "dport"}}, "right": %s}}, {%q: null}]}}`,
			at[0], at[1], at[2], proto, port, verdict)
	}
	o := Options{Ports: []Port{{"udp", 67, "DHCP"}, {"udp", 69, "TFTP"}, {"tcp", 8080, "HTTP boot"}}}
	for name, c := range map[string]struct {
		objects []string
		fix     string
	}{
		"a policy":                               {[]string{web}, "nft insert rule inet laptop in udp dport { 67, 69 } accept; nft insert rule inet laptop in tcp dport { 8080 } accept"},
		"a policy, DHCP and TFTP accepted":       {[]string{web, rule("inet laptop in", "udp", `{"set": [67, 69]}`, "accept")}, "nft insert rule inet laptop in tcp dport { 8080 } accept"},
		"before the routing":                     {[]string{open, raw, rule("ip raw pre", "udp", "69", "drop")}, "nft insert rule ip raw pre udp dport { 69 } accept"},
		"at the card":                            {[]string{early, rule("netdev edge ingress", "udp", "67", "drop")}, "nft insert rule netdev edge ingress udp dport { 67 } accept"},
		"in a chain that the input's jumps to":   {[]string{open, mine, rule("inet laptop services", "udp", "69", "reject")}, "nft insert rule inet laptop in udp dport { 69 } accept"},
		"two chains":                             {[]string{open, raw, rule("ip raw pre", "udp", "69", "drop"), rule("inet laptop in", "udp", "67", "drop")}, "nft insert rule inet laptop in udp dport { 67 } accept; nft insert rule ip raw pre udp dport { 69 } accept"},
		"what goes out is nothing that comes in": {[]string{out}, ""},
	} {
		r, err := parseRuleset([]byte(`{"nftables": [` + strings.Join(c.objects, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		f := judgeFirewall(r, "", o, "")
		if f.Fix != c.fix || (f.Status == OK) != (c.fix == "") {
			t.Errorf("%s: %+v, want the fix %q", name, f, c.fix)
		}
	}
}

// TestAddressInUse: one that two stations have.
func TestAddressInUse(t *testing.T) {
	i := Interface{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix("10.20.0.1/16")}}
	if f := judgeInUse(i, nil); f.Status != OK {
		t.Errorf("%+v", f)
	}
	f := judgeInUse(i, map[netip.Addr]site.MAC{netip.MustParseAddr("10.20.0.1"): {2, 0, 0, 0, 0, 9}})
	if f.Status != Fail || !strings.Contains(f.What, "02:00:00:00:00:09") || f.Fix == "" {
		t.Errorf("%+v", f)
	}
}
