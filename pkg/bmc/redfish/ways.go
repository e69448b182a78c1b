package redfish

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

// The ways that need no recipe.
const (
	wayStandard   = "redfish"               // PATCH of the system, as the standard has it
	wayMinimal    = "redfish, minimal body" // without the mode
	wayMode       = "redfish, with mode"    // with the mode that it has, though nobody asked for another
	waySettings   = "redfish, settings"     // PATCH of @Redfish.Settings
	wayOrder      = "redfish, boot order"   // for good, by the order of the boot options
	wayBmclib     = "bmclib"
	wayContinuous = "redfish, continuous" // for a BMC without "once": whoever asks clears it
)

// Ways are the standard's, the recipes' for the make, bmclib's, and at last a
// persistent override in place of one for once. A recipe for a make to which
// the standard's way does harm comes first.
func (d *driver) Ways() []bmc.Way {
	var first, later []bmc.Way
	for _, w := range d.recipes() {
		way := bmc.Way{Name: w.Name, Source: w.Source}
		if w.First {
			first = append(first, way)
		} else {
			later = append(later, way)
		}
	}
	standard := []bmc.Way{{Name: wayStandard}, {Name: wayMinimal}, {Name: wayMode}, {Name: waySettings}, {Name: wayOrder}}
	return slices.Concat(first, standard, later, []bmc.Way{{Name: wayBmclib}, {Name: wayContinuous}})
}

func (d *driver) machine() recipe.Machine {
	return recipe.Machine{Manufacturer: d.known.Manufacturer, Model: d.known.Model, Firmware: d.known.Firmware}
}

func (d *driver) recipes() []recipe.Way {
	ways := d.options.Recipes.Boot(d.machine())
	return slices.DeleteFunc(ways, func(w recipe.Way) bool { return w.Kind == recipe.KindRaw })
}

// phrase is how an override is put into a request.
type phrase struct {
	mode       recipe.ModePolicy
	continuous bool
	none       bool              // "no override" as a device, too
	urlless    bool              // the URL is said elsewhere
	targets    map[string]string // other names by device
}

// SetBoot tells the override in one way. A way that is not for this wish is
// bmc.ErrUnsupported.
func (d *driver) SetBoot(ctx context.Context, want bmc.Boot, way bmc.Way) error {
	if devices(want.Device) == nil {
		return fmt.Errorf("boot device %q is not known", want.Device)
	}
	d.settings, d.ordered = false, false
	switch way.Name {
	case wayStandard:
		return d.patchBoot(ctx, want, phrase{})
	case wayMinimal:
		return d.patchBoot(ctx, want, phrase{mode: recipe.ModeForbidden, none: true})
	case wayMode:
		if want.Mode != bmc.ModeKeep {
			return notForThis(way, "the mode was in the request")
		}
		return d.patchBoot(ctx, want, phrase{mode: recipe.ModeRequired})
	case waySettings:
		return d.patchSettings(ctx, want, phrase{})
	case wayOrder:
		return d.reorder(ctx, want, way)
	case wayBmclib:
		return d.bmclibBoot(ctx, want)
	case wayContinuous:
		if want.Persistent || want.Device == bmc.DeviceNone {
			return notForThis(way, "it is for once")
		}
		return d.patchBoot(ctx, want, phrase{continuous: true})
	}
	for _, w := range d.recipes() {
		if w.Name == way.Name {
			return d.follow(ctx, want, way, w)
		}
	}
	return fmt.Errorf("way %q is not known: %w", way.Name, bmc.ErrUnsupported)
}

func notForThis(way bmc.Way, reason string) error {
	return bmc.NotMeant{Way: way.Name, Reason: reason}
}

// follow does what a recipe says.
func (d *driver) follow(ctx context.Context, want bmc.Boot, way bmc.Way, w recipe.Way) error {
	if !w.Serves(string(want.Device), want.Persistent) {
		return notForThis(way, "it is for another device or duration")
	}
	p := phrase{mode: w.Mode, targets: w.Targets}
	switch w.Kind {
	case recipe.KindPatch:
		return d.patchBoot(ctx, want, p)
	case recipe.KindSettings:
		return d.patchSettings(ctx, want, p)
	case recipe.KindOrder:
		return d.reorder(ctx, want, way)
	case recipe.KindAttributes:
		if err := d.SetFirmware(ctx, fill(w, want)); err != nil {
			return err
		}
		p.urlless = true
		return d.patchBoot(ctx, want, p)
	case recipe.KindManager:
		return d.patchManager(ctx, fill(w, want))
	}
	return notForThis(way, "it is not for Redfish")
}

// fill puts the wish into the attributes of a recipe.
func fill(w recipe.Way, want bmc.Boot) map[string]any {
	once := "Enabled"
	if want.Persistent {
		once = "Disabled"
	}
	r := strings.NewReplacer("{url}", want.URL, "{device}", w.Values[string(want.Device)], "{once}", once)
	out := map[string]any{}
	for name, value := range w.Attributes {
		out[name] = r.Replace(value)
	}
	return out
}

// patchBoot tells the override to the system itself.
func (d *driver) patchBoot(ctx context.Context, want bmc.Boot, p phrase) error {
	s, err := d.system(ctx)
	if err != nil {
		return err
	}
	body, err := p.body(want, s.Boot)
	if err != nil {
		return err
	}
	return d.patch(ctx, d.found.system, body)
}

