package dhcp

import "strconv"

// MessageType is the kind of a DHCP message (RFC 2132 section 9.6).
type MessageType byte

// The message types that a server meets.
const (
	TypeDiscover MessageType = 1
	TypeOffer    MessageType = 2
	TypeRequest  MessageType = 3
	TypeDecline  MessageType = 4
	TypeACK      MessageType = 5
	TypeNAK      MessageType = 6
	TypeRelease  MessageType = 7
	TypeInform   MessageType = 8
)

func (t MessageType) String() string {
	switch t {
	case TypeDiscover:
		return "DISCOVER"
	case TypeOffer:
		return "OFFER"
	case TypeRequest:
		return "REQUEST"
	case TypeDecline:
		return "DECLINE"
	case TypeACK:
		return "ACK"
	case TypeNAK:
		return "NAK"
	case TypeRelease:
		return "RELEASE"
	case TypeInform:
		return "INFORM"
	default:
		return "type " + strconv.Itoa(int(t))
	}
}

// Option codes (RFC 2132 unless it says otherwise).
const (
	optPad          = 0
	optMask         = 1
	optRouter       = 3
	optDNS          = 6
	optHostname     = 12
	optDomain       = 15
	optMTU          = 26
	optBroadcast    = 28
	optNTP          = 42
	optVendor       = 43
	optRequestedIP  = 50
	optLeaseTime    = 51
	optOverload     = 52
	optType         = 53
	optServerID     = 54
	optParams       = 55
	optMessage      = 56
	optMaxSize      = 57
	optRenewal      = 58
	optRebinding    = 59
	optClass        = 60
	optClientID     = 61
	optTFTPServer   = 66
	optBootFile     = 67
	optUserClass    = 77 // RFC 3004
	optRelayInfo    = 82 // RFC 3046
	optArch         = 93 // RFC 4578 section 2.1
	optMachineID    = 97 // RFC 4578 section 2.3
	optEtherboot    = 175
	optEnd          = 255
	relayLink       = 5  // RFC 3527
	relayServerID   = 11 // RFC 5107
	relaySourcePort = 19 // RFC 8357
	pxeControl      = 6  // PXE 2.1 table 2-1: discovery control
	pxeBootItem     = 71 // PXE 2.1 table 2-1: the boot server type that is asked for
	ipxeNoProxy     = 176
)

// Ports (RFC 2131 section 4.1, PXE 2.1 section 2.2.3).
const (
	serverPort = 67
	clientPort = 68
	bootPort   = 4011
)

// The layout of a message (RFC 2131 section 2).
const (
	offOp      = 0
	offHType   = 1
	offHLen    = 2
	offXID     = 4
	offSecs    = 8
	offFlags   = 10
	offCIAddr  = 12
	offYIAddr  = 16
	offSIAddr  = 20
	offGIAddr  = 24
	offCHAddr  = 28
	offSName   = 44
	offFile    = 108
	offCookie  = 236
	offOptions = 240

	opRequest     = 1
	opReply       = 2
	flagBroadcast = 0x8000
	magicCookie   = 0x63825363
)
