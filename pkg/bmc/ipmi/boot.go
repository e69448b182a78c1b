package ipmi

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// The boot option parameters of table 28-14.
const (
	parameterProgress    = types.BootOptionParamSelector_SetInProgress
	parameterValidity    = types.BootOptionParamSelector_BMCBootFlagValidBitClear
	parameterAcknowledge = types.BootOptionParamSelector_BootInfoAcknowledge
	parameterFlags       = types.BootOptionParamSelector_BootFlags
)

// Data 1 of parameter 5.
const (
	flagValid      = 0x80
	flagPersistent = 0x40
	flagEFI        = 0x20
)

// selectors are bits 5:2 of data 2 of parameter 5.
var selectors = map[bmc.Device]byte{
	bmc.DeviceNone: 0x0,
	bmc.DevicePXE:  0x1,
	bmc.DeviceDisk: 0x2,
	bmc.DeviceCD:   0x5,
	bmc.DeviceBIOS: 0x6,
}

// devices reads them. Remote media are CDs and disks too.
var devices = [16]bmc.Device{
	0x0: bmc.DeviceNone, 0x1: bmc.DevicePXE, 0x2: bmc.DeviceDisk, 0x3: "disk-safe", 0x4: "diagnostics",
	0x5: bmc.DeviceCD, 0x6: bmc.DeviceBIOS, 0x7: "floppy", 0x8: bmc.DeviceCD, 0x9: "remote", 0xb: bmc.DeviceDisk, 0xf: "floppy",
}

// encodeFlags makes parameter 5 of a boot override. No override is a valid
// one for no device, which BMCs that copy the flags into the firmware's
// settings understand too.
func encodeFlags(b bmc.Boot) ([]byte, error) {
	selector, ok := selectors[b.Device]
	if !ok {
		return nil, fmt.Errorf("boot device %s by IPMI: %w", b.Device, bmc.ErrUnsupported)
	}
	flags := []byte{flagValid, selector << 2, 0, 0, 0}
	if b.Device == bmc.DeviceNone {
		return flags, nil
	}
	if b.Persistent {
		flags[0] |= flagPersistent
	}
	if b.Mode == bmc.ModeUEFI {
		flags[0] |= flagEFI
	}
	return flags, nil
}

// decodeFlags reads parameter 5. Flags that are not valid are no override: the
// firmware used them up or they timed out, and what else they say is stale.
//
// Some BMCs never show data 1. Where all of it is zero, told decides: what
// this session has set successfully is there if its device is, and the note
// says what is taken on trust.
func decodeFlags(p []byte, told bmc.Boot) (bmc.Boot, error) {
	if len(p) < 2 {
		return bmc.Boot{}, fmt.Errorf("boot flags of %d bytes", len(p))
	}
	selector := p[1] >> 2 & 0x0f
	device := devices[selector]
	if device == "" {
		device = bmc.Device(fmt.Sprintf("selector-%xh", selector))
	}
	switch {
	case selector == 0:
		return bmc.Boot{Device: bmc.DeviceNone}, nil
	case p[0] == 0 && device == told.Device:
		return bmc.Boot{Device: device, Persistent: told.Persistent, Note: "the BMC shows the device and no flags: whether it is valid, persistent or UEFI cannot be read back"}, nil
	case p[0]&flagValid == 0:
		return bmc.Boot{Device: bmc.DeviceNone, Note: fmt.Sprintf("the BMC shows %s and that it is not valid: it is used up or timed out, or this BMC shows no flags", device)}, nil
	}
	b := bmc.Boot{Device: device, Persistent: p[0]&flagPersistent != 0, Mode: bmc.ModeBIOS}
	if p[0]&flagEFI != 0 {
		b.Mode = bmc.ModeUEFI
	}
	return b, nil
}

// Boot reads the boot flags (section 28.13, parameter 5).
func (d *driver) Boot(ctx context.Context) (bmc.Boot, error) {
	var b bmc.Boot
	err := d.use(ctx, func(s *session) error {
		flags, err := s.bootOption(ctx, parameterFlags)
		if err == nil {
			b, err = decodeFlags(d.standard(flags), d.told)
		}
		return err
	})
	return b, err
}

// The ways that need no recipe.
const (
	wayStandard = "standard"
	wayMinimal  = "minimal"
)

// Ways are the whole exchange of the standard, the boot flags alone, and what
// recipes know, before or after them as the recipe says.
func (d *driver) Ways() []bmc.Way {
	var first, last []bmc.Way
	for _, w := range d.raws() {
		way := bmc.Way{Name: w.Name, Source: w.Source}
		if w.First {
			first = append(first, way)
		} else {
			last = append(last, way)
		}
	}
	return slices.Concat(first, []bmc.Way{{Name: wayStandard}, {Name: wayMinimal}}, last)
}

