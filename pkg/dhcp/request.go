package dhcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// Request is one message from a client. Its byte slices are the message's own
// bytes: they hold as long as the buffer that was parsed.
type Request struct {
	Type      MessageType
	XID       uint32
	Secs      uint16 // since the client began to look for an address
	Broadcast bool   // the client cannot take unicast before it has an address
	HType     byte
	MAC       site.MAC
	CIAddr    netip.Addr // invalid when zero, like the other addresses
	GIAddr    netip.Addr
	Requested netip.Addr // option 50
	ServerID  netip.Addr // option 54
	MaxSize   int        // option 57, bytes; zero when not given
	Arch      uint16     // option 93, the first entry
	HasArch   bool
	IPXE      bool       // option 77 or 175 says so
	LinkAddr  netip.Addr // option 82.5
	Override  netip.Addr // option 82.11
	RelayPort bool       // option 82.19

	Params    []byte // option 55
	ClientID  []byte // option 61
	Class     []byte // option 60
	Hostname  []byte // option 12
	MachineID []byte // option 97
	Vendor    []byte // option 43
	RelayInfo []byte // option 82

	// From the socket, not from the message.
	From       netip.AddrPort
	To         netip.Addr // the address that it was sent to
	BootServer bool       // it came to port 4011

	requested, serverID, maxSize, arch, kind, userClass, etherboot, overload []byte
}

// What makes a message not worth a decision.
var (
	errShort     = errors.New("shorter than a DHCP message")
	errNotQuery  = errors.New("not a request to a server")
	errCookie    = errors.New("no DHCP magic cookie")
	errHardware  = errors.New("no unicast six-byte hardware address")
	errTruncated = errors.New("an option is cut short")
	errNoType    = errors.New("no message type: BOOTP is not served")
)

// Parse reads a message into r and overwrites whatever was there. It accepts
// what clients send in the field: no END option, options in the file and
// sname fields (RFC 2132 section 9.3), options in parts (RFC 3396).
func (r *Request) Parse(b []byte) error {
	*r = Request{}
	if len(b) < offOptions {
		return errShort
	}
	if b[offOp] != opRequest {
		return errNotQuery
	}
	if binary.BigEndian.Uint32(b[offCookie:]) != magicCookie {
		return errCookie
	}
	mac, ok := site.MACFrom(b[offCHAddr : offCHAddr+6])
	if b[offHLen] != 6 || !ok {
		return errHardware
	}
	r.MAC, r.HType = mac, b[offHType]
	r.XID = binary.BigEndian.Uint32(b[offXID:])
	r.Secs = binary.BigEndian.Uint16(b[offSecs:])
	r.Broadcast = binary.BigEndian.Uint16(b[offFlags:])&flagBroadcast != 0
	r.CIAddr, r.GIAddr = addr4(b[offCIAddr:offCIAddr+4]), addr4(b[offGIAddr:offGIAddr+4])
	if err := r.scan(b[offOptions:]); err != nil {
		return err
	}
	if err := r.scanOverload(b); err != nil {
		return err
	}
	return r.interpret()
}

func (r *Request) scan(o []byte) error {
	for len(o) > 0 && o[0] != optEnd {
		if o[0] == optPad {
			o = o[1:]
			continue
		}
		if len(o) < 2 || len(o) < 2+int(o[1]) {
			return errTruncated
		}
		value := o[2 : 2+int(o[1])]
		switch f := r.field(o[0]); {
		case f == nil:
		case *f == nil:
			*f = value
		default:
			*f = append(slices.Clip(*f), value...)
		}
		o = o[2+len(value):]
	}
	return nil
}

func (r *Request) scanOverload(b []byte) error {
	if len(r.overload) != 1 {
		return nil
	}
	which := r.overload[0]
	if which&1 != 0 {
		if err := r.scan(b[offFile:offCookie]); err != nil {
			return err
		}
	}
	if which&2 != 0 {
		return r.scan(b[offSName:offFile])
	}
	return nil
}

