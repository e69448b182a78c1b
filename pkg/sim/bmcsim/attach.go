package bmcsim

import (
	"context"

	"github.com/rackseed/rackseed/pkg/sim"
)

// Attach puts a machine of the simulated rack behind a BMC: its power and the
// boot override are then the BMC's.
func Attach(m *sim.Machine) Machine {
	return func(ctx context.Context, next func() Boot) {
		m.NextBoot = func() sim.Source { return source(next()) }
		m.Run(ctx)
	}
}

func source(b Boot) sim.Source {
	switch b.Target {
	case "Hdd":
		return sim.FromDisk
	case "BiosSetup":
		return sim.FromSetup
	case "Cd", "Usb":
		if b.Image != "" || b.Target == "Usb" {
			return sim.FromMedium
		}
		return sim.FromDisk // an empty drive is passed over
	}
	return sim.FromNetwork
}
