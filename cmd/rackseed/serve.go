package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
	"github.com/rackseed/rackseed/pkg/site"
)

// serveOptions are the flags of `rackseed serve`.
type serveOptions struct {
	state      string
	plan       string
	interfaces []string
	dhcp       string
	loaders    string
	store      string
	operator   string
	syslog     string // empty is off
	bmcCA      string
	httpPort   uint16
	tftpPort   uint16
	dhcpPort   int
	bootPort   int // proxyDHCP's second port, 4011
	pace       install.Pace
	ownLAN     string // the subnet, in so many words
	verbose    bool
}

func newServeCommand(g *globals) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use: "serve", Short: "Run the daemon: DHCP, TFTP, HTTP boot, the API", Args: cobra.NoArgs,
		Long: `Run the daemon in the foreground. It answers only machines that the plan names, and hands an
installer only to those that were armed with ` + "`rackseed install`" + `. In server mode it first listens for
other DHCP servers on the wire, and refuses to start if there is one.`,
		Example: "  rackseed serve --plan site.yaml --interface enp3s0\n  rackseed serve --interface enp3s0 --dhcp proxy",
		RunE: func(c *cobra.Command, _ []string) error {
			o.state = g.state
			level := slog.LevelInfo
			if o.verbose {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			return serve(c.Context(), o, log)
		},
	}
	f := c.Flags()
	f.StringVar(&o.plan, "plan", "", "apply this plan first")
	f.StringSliceVar(&o.interfaces, "interface", nil, "network interface to serve; may be repeated; "+askForInterface+" waits until one is chosen on the page")
	f.StringVar(&o.dhcp, "dhcp", "", "server, proxy or off (default: what the plan says, else proxy)")
	f.StringVar(&o.loaders, "loaders", "", "folder of iPXE loaders, for a binary that was built without them")
	f.StringVar(&o.store, "store", "bolt", "where the log is kept: bolt, in the state directory")
	f.StringVar(&o.operator, "operator", "127.0.0.1:8090", "address of the page and the API, besides the socket in the state directory; anything but loopback gets TLS and a login")
	f.StringVar(&o.bmcCA, "bmc-ca", "", "verify certificates of BMCs with the authorities in this PEM file; without it, the first one that a BMC shows is remembered")
	f.StringVar(&o.syslog, "syslog", syslogOn, "where installers' logs are received: on (the interfaces, port 514), ADDRESS[:PORT], :PORT, or off")
	f.Uint16Var(&o.httpPort, "http-port", 8080, "HTTP port of the machine side")
	f.Uint16Var(&o.tftpPort, "tftp-port", 69, "TFTP port")
	f.IntVar(&o.dhcpPort, "dhcp-port", 67, "DHCP port; another one serves relays that follow RFC 8357")
	f.IntVar(&o.bootPort, "boot-port", 4011, "second port of proxyDHCP")
	f.StringVar(&o.ownLAN, "i-own-this-lan", "", "`SUBNET` of the plan whose every address is yours to give: serve it even where another DHCP server answers")
	f.Float64Var((*float64)(&o.pace), "pace", 1, "divide every deadline by this, for simulated machines that are so much faster than real ones")
	_ = f.MarkHidden("pace") // it is defined
	f.BoolVar(&o.verbose, "verbose", false, "log every decision")
	return c
}

// serve opens everything, then runs it until ctx ends.
func serve(ctx context.Context, o serveOptions, log *slog.Logger) (err error) {
	if o.store != "bolt" {
		return usageError("--store %s is not known: this version keeps its log in the state directory (bolt)", o.store)
	}
	set, err := loaders.Open(o.loaders)
	if err != nil {
		return fmt.Errorf("opening the boot loaders: %w", err)
	}
	return serveChosen(ctx, o, func(ctx context.Context, o serveOptions, choose chan string) (err error) {
		c, err := openCore(ctx, o.state, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, c.close()) }()
		d := &daemon{core: c, opts: o, log: log, loaders: set, look: lookForServers, choose: choose}
		return d.run(ctx)
	})
}

