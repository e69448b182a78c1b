package bmcsim

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// Machine is what a BMC switches. It is called when power comes on, asks next
// for its boot device each time its firmware starts, and returns when ctx
// ends, which is the power cord.
type Machine func(ctx context.Context, next func() Boot)

// Boot is what a machine starts from.
type Boot struct {
	Target string // BootSourceOverrideTarget's words; without an override the first of the boot order
	UEFI   bool
	URI    string // of UefiHttp; the firmware's own choice if empty
	Image  string // of Cd: the URL of the medium
}

// The PowerState of a chassis.
const (
	stateOn      = "On"
	stateOff     = "Off"
	poweringOn   = "PoweringOn"
	poweringOff  = "PoweringOff"
	noTransition = ""
)

type power struct {
	on      bool
	shown   string // while it is changing
	until   time.Time
	unplug  context.CancelFunc
	stopped chan struct{} // the machine before, which must be gone
}

// state needs the lock.
func (b *BMC) state() string {
	switch {
	case b.power.shown != noTransition && b.config.Now().Before(b.power.until):
		return b.power.shown
	case b.power.on:
		return stateOn
	}
	return stateOff
}

// PowerState is On, Off, PoweringOn or PoweringOff.
func (b *BMC) PowerState() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state()
}

func (b *BMC) show(state string, d time.Duration) {
	b.power.shown, b.power.until = state, b.config.Now().Add(d)
}

// start gives power to a machine that has none. It needs the lock.
func (b *BMC) start() {
	ctx, unplug := context.WithCancel(b.life)
	before, stopped := b.power.stopped, make(chan struct{})
	b.power.on, b.power.unplug, b.power.stopped = true, unplug, stopped
	b.resetAt = b.config.Now()
	b.machines.Go(func() {
		defer close(stopped)
		if before != nil {
			<-before
		}
		b.config.Machine(ctx, func() Boot {
			boot := b.nextBoot()
			if boot.Image != "" {
				_, _ = b.probe(ctx, boot.Image, "", "") // a medium that is gone is passed over
			}
			return boot
		})
	})
}

// stop takes the power away. It needs the lock.
func (b *BMC) stop() {
	if b.power.on {
		b.power.unplug()
		b.power.on = false
	}
}

func resetTypes() []string {
	return []string{"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle", "PushPowerButton"}
}

// reset is Actions/ComputerSystem.Reset.
func (b *BMC) reset(kind string) *problem {
	if !slices.Contains(resetTypes(), kind) {
		return fail(http.StatusBadRequest, "ActionParameterValueNotInList", "The value %s for the parameter %s in the action %s is not in the list of acceptable values.", kind, "ResetType", "ComputerSystem.Reset")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.has(FaultLies) {
		return nil
	}
	restart := slices.Contains([]string{"GracefulRestart", "ForceRestart", "PowerCycle"}, kind)
	if restart && !b.power.on {
		return fail(http.StatusConflict, "ResourceInStandby", "The request failed because the resource is in standby.")
	}
	if kind == "PushPowerButton" {
		if kind = "On"; b.power.on {
			kind = "GracefulShutdown"
		}
	}
	switch {
	case kind == "On" && b.power.on, kind == "ForceOff" && !b.power.on, kind == "GracefulShutdown" && !b.power.on:
		return nil
	}
	b.actions = append(b.actions, kind)
	switch kind {
	case "On":
		b.start()
		b.show(poweringOn, b.config.Transition)
	case "ForceOff":
		b.stop()
		b.show(poweringOff, b.config.Transition)
	case "GracefulShutdown":
		if !b.config.IgnoresACPI {
			b.stop()
			b.show(stateOn, b.config.Shutdown)
		}
	default:
		b.stop()
		b.start()
		b.show(poweringOn, b.config.Transition)
	}
	return nil
}

// nextBoot is the firmware's question. What was for one boot is used up by
// it, and pending settings take effect.
func (b *BMC) nextBoot() Boot {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	for name, value := range b.set.pending {
		b.bios[name] = value
	}
	b.set.pending = nil
	if b.set.bootNext != nil {
		b.set.boot, b.set.bootNext = *b.set.bootNext, nil
	}
	o := &b.set.boot
	boot := Boot{Target: o.Target, UEFI: o.Mode == "UEFI", URI: o.URI}
	switch {
	case o.Enabled == disabled || o.Target == "None":
		boot.Target, boot.URI = b.firstInOrder(), ""
	case b.has(FaultBootsDisk):
		boot.Target, boot.URI = "Hdd", ""
	case o.Target == "UefiTarget" || o.Target == "UefiBootNext":
		boot.Target = b.aliasOf(o.Path, o.Next)
	}
	if boot.Target == "Cd" {
		boot.Image = b.set.media[0].Image
	}
	if o.Enabled == once {
		*o = override{Enabled: disabled, Target: "None", Mode: o.Mode, Order: o.Order}
	}
	b.booted = append(b.booted, boot)
	return boot
}

// last needs the lock.
func (b *BMC) last() string {
	if len(b.booted) == 0 {
		return ""
	}
	return b.booted[len(b.booted)-1].Target
}

// Booted are the boots of the machine, oldest first.
func (b *BMC) Booted() []Boot {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.booted)
}
