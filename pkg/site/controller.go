package site

import (
	"regexp"
	"strings"
)

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
	for _, sign := range controllerNames {
		if m := sign.name.FindStringSubmatch(hostname); m != nil {
			c := Controller{Maker: sign.maker, Why: "host name " + hostname}
			if len(m) > 1 && !JunkSerial(m[1]) {
				c.Serial = m[1]
			}
			return c, true
		}
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

// controllerNames are the host names that BMCs have when they are new. The
// group is the serial number of the machine.
var controllerNames = []struct {
	name  *regexp.Regexp
	maker string
}{
	{regexp.MustCompile(`^(?i:idrac)-([A-Za-z0-9]{7})$`), "Dell iDRAC"},                 // iDRAC.NIC.DNSRacName: idrac- and the service tag
	{regexp.MustCompile(`^(?i:ilo)-?([A-Za-z0-9]{8,12})$`), "HPE iLO"},                  // iLO 4 and 5 User Guides: ILO and the serial number
	{regexp.MustCompile(`^(?i:xcc)-[A-Za-z0-9]{4}-([A-Za-z0-9]{7,10})$`), "Lenovo XCC"}, // ThinkSystem: machine type, serial number; seen XCC-7Z73-J30AF7LC
	{regexp.MustCompile(`^(?i:imm2?)-[0-9A-Fa-f]{12}$`), "Lenovo IMM"},                  // System x: IMM- or IMM2- and the MAC (pubs.lenovo.com)
	{regexp.MustCompile(`^(?i:hdm)-?([A-Za-z0-9]{10,24})$`), "H3C HDM"},                 // seen in inventories of sites: HDM and the serial number
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
