package lab

import (
	"context"
	"net"
	"os/exec"
)

// Interface is the name of a port's network interface, inside its namespace.
const Interface = "eth0"

// Port is a host on the site's network: a namespace with one interface, Interface, on the switch.
type Port struct {
	// MAC is the address of Interface.
	MAC net.HardwareAddr

	lab *Lab
	ns  *namespace
	// name is unique in the lab.
	name string
}

// AddPort connects a host to the switch. addrs are in CIDR form; without any it has none, as a DHCP
// client starts.
func (l *Lab) AddPort(name string, addrs ...string) *Port {
	l.t.Helper()
	ns := l.namespace(name)
	l.sw.ip("link", "add", "to-"+name, "type", "veth", "peer", "name", Interface, "netns", ns.name)
	l.sw.ip("link", "set", "to-"+name, "master", bridge, "up")
	ns.ip("link", "set", Interface, "up")
	for _, addr := range addrs {
		ns.ip("addr", "add", addr, "dev", Interface)
	}
	p := &Port{lab: l, ns: ns, name: name}
	// veth leaves checksums to hardware that is not there; firmware and raw sockets drop such packets.
	if out, err := p.Run("ethtool", "-K", Interface, "tx", "off"); err != nil {
		l.t.Fatalf("switching checksum offload off: %v: %s", err, out)
	}
	err := p.Do(func() error {
		ifi, err := net.InterfaceByName(Interface)
		if err == nil {
			p.MAC = ifi.HardwareAddr
		}
		return err
	})
	if err != nil {
		l.t.Fatalf("port %s: %v", name, err)
	}
	return p
}

// SetLink takes the port's cable out or puts it back.
func (p *Port) SetLink(up bool) {
	p.lab.t.Helper()
	state := "down"
	if up {
		state = "up"
	}
	p.lab.sw.ip("link", "set", "to-"+p.name, state)
}

// Do calls f on a thread inside the port's namespace. Sockets that f opens stay there for good;
// goroutines that f starts do not run there.
func (p *Port) Do(f func() error) error { return p.ns.do(f) }

// Listen is net.Listen inside the namespace.
func (p *Port) Listen(network, address string) (net.Listener, error) {
	var ln net.Listener
	err := p.Do(func() (err error) {
		ln, err = net.Listen(network, address)
		return err
	})
	return ln, err
}

// DialContext is net.Dialer.DialContext inside the namespace, for addresses that are IP literals.
func (p *Port) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := p.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Command is a program with its arguments, to run inside the namespace.
func (p *Port) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return p.ns.command(ctx, program, args...)
}

// Run runs a program inside the namespace to its end and returns what it wrote.
func (p *Port) Run(program string, args ...string) (output string, err error) {
	out, err := p.Command(p.lab.t.Context(), program, args...).CombinedOutput()
	return string(out), err
}

// Start starts a program inside the namespace. It is stopped when the test ends.
func (p *Port) Start(program string, args ...string) *Process {
	p.lab.t.Helper()
	return p.lab.start(p.name, p.Command(context.Background(), program, args...))
}

// Dnsmasq starts a dnsmasq that serves no DNS and logs each packet: another DHCP server on the site, or
// one that stands in for Rackseed.
func (p *Port) Dnsmasq(args ...string) *Process {
	p.lab.t.Helper()
	Need(p.lab.t, "dnsmasq")
	return p.Start("dnsmasq", append([]string{
		"--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--log-facility=-", "--log-dhcp",
		"--user=root", "--group=root", "--pid-file=", "--no-ping", "--interface=" + Interface, "--bind-interfaces",
		"--dhcp-leasefile=" + p.lab.dir + "/" + p.name + ".leases",
	}, args...)...)
}
