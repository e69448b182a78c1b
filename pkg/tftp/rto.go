package tftp

import "time"

const (
	// firstRTO is used until a round trip was measured.
	firstRTO = 200 * time.Millisecond
	// minRTO is well above a LAN's round trip, and small enough that a lost packet
	// costs a boot nothing that a person notices.
	minRTO = 40 * time.Millisecond
	maxRTO = 2 * time.Second
)

// rto is the retransmission timer of RFC 6298 with bounds that suit one rack
// instead of the Internet.
type rto struct {
	srtt, rttvar time.Duration
	wait         time.Duration // the timeout to use now
	ceiling      time.Duration
}

func newRTO(ceiling time.Duration) rto {
	if ceiling <= 0 || ceiling > maxRTO {
		ceiling = maxRTO
	}
	return rto{wait: min(firstRTO, ceiling), ceiling: ceiling}
}

// sample takes in a round trip of a packet that was sent once (Karn's rule).
func (r *rto) sample(rtt time.Duration) {
	rtt = max(rtt, 0)
	if r.srtt == 0 {
		r.srtt, r.rttvar = rtt, rtt/2
	} else {
		r.rttvar += ((r.srtt - rtt).Abs() - r.rttvar) / 4
		r.srtt += (rtt - r.srtt) / 8
	}
	r.wait = min(max(r.srtt+4*r.rttvar, minRTO), r.ceiling)
}

func (r *rto) backOff() { r.wait = min(2*r.wait, r.ceiling) }