// patchSettings tells it to the resource where firmware of AMI's (ASRock,
// Gigabyte, some of Lenovo's) wants it.
func (d *driver) patchSettings(ctx context.Context, want bmc.Boot, p phrase) error {
	s, err := d.system(ctx)
	if err != nil {
		return err
	}
	path := s.Settings.SettingsObject.String()
	if path == "" {
		return fmt.Errorf("the system has no settings resource: %w", bmc.ErrUnsupported)
	}
	body, err := p.body(want, s.Boot)
	if err != nil {
		return err
	}
	if err := d.patch(ctx, path, body); err != nil {
		return err
	}
	d.settings = true
	return nil
}

// body is {"Boot": …} with no more in it than is asked for: firmware refuses
// a whole request for one member that it cannot write.
func (p phrase) body(want bmc.Boot, has boot) (map[string]any, error) {
	enabled := p.enabled(want)
	if want.Device != bmc.DeviceNone && len(has.EnabledKinds) > 0 && !slices.Contains(has.EnabledKinds, enabled) {
		return nil, fmt.Errorf("%s is none of what the BMC allows (%s): %w", enabled, strings.Join(has.EnabledKinds, ", "), bmc.ErrUnsupported)
	}
	b := map[string]any{"BootSourceOverrideEnabled": enabled}
	if want.Device != bmc.DeviceNone || p.none {
		target, err := p.target(want.Device, has.targets())
		if err != nil {
			return nil, err
		}
		b["BootSourceOverrideTarget"] = target
	}
	if mode := p.modeOf(want, has); mode != "" {
		b["BootSourceOverrideMode"] = mode
	}
	if want.Device == bmc.DeviceHTTP && want.URL != "" && !p.urlless {
		b["HttpBootUri"] = want.URL
	}
	return map[string]any{"Boot": b}, nil
}

func (p phrase) enabled(want bmc.Boot) string {
	switch {
	case want.Device == bmc.DeviceNone:
		return "Disabled"
	case want.Persistent || p.continuous:
		return "Continuous"
	}
	return "Once"
}

func (p phrase) target(want bmc.Device, allowed []string) (string, error) {
	if t := p.targets[string(want)]; t != "" {
		return t, nil
	}
	names := devices(want)
	if len(allowed) == 0 {
		return names[0], nil
	}
	for _, n := range names {
		// As the service spells it, whatever the case.
		if i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, n) }); i >= 0 {
			return allowed[i], nil
		}
	}
	return "", fmt.Errorf("boot device %s is none of what the BMC allows (%s): %w", want, strings.Join(allowed, ", "), bmc.ErrUnsupported)
}

func (p phrase) modeOf(want bmc.Boot, has boot) string {
	switch {
	case p.mode == recipe.ModeForbidden:
		return ""
	case want.Mode == bmc.ModeUEFI:
		return "UEFI"
	case want.Mode == bmc.ModeBIOS:
		return "Legacy"
	case p.mode == recipe.ModeRequired && has.Mode != "":
		return has.Mode
	case p.mode == recipe.ModeRequired:
		return "UEFI"
	}
	return ""
}

// reorder puts the boot options of the device in front, and leaves the order
// among the others.
func (d *driver) reorder(ctx context.Context, want bmc.Boot, way bmc.Way) error {
	if !want.Persistent {
		return notForThis(way, "it is for good")
	}
	s, err := d.system(ctx)
	if err != nil {
		return err
	}
	if _, err := d.order(ctx, s); err != nil {
		return err
	}
	var front, rest []string
	for _, reference := range s.Boot.BootOrder {
		if o, ok := d.option(reference); ok && o.is(want.Device) {
			front = append(front, reference)
		} else {
			rest = append(rest, reference)
		}
	}
	if len(front) == 0 {
		return fmt.Errorf("no boot option is for %s: %w", want.Device, bmc.ErrUnsupported)
	}
	path := d.found.system
	waiting, err := d.waiting(ctx, s)
	if err != nil {
		return err
	}
	if len(waiting.BootOrder) > 0 {
		path = s.Settings.SettingsObject.String() // Lenovo and Dell want it there
	}
	if err := d.patch(ctx, path, map[string]any{"Boot": map[string]any{"BootOrder": append(front, rest...)}}); err != nil {
		return err
	}
	d.ordered = true
	return nil
}

func (d *driver) option(reference string) (bootOption, bool) {
	for _, o := range d.names {
		if o.BootOptionReference == reference {
			return o, true
		}
	}
	return bootOption{}, false
}

// first is what the boot order begins with, as a persistent override.
func (d *driver) first(order []string) bmc.Device {
	if len(order) == 0 {
		return bmc.DeviceNone
	}
	o, _ := d.option(order[0])
	for _, device := range []bmc.Device{bmc.DeviceHTTP, bmc.DevicePXE, bmc.DeviceCD, bmc.DeviceDisk} {
		if o.is(device) {
			return device
		}
	}
	return bmc.DeviceNone
}

// patchManager sets attributes of the BMC itself, where Dell has the first
// boot device.
func (d *driver) patchManager(ctx context.Context, attributes map[string]any) error {
	s, err := d.system(ctx)
	if err != nil {
		return err
	}
	if _, err := d.manager(ctx, s); err != nil {
		return err
	}
	var m struct {
		Links struct {
			Oem struct {
				Dell struct{ DellAttributes []common.Link }
			}
		}
	}
	if _, err := d.get(ctx, d.found.manager, &m); err != nil {
		return fmt.Errorf("reading the manager: %w", err)
	}
	if len(m.Links.Oem.Dell.DellAttributes) == 0 {
		return fmt.Errorf("the manager links no attributes: %w", bmc.ErrUnsupported)
	}
	return d.patch(ctx, m.Links.Oem.Dell.DellAttributes[0].String(), map[string]any{"Attributes": attributes})
}
