package sim

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/pin/tftp/v3"
)

// netboot is the firmware's network boot: an address, a loader, and the
// iPXE in it.
func (m *Machine) netboot(ctx context.Context) error {
	ack, err := m.dhcp(ctx, false)
	if err != nil {
		return err
	}
	file := ack.BootFileNameOption()
	if file == "" {
		return errLocal
	}
	if err := m.load(ctx, ack, file); err != nil {
		return err
	}
	m.wait(ctx, loaderTime)
	ack, err = m.dhcp(ctx, true)
	if err != nil {
		return err
	}
	script := ack.BootFileNameOption()
	if script == "" {
		return errLocal
	}
	return m.ipxe(ctx, script)
}

// load fetches the first-stage loader and looks at nothing but its size: it
// is a program for hardware that is not there.
func (m *Machine) load(ctx context.Context, ack *dhcpv4.DHCPv4, file string) error {
	if strings.HasPrefix(file, "http://") {
		return m.download(ctx, file, io.Discard)
	}
	server, ok := netip.AddrFromSlice(ack.ServerIPAddr.To4())
	if !ok || server.IsUnspecified() {
		return fmt.Errorf("boot file %s comes without a server", file)
	}
	c, err := tftp.NewClient(netip.AddrPortFrom(server, m.Site.TFTP).String())
	if err != nil {
		return fmt.Errorf("opening TFTP: %w", err)
	}
	c.SetBlockSize(1456) // what PXE ROMs ask for
	// A ROM waits longer, but what it waits for has to be in proportion here.
	c.SetTimeout(2 * m.patience(0))
	c.SetRetries(6)
	c.SetBackoff(func(int) time.Duration { return 0 })
	w, err := c.Receive(file, "octet")
	if err != nil {
		return fmt.Errorf("loading %s: %w", file, err)
	}
	if _, err := w.WriteTo(io.Discard); err != nil {
		return fmt.Errorf("loading %s: %w", file, err)
	}
	m.say("loaded", "file", file)
	return nil
}

// Retransmission as in PXE 2.1 section 2.2.7: 4, 8, 16 and 32 seconds. The
// simulation keeps a floor, because the daemon does not run faster.
func (m *Machine) patience(try int) time.Duration {
	return max(m.scale(4*time.Second<<try), 250*time.Millisecond)
}

const dhcpTries = 4

func (m *Machine) dhcp(ctx context.Context, ipxe bool) (*dhcpv4.DHCPv4, error) {
	for try := range dhcpTries {
		ack, err := m.lease(ctx, ipxe, m.patience(try))
		if err == nil {
			addr, _ := netip.AddrFromSlice(ack.YourIPAddr.To4())
			m.addr = addr
			return ack, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("no DHCP answer after %d tries", dhcpTries)
}

func (m *Machine) lease(ctx context.Context, ipxe bool, patience time.Duration) (*dhcpv4.DHCPv4, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	discover, err := dhcpv4.NewDiscovery(m.MAC[:], m.bootOptions(ipxe)...)
	if err != nil {
		return nil, fmt.Errorf("making a DISCOVER: %w", err)
	}
	offer, err := m.Site.Relay.Exchange(ctx, discover)
	if err != nil {
		return nil, err
	}
	request, err := dhcpv4.NewRequestFromOffer(offer, m.bootOptions(ipxe)...)
	if err != nil {
		return nil, fmt.Errorf("making a REQUEST: %w", err)
	}
	ack, err := m.Site.Relay.Exchange(ctx, request)
	if err != nil {
		return nil, err
	}
	if ack.MessageType() != dhcpv4.MessageTypeAck {
		return nil, fmt.Errorf("the server answered %s", ack.MessageType())
	}
	return ack, nil
}

func (m *Machine) bootOptions(ipxe bool) []dhcpv4.Modifier {
	class, arch := "PXEClient", iana.INTEL_X86PC
	switch m.Firmware {
	case UEFI:
		arch = iana.EFI_X86_64
	case UEFIHTTP:
		class, arch = "HTTPClient", iana.EFI_X86_64_HTTP
	}
	if ipxe {
		class = "PXEClient"
		if arch == iana.EFI_X86_64_HTTP {
			arch = iana.EFI_X86_64
		}
	}
	options := []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClientArch(arch)),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(class + ":Arch:" + fmt.Sprintf("%05d", int(arch)) + ":UNDI:003001")),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, append([]byte{0}, m.machineID()...))),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(1472)),
	}
	if ipxe {
		options = append(options, dhcpv4.WithUserClass("iPXE", false))
	}
	return options
}

// machineID is the UUID as SMBIOS stores it, its first fields little-endian.
func (m *Machine) machineID() []byte {
	u := m.UUID
	return []byte{u[3], u[2], u[1], u[0], u[5], u[4], u[7], u[6], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]}
}
