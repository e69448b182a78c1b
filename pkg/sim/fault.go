package sim

import "slices"

// Fault is something that goes wrong with a machine, by name. A simulated
// BMC has faults of its own.
type Fault string

// The faults.
const (
	NoFault       Fault = ""
	LateLink      Fault = "late-link"      // the port is silent at first, as in spanning tree
	PowerCut      Fault = "power-cut"      // power fails once while packages unpack
	LostReport    Fault = "lost-report"    // nobody hears that the installer is done
	SlowDisk      Fault = "slow-disk"      // packages take three times as long
	AmbiguousDisk Fault = "ambiguous-disk" // two disks match: the installer must stop
	Crash         Fault = "crash"          // the installer gives up while packages unpack
	Hang          Fault = "hang"           // the installer says nothing more while packages unpack
	NoPXE         Fault = "no-pxe"         // the firmware ignores the boot device, and starts what it likes
	WrongSerial   Fault = "wrong-serial"   // it is another machine than its label says
	TwoClaims     Fault = "two-claims"     // a second machine has its serial number and UUID
	Deviation     Fault = "deviation"      // the first boot finds a value out of place
)

// Faults lists the names.
func Faults() []Fault {
	return []Fault{LateLink, PowerCut, LostReport, SlowDisk, AmbiguousDisk, Crash, Hang, NoPXE, WrongSerial, TwoClaims, Deviation}
}

// Recovers reports whether a machine with this fault still becomes ready. One
// whose identity is claimed twice may: whoever of the two is first.
func (f Fault) Recovers() bool {
	return slices.Contains([]Fault{NoFault, LateLink, PowerCut, LostReport, SlowDisk, TwoClaims}, f)
}

// Reason is a part of what is said of a machine that does not become ready
// because of this fault.
func (f Fault) Reason() string {
	switch f {
	case AmbiguousDisk:
		return "2 disks match the selector"
	case Crash:
		return "package chrony-4.5 does not install"
	case Hang:
		return "no report since stage"
	case NoPXE:
		return "nothing of it arrived"
	case WrongSerial:
		return "serial"
	case TwoClaims:
		return "claim"
	case Deviation:
		return "vm.swappiness"
	}
	return ""
}