// SetBoot sets a boot override (section 28.12).
func (d *driver) SetBoot(ctx context.Context, want bmc.Boot, way bmc.Way) error {
	return d.use(ctx, func(s *session) error {
		want, err := s.keepMode(ctx, want)
		if err == nil {
			err = d.tell(ctx, s, want, way)
		}
		if err == nil {
			d.told = want
		}
		return err
	})
}

func (d *driver) tell(ctx context.Context, s *session, want bmc.Boot, way bmc.Way) error {
	switch way.Name {
	case wayStandard:
		return s.setBoot(ctx, want)
	case wayMinimal:
		return s.setFlags(ctx, want, true)
	}
	for _, w := range d.raws() {
		if w.Name == way.Name {
			return s.setRaw(ctx, want, w)
		}
	}
	return fmt.Errorf("setting the boot device in the way %q: %w", way.Name, bmc.ErrUnsupported)
}

// keepMode asks the BMC for the mode where the caller wants what there is.
func (s *session) keepMode(ctx context.Context, want bmc.Boot) (bmc.Boot, error) {
	if want.Mode != bmc.ModeKeep || want.Device == bmc.DeviceNone {
		return want, nil
	}
	flags, err := s.bootOption(ctx, parameterFlags)
	if _, coded := completion(err); err != nil && !coded && !errors.Is(err, bmc.ErrUnsupported) {
		return want, err
	}
	if len(flags) > 0 && flags[0]&flagEFI != 0 {
		want.Mode = bmc.ModeUEFI
	}
	return want, nil
}

// setBoot is the exchange that table 28-14 describes around the boot flags.
// What a BMC lacks of it does no harm.
func (s *session) setBoot(ctx context.Context, want bmc.Boot) error {
	if _, err := encodeFlags(want); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	err := s.setFlagsAndAround(ctx, want)
	// Commit Write is for BMCs with rollback, Set Complete for all. A BMC that
	// stays in progress would lock out whoever comes next.
	end := context.WithoutCancel(ctx)
	_ = s.tolerate(s.setBootOption(end, parameterProgress, 2))
	if e := s.tolerate(s.setBootOption(end, parameterProgress, 0)); err == nil {
		err = e
	}
	return err
}

func (s *session) setFlagsAndAround(ctx context.Context, want bmc.Boot) error {
	// Bit 3: the valid bit stays though no Chassis Control follows within 60 s.
	if err := s.tolerate(s.setBootOption(ctx, parameterValidity, 0x08)); err != nil {
		return err
	}
	// Write mask and value of bit 0: the firmware has not handled it yet.
	if err := s.tolerate(s.setBootOption(ctx, parameterAcknowledge, 0x01, 0x01)); err != nil {
		return err
	}
	return s.setFlags(ctx, want, false)
}

// begin says Set In Progress. One that somebody left behind is ended.
func (s *session) begin(ctx context.Context) error {
	err := s.setBootOption(ctx, parameterProgress, 1)
	if code, ok := completion(err); ok && code == types.CodeParamConfigSetInProgressConflict {
		if err := s.tolerate(s.setBootOption(ctx, parameterProgress, 0)); err != nil {
			return err
		}
		err = s.setBootOption(ctx, parameterProgress, 1)
	}
	return s.tolerate(err)
}

// tolerate lets pass that a BMC answers no, unless it is the user whom it
// refuses.
func (s *session) tolerate(err error) error {
	if _, coded := completion(err); (coded || errors.Is(err, bmc.ErrUnsupported)) && !errors.Is(err, bmc.ErrLogin) {
		return nil
	}
	return err
}

// setFlags writes parameter 5. Cleared flags are all zero in the minimal way,
// for BMCs that do not take a valid override for no device.
func (s *session) setFlags(ctx context.Context, want bmc.Boot, minimal bool) error {
	flags, err := encodeFlags(want)
	if err != nil {
		return err
	}
	if minimal && want.Device == bmc.DeviceNone {
		flags[0] = 0
	}
	return s.setBootOption(ctx, parameterFlags, flags...)
}

func (s *session) setBootOption(ctx context.Context, parameter types.BootOptionParamSelector, data ...byte) error {
	err := s.do(ctx, &chassis.SetSystemBootOptionsParamRequest{ParamSelector: parameter, ParamData: data},
		&chassis.SetSystemBootOptionsParamResponse{})
	return noParameter(parameter, err)
}

func (s *session) bootOption(ctx context.Context, parameter types.BootOptionParamSelector) ([]byte, error) {
	var got chassis.GetSystemBootOptionsParamResponse
	if err := s.do(ctx, &chassis.GetSystemBootOptionsParamRequest{ParamSelector: parameter}, &got); err != nil {
		return nil, noParameter(parameter, err)
	}
	return got.ParamData, nil
}

func noParameter(parameter types.BootOptionParamSelector, err error) error {
	if code, ok := completion(err); ok && code == types.CodeParameterNotSupported {
		return fmt.Errorf("boot option parameter %d: %w", parameter, bmc.ErrUnsupported)
	}
	return err
}
