// Package ipxe knows which loader a firmware wants and what iPXE should be
// told. It turns a boot decision into a boot file name and into a script,
// and decides nothing itself.
package ipxe

import (
	"net/netip"
	"net/url"
	"strconv"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/site"
)

// Client architectures, as DHCP option 93 carries them: RFC 4578 section 2.1
// and the IANA registry "Processor Architecture Types".
const (
	ArchBIOS      = 0
	ArchIA32      = 6
	ArchX64       = 7
	ArchX64Old    = 9 // "EBC" in the registry; firmware before 2012 sends it for x64
	ArchARM64     = 11
	ArchX64HTTP   = 16
	ArchARM64HTTP = 19
)

// The names under which loaders are served, over TFTP and below /boot/.
const (
	LoaderBIOS  = "undionly.kpxe"
	LoaderX64   = "snponly.efi"       // uses the firmware's own NIC driver
	LoaderARM64 = "snponly-arm64.efi" // likewise
	// AutoexecName is what iPXE looks for beside itself before it does
	// anything else, by TFTP and by HTTP.
	AutoexecName = "autoexec.ipxe"
)

// Client is what a packet tells of the firmware that sent it.
type Client struct {
	Arch uint16 // option 93
	HTTP bool   // option 60 begins with HTTPClient
	IPXE bool   // option 77 is iPXE, or option 175 is there
	MAC  site.MAC
}

// Server is where the machine can reach this daemon.
type Server struct {
	Addr netip.Addr
	HTTP string // base URL without a trailing slash, http://10.20.0.1:8080
}

// Loader names the first-stage loader for an architecture.
func Loader(arch uint16) (string, bool) {
	switch arch {
	case ArchBIOS:
		return LoaderBIOS, true
	case ArchX64, ArchX64Old, ArchX64HTTP:
		return LoaderX64, true
	case ArchARM64, ArchARM64HTTP:
		return LoaderARM64, true
	default:
		return "", false
	}
}

// ArchName names an architecture for people.
func ArchName(arch uint16) string {
	switch arch {
	case ArchBIOS:
		return "BIOS"
	case ArchIA32:
		return "UEFI x86"
	case ArchX64, ArchX64Old:
		return "UEFI x64"
	case ArchARM64:
		return "UEFI arm64"
	case ArchX64HTTP:
		return "UEFI HTTP x64"
	case ArchARM64HTTP:
		return "UEFI HTTP arm64"
	default:
		return "unknown"
	}
}

// BootFile is what goes into DHCP option 67 and the file field: the name of
// a loader for PXE firmware, a URL for UEFI HTTP boot and for iPXE. Without
// one, the firmware goes on to its next boot entry.
func BootFile(c Client, d boot.Decision, s Server) (string, bool) {
	if d.Action == boot.Ignore || d.Action == boot.Local && withoutFile(c, d.LocalBoot) {
		return "", false
	}
	if c.IPXE {
		return s.HTTP + "/boot/" + BootstrapName, true
	}
	loader, ok := Loader(c.Arch)
	if !ok {
		return "", false
	}
	if c.HTTP {
		return s.HTTP + "/boot/" + loader, true
	}
	return loader, true
}

// withoutFile reports whether the firmware goes to its disk by itself when it
// is told of no boot file.
func withoutFile(c Client, way site.LocalBoot) bool {
	return way == site.LocalFirmware || way == site.LocalAuto && c.Arch == ArchBIOS
}

// Port is the TCP port of the machine side.
func (s Server) Port() uint16 {
	u, err := url.Parse(s.HTTP)
	if err != nil {
		return 0
	}
	if p, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(p)
	}
	return 80
}
