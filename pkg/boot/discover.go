package boot

import (
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// stranger decides for a machine that the plan does not name. It never leads
// to an installer.
func stranger(s *site.State) Decision {
	d := Decision{Action: Ignore, Why: "the plan does not name this machine"}
	leave := s.Settings.Discovery
	if !leave.Strangers {
		return d
	}
	if s.Settings.Provision.DHCP == site.DHCPServer && s.Settings.Provision.Pool.IsZero() {
		d.Why += ", and has no pool to discover it with"
		return d
	}
	return look(s, d, d.Why+", and lets strangers be discovered")
}

// look gives d the discovery, if there is an image for it to run in.
func look(s *site.State, d Decision, why string) Decision {
	image, ok := s.Images.Get(ImageForDiscovery(s, d.Node))
	if !ok {
		d.Why = fmt.Sprintf("%s, but image %s, which the discovery runs in, is not in the library", why, ImageForDiscovery(s, d.Node))
		return d
	}
	d.Action, d.Image, d.Why = Discover, image, why
	return d
}

// ImageForDiscovery names the image whose kernel and initrd a machine is
// looked at with: the one of the plan's discovery, or that of the node.
func ImageForDiscovery(s *site.State, n *site.Node) string {
	if name := s.Settings.Discovery.Image; name != "" || n == nil {
		return name
	}
	return s.Settings.ImageOf(n)
}

// wanted reports whether an operator wants to look at a machine that neither
// is being installed nor will be, and there is something to do it with.
func wanted(s *site.State, m *site.Machine, now time.Time) bool {
	_, ok := s.Images.Get(ImageForDiscovery(s, m.Node))
	return ok && now.Before(m.Discovery.Until) && m.Phase != site.PhaseArmed && !m.Running()
}
