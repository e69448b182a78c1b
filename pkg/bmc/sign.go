package bmc

import (
	"errors"
	"fmt"
	"time"
)

// Sign is what a machine was seen to do on the wire after its power was
// switched: the proof of a boot device that no BMC can give.
type Sign struct {
	Device Device    `json:"device"` // what it boots from, as far as it shows
	At     time.Time `json:"at"`
	What   string    `json:"what"` // in words: DHCP discover of PXE firmware
}

// ErrElsewhere means that a BMC kept the boot device that it was told, and the
// machine booted something else.
var ErrElsewhere = errors.New("the machine did not boot what its BMC was told")

// Verdict is how a boot compares with what was asked for.
type Verdict string

// The verdicts.
const (
	Complied   Verdict = "complied"
	Differed   Verdict = "differed"    // it was seen to boot from something else
	NotSeen    Verdict = "not seen"    // it was to boot from the network, and did not come
	NotRefuted Verdict = "not refuted" // it was not to boot from the network, and did not come
)

// Compare says whether a machine that was told to boot from want did so. sign
// is nil if nothing was seen of it.
//
// A boot from a disk or a medium leaves no trace until a system is up, so all
// that can be said of it is that the machine did not ask the network.
func Compare(want Device, sign *Sign) Verdict {
	network := want == DevicePXE || want == DeviceHTTP
	switch {
	case sign == nil && network:
		return NotSeen
	case sign == nil:
		return NotRefuted
	case sign.Device == want:
		return Complied
	case !network && sign.Device != DevicePXE && sign.Device != DeviceHTTP:
		// A system came up; which device it is from does not show.
		return NotRefuted
	default:
		return Differed
	}
}

// Words say a verdict on a boot for people.
func (v Verdict) Words(want Device, sign *Sign, waited time.Duration) string {
	switch {
	case v == Complied:
		return fmt.Sprintf("seen on the wire: %s", sign.What)
	case v == Differed:
		return fmt.Sprintf("it booted from %s although the BMC said %s: %s", sign.Device, want, sign.What)
	case v == NotSeen:
		return fmt.Sprintf("nothing came from it on the wire within %s: it went to disk although the BMC said %s, or it hangs", waited, want)
	case sign != nil:
		return fmt.Sprintf("seen on the wire: %s", sign.What)
	default:
		return fmt.Sprintf("it did not ask the network within %s", waited)
	}
}