// link is one interface that is served.
type link struct {
	name  string
	index int
	addr  netip.Addr
}

// chooseLinks finds the interfaces to serve. Guessing one among several
// would mean to speak on a network that nobody named.
func chooseLinks(names []string, s *site.Settings) ([]link, error) {
	if len(names) == 0 {
		return nil, usageError("which network? name it with --interface: %s; or choose it on the page with --interface %s", interfaceNames(), askForInterface)
	}
	network, planned := s.ProvisionNetwork()
	var links, controllers []link
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, usageError("there is no interface %s: there are %s", name, interfaceNames())
		}
		if i.Flags&net.FlagUp == 0 {
			return nil, fmt.Errorf("%s is down, nothing can be heard on it: `ip link set %s up`", name, name)
		}
		if i.Flags&net.FlagLoopback != 0 {
			links = append(links, link{addr: loopbackAddr(network)})
			continue
		}
		addr, err := interfaceAddr(i, network.Subnet, planned)
		if a, ok := bmcAddr(i, s); ok && err != nil {
			controllers = append(controllers, link{name: name, index: i.Index, addr: a})
			continue
		}
		if err != nil {
			return nil, err
		}
		links = append(links, link{name: name, index: i.Index, addr: addr})
	}
	// Machines are told to come to the first.
	return append(links, controllers...), nil
}

// bmcAddr is the address of an interface on a network with a pool for BMCs.
func bmcAddr(i *net.Interface, s *site.Settings) (netip.Addr, bool) {
	addrs, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, false
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		for _, n := range s.Networks {
			if !n.BMCPool.IsZero() && n.Subnet.Contains(p.Addr()) {
				return p.Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}

// loopbackAddr is an address of the loopback, which is served without its
// interface: nobody else gives out addresses there, and Linux takes every
// address of 127.0.0.0/8 for its own.
func loopbackAddr(n site.Network) netip.Addr {
	switch {
	case !n.Subnet.IsValid() || !n.Subnet.Addr().IsLoopback():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case n.Gateway.IsLoopback():
		return n.Gateway
	default:
		return n.Subnet.Masked().Addr().Next()
	}
}

// interfaceAddr prefers the address inside the provisioning network.
func interfaceAddr(i *net.Interface, subnet netip.Prefix, planned bool) (netip.Addr, error) {
	addrs, err := i.Addrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading the addresses of %s: %w", i.Name, err)
	}
	var first netip.Addr
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if planned && subnet.Contains(p.Addr()) {
			return p.Addr(), nil
		}
		if !first.IsValid() {
			first = p.Addr()
		}
	}
	switch {
	case !first.IsValid():
		return first, fmt.Errorf("%s has no IPv4 address: give it one, `ip addr add %s dev %s`", i.Name, example(subnet, planned), i.Name)
	case planned:
		return first, fmt.Errorf("%s has address %s, which is not in the provisioning network %s: `ip addr add %s dev %s`, or correct the plan", i.Name, first, subnet, example(subnet, planned), i.Name)
	}
	return first, nil
}

func example(subnet netip.Prefix, planned bool) string {
	if !planned {
		return "10.20.0.1/16"
	}
	return fmt.Sprintf("%s/%d", subnet.Masked().Addr().Next(), subnet.Bits())
}

func interfaceNames() string {
	all, err := net.Interfaces()
	if err != nil {
		return "none that can be listed: " + err.Error()
	}
	var names []string
	for _, i := range all {
		if i.Flags&net.FlagLoopback == 0 {
			names = append(names, i.Name)
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none but the loopback"
	}
	return strings.Join(names, ", ")
}

// neighbours asks the kernel which MAC an address of the link has.
type neighbours func(netip.Addr) (site.MAC, bool)

// kernelNeighbours reads the ARP table.
func kernelNeighbours(addr netip.Addr) (site.MAC, bool) {
	data, err := os.ReadFile("/proc/net/arp")
	if err != nil {
		return site.MAC{}, false
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[0] != addr.String() {
			continue
		}
		if m, err := site.ParseMAC(f[3]); err == nil {
			return m, true
		}
	}
	return site.MAC{}, false
}
