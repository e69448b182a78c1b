package redfish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/redfish"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Power reads the state of the system, or of its chassis where the system
// does not say. One that is between on and off is unknown.
func (d *driver) Power(ctx context.Context) (bmc.PowerState, error) {
	s, err := d.system(ctx)
	if err != nil {
		return bmc.PowerUnknown, err
	}
	state := s.PowerState
	if state == "" && len(s.Links.Chassis) > 0 {
		var chassis struct{ PowerState string }
		if _, err := d.get(ctx, s.Links.Chassis[0], &chassis); err != nil {
			return bmc.PowerUnknown, fmt.Errorf("reading the chassis: %w", err)
		}
		state = chassis.PowerState
	}
	return powerState(state), nil
}

// Mark is when the system was last reset, and how far its firmware is since
// then (ComputerSystem 1.12 and 1.13).
func (d *driver) Mark(ctx context.Context) (bmc.Mark, error) {
	s, err := d.system(ctx)
	if err != nil {
		return bmc.Mark{}, err
	}
	return bmc.Mark{Reset: s.LastResetTime, Progress: strings.TrimSpace(s.BootProgress.LastState + " " + s.BootProgress.LastStateTime)}, nil
}

func powerState(s string) bmc.PowerState {
	switch strings.ToLower(s) {
	case "on":
		return bmc.PowerOn
	case "off":
		return bmc.PowerOff
	}
	return bmc.PowerUnknown
}

// SetPower resets the system in the way that the BMC allows.
func (d *driver) SetPower(ctx context.Context, a bmc.PowerAction) error {
	s, err := d.system(ctx)
	if err != nil {
		return err
	}
	if a == bmc.ActionOff && powerState(s.PowerState) == bmc.PowerOff {
		return nil // some BMCs object to switching off what is off
	}
	reset := s.reset()
	if reset.Target == "" {
		return fmt.Errorf("the system has no reset action: %w", bmc.ErrUnsupported)
	}
	allowed, err := d.resetTypes(ctx, reset)
	if err != nil {
		return err
	}
	kind, err := resetType(a, powerState(s.PowerState), allowed)
	if err != nil {
		return err
	}
	return d.post(ctx, reset.Target, map[string]any{"ResetType": kind})
}

// resetTypes are the values that the BMC allows.
func (d *driver) resetTypes(ctx context.Context, a action) ([]string, error) {
	types, err := d.allowed(ctx, a, "ResetType", a.ResetTypes)
	if err != nil {
		return nil, fmt.Errorf("reading what resets are allowed: %w", err)
	}
	return types, nil
}

// allowed are the values of a parameter that the action itself gives, or its
// ActionInfo; none if the BMC does not say.
func (d *driver) allowed(ctx context.Context, a action, parameter string, given []string) ([]string, error) {
	if len(given) > 0 || a.ActionInfo == "" {
		return given, nil
	}
	var info struct {
		Parameters []struct {
			Name            string
			AllowableValues []string
		}
	}
	if _, err := d.get(ctx, a.ActionInfo, &info); err != nil {
		return nil, err
	}
	for _, p := range info.Parameters {
		if p.Name == parameter {
			return p.AllowableValues, nil
		}
	}
	return nil, nil
}

// resetType says an action in Redfish's words. A graceful one is no
// substitute for what is to happen at once, nor the other way round; the
// power button toggles, so the state has to be known.
func resetType(a bmc.PowerAction, state bmc.PowerState, allowed []string) (redfish.ResetType, error) {
	var wishes []redfish.ResetType
	switch a {
	case bmc.ActionOn:
		wishes = []redfish.ResetType{redfish.OnResetType, redfish.ForceOnResetType}
		if state == bmc.PowerOff {
			wishes = append(wishes, redfish.PushPowerButtonResetType)
		}
	case bmc.ActionOff:
		wishes = []redfish.ResetType{redfish.ForceOffResetType}
	case bmc.ActionSoft:
		wishes = []redfish.ResetType{redfish.GracefulShutdownResetType}
		if state == bmc.PowerOn {
			wishes = append(wishes, redfish.PushPowerButtonResetType)
		}
	case bmc.ActionCycle:
		if state == bmc.PowerOff {
			return resetType(bmc.ActionOn, state, allowed)
		}
		wishes = []redfish.ResetType{redfish.PowerCycleResetType}
	case bmc.ActionReset:
		if state == bmc.PowerOff {
			return resetType(bmc.ActionOn, state, allowed)
		}
		wishes = []redfish.ResetType{redfish.ForceRestartResetType}
	default:
		return "", fmt.Errorf("power %s is not on, off, soft, cycle or reset", a)
	}
	if len(allowed) == 0 {
		return wishes[0], nil
	}
	for _, w := range wishes {
		if slices.Contains(allowed, string(w)) {
			return w, nil
		}
	}
	return "", fmt.Errorf("power %s is none of what the BMC allows (%s): %w", a, strings.Join(allowed, ", "), bmc.ErrUnsupported)
}