func (r *Request) field(code byte) *[]byte {
	switch code {
	case optHostname:
		return &r.Hostname
	case optVendor:
		return &r.Vendor
	case optRequestedIP:
		return &r.requested
	case optOverload:
		return &r.overload
	case optType:
		return &r.kind
	case optServerID:
		return &r.serverID
	case optParams:
		return &r.Params
	case optMaxSize:
		return &r.maxSize
	case optClass:
		return &r.Class
	case optClientID:
		return &r.ClientID
	case optUserClass:
		return &r.userClass
	case optRelayInfo:
		return &r.RelayInfo
	case optArch:
		return &r.arch
	case optMachineID:
		return &r.MachineID
	case optEtherboot:
		return &r.etherboot
	default:
		return nil
	}
}

func (r *Request) interpret() error {
	if len(r.kind) != 1 {
		return errNoType
	}
	r.Type = MessageType(r.kind[0])
	r.Requested, r.ServerID = addr4(r.requested), addr4(r.serverID)
	if len(r.maxSize) == 2 {
		r.MaxSize = int(binary.BigEndian.Uint16(r.maxSize))
	}
	if len(r.arch) >= 2 {
		r.Arch, r.HasArch = binary.BigEndian.Uint16(r.arch), true
	}
	r.IPXE = r.etherboot != nil || isIPXE(r.userClass)
	if r.GIAddr.IsValid() {
		r.interpretRelay()
	}
	return nil
}

// interpretRelay reads what a relay says of itself. Without a relay, the client
// would choose its own network, and what it takes for its server.
func (r *Request) interpretRelay() {
	for o := r.RelayInfo; len(o) >= 2 && len(o) >= 2+int(o[1]); o = o[2+int(o[1]):] {
		switch value := o[2 : 2+int(o[1])]; o[0] {
		case relayLink:
			r.LinkAddr = addr4(value)
		case relayServerID:
			r.Override = addr4(value)
		case relaySourcePort:
			r.RelayPort = true
		}
	}
}

// isIPXE accepts the user class as iPXE sends it, bare, and as RFC 3004
// section 4 wants it, a list of counted strings.
func isIPXE(class []byte) bool {
	if string(class) == "iPXE" {
		return true
	}
	for len(class) > 0 && len(class) > int(class[0]) {
		if string(class[1:1+int(class[0])]) == "iPXE" {
			return true
		}
		class = class[1+int(class[0]):]
	}
	return false
}

// PXE reports firmware or a loader that asks for a PXE boot file.
func (r *Request) PXE() bool { return bytes.HasPrefix(r.Class, []byte(classPXE)) }

// HTTP reports UEFI HTTP boot.
func (r *Request) HTTP() bool { return bytes.HasPrefix(r.Class, []byte(classHTTP)) }

// NetBoot reports a client that could use a boot file, which the DHCP client
// of an operating system could not.
func (r *Request) NetBoot() bool { return r.HasArch || r.IPXE || r.PXE() || r.HTTP() }

// Client is what the message tells of the firmware.
func (r *Request) Client() ipxe.Client {
	return ipxe.Client{Arch: r.Arch, HTTP: r.HTTP(), IPXE: r.IPXE, MAC: r.MAC}
}

// UUID is the SMBIOS UUID that the client claims, in both byte orders that
// firmware uses (SMBIOS 2.6 section 7.2.1 changed it).
func (r *Request) UUID() (little, big site.UUID, ok bool) {
	little, ok = site.UUIDFromClient(r.MachineID)
	if ok {
		big = site.UUID(r.MachineID[1:])
	}
	return little, big, ok
}

// asks reports whether the client wants an option: the ones it lists, or any
// when it lists none.
func (r *Request) asks(code byte) bool {
	return r.Params == nil || bytes.IndexByte(r.Params, code) >= 0
}

// addr4 reads an address; it is invalid unless b holds one that is not zero.
func addr4(b []byte) netip.Addr {
	if len(b) != 4 || b[0]|b[1]|b[2]|b[3] == 0 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}
