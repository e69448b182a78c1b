package site

import "strings"

// Controller is what the DHCP client of a BMC tells of itself. All of it is a
// claim: it decides what is shown, and whether a pool for BMCs is open to it.
type Controller struct {
	Maker  string `json:"maker,omitempty"`
	Serial string `json:"serial,omitempty"` // of the machine, where the host name has it
	Why    string `json:"why"`              // what it is recognised by
	Likely bool   `json:"likely,omitempty"` // only likely: others look the same
}

// RecogniseBMC tells the DHCP client of a BMC by its vendor class (option
// 60), host name (option 12) and, as a hint, the maker of its port. Whoever
// asks for a boot file is a machine and no BMC, which the caller knows.
func RecogniseBMC(class, hostname string, mac MAC) (Controller, bool) {
	if maker, serial, ok := namedController(hostname); ok {
		return Controller{Maker: maker, Serial: serial, Why: "host name " + hostname}, true
	}
	for _, sign := range controllerClasses {
		if strings.HasPrefix(class, sign.class) {
			return Controller{Maker: sign.maker, Why: "vendor class " + class}, true
		}
	}
	// BusyBox is the DHCP client of most BMC firmware, and of much else.
	if maker, ok := boardMakers[[3]byte(mac[:3])]; ok && strings.HasPrefix(class, "udhcp") {
		return Controller{Maker: maker, Why: "vendor class " + class + " from a port of " + maker, Likely: true}, true
	}
	return Controller{}, false
}

// controllerClasses are vendor classes that only BMCs send.
var controllerClasses = []struct{ class, maker string }{
	{"iDRAC", "Dell iDRAC"},               // iDRAC9 User's Guide, "DHCP options"; iDRAC7 and 8 the same
	{"CPQRIB3", "HPE iLO"},                // seen of ProLiant DL360 G6 to DL380a Gen11 (Remote Insight Board of old)
	{"NVIDIA/BF/BMC", "NVIDIA BlueField"}, // BlueField BMC Software v25.07, "BlueField DHCP Discover"
}

// controllerNames are the host names that BMCs have when they are new: a
// prefix, for some a word in between, and the serial number of the machine or
// the MAC of the BMC.
var controllerNames = []struct {
	prefix   string
	between  int // characters of the word in between, hyphen included
	min, max int // characters of the rest
	isMAC    bool
	maker    string
}{
	{"idrac-", 0, 7, 7, false, "Dell iDRAC"}, // iDRAC.NIC.DNSRacName: idrac- and the service tag
	{"ilo", 0, 8, 12, false, "HPE iLO"},      // iLO 4 and 5 User Guides: ILO and the serial number
	{"ilo-", 0, 8, 12, false, "HPE iLO"},     // as sites write it
	{"xcc-", 5, 7, 10, false, "Lenovo XCC"},  // ThinkSystem: machine type, serial number; seen XCC-7Z73-J30AF7LC
	{"imm-", 0, 12, 12, true, "Lenovo IMM"},  // System x (pubs.lenovo.com, "Obtaining the IMM host name")
	{"imm2-", 0, 12, 12, true, "Lenovo IMM"}, // likewise
	{"hdm", 0, 10, 24, false, "H3C HDM"},     // seen in inventories of sites: HDM and the serial number
}

// namedController reads a host name that a BMC has when it is new.
func namedController(hostname string) (maker, serial string, ok bool) {
	for _, sign := range controllerNames {
		n := len(sign.prefix) + sign.between
		if len(hostname) < n+sign.min || len(hostname) > n+sign.max || !strings.EqualFold(hostname[:len(sign.prefix)], sign.prefix) {
			continue
		}
		if sign.between > 0 && hostname[n-1] != '-' || !alphanumeric(hostname[n:]) {
			continue
		}
		if !sign.isMAC && !JunkSerial(hostname[n:]) {
			serial = hostname[n:]
		}
		return sign.maker, serial, true
	}
	return "", "", false
}

func alphanumeric(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') })
}

// boardMakers are makers of server boards whose BMC ports have these prefixes
// (IEEE MA-L). Ports of their hosts have them, too.
var boardMakers = map[[3]byte]string{
	{0x00, 0x25, 0x90}: "Supermicro", {0x00, 0x30, 0x48}: "Supermicro", {0x0c, 0xc4, 0x7a}: "Supermicro",
	{0x3c, 0xec, 0xef}: "Supermicro", {0x7c, 0xc2, 0x55}: "Supermicro", {0xac, 0x1f, 0x6b}: "Supermicro",
	{0x00, 0x40, 0xd9}: "American Megatrends",
	{0x6c, 0x92, 0xbf}: "Inspur", {0x9c, 0xc2, 0xc4}: "Inspur", {0xb4, 0x05, 0x5d}: "Inspur", {0xbc, 0x20, 0xba}: "Inspur",
	{0x34, 0x73, 0x79}: "xFusion",
}

// BMC is what a stranger is recognised as, if it is a BMC.
func (s Stranger) BMC() (Controller, bool) {
	if s.Arch != "" || s.Inventory != nil || strings.HasPrefix(s.Class, "PXEClient") || strings.HasPrefix(s.Class, "HTTPClient") {
		return Controller{}, false
	}
	return RecogniseBMC(s.Class, s.Hostname, s.MAC)
}

// MachineOfBMC finds the node whose BMC this seems to be: the plan has its
// MAC, or a machine with the serial number in its host name. It is a claim.
func (s *State) MachineOfBMC(mac MAC, c Controller) (*Machine, bool) {
	if m, ok := s.named(s.byBMC.Get(mac)); ok {
		return m, true
	}
	if c.Serial == "" {
		return nil, false
	}
	return s.MachineBySerial(c.Serial)
}
