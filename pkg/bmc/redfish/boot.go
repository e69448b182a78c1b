package redfish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// boot is ComputerSystem.Boot.
type boot struct {
	Enabled      string `json:"BootSourceOverrideEnabled"`
	Target       string `json:"BootSourceOverrideTarget"`
	Mode         string `json:"BootSourceOverrideMode"`
	HTTPBootURI  string `json:"HttpBootUri"`
	BootOrder    []string
	BootOptions  common.Link
	Targets      []string `json:"BootSourceOverrideTarget@Redfish.AllowableValues"`
	EnabledKinds []string `json:"BootSourceOverrideEnabled@Redfish.AllowableValues"`
	Supported    []string `json:"BootSourceOverrideSupported"` // in place of Targets, in iLO 4
}

// targets are what the BMC allows; none if it does not say.
func (b boot) targets() []string {
	if len(b.Targets) == 0 {
		return b.Supported
	}
	return b.Targets
}

// silent is a BMC that shows nothing of a boot device (IBM's OpenBMC).
func (b boot) silent() bool {
	return b.Enabled == "" && b.Target == "" && len(b.targets()) == 0 && len(b.BootOrder) == 0
}

// devices are Redfish's names for the devices, the best first.
func devices(d bmc.Device) []string {
	switch d {
	case bmc.DeviceNone:
		return []string{"None"}
	case bmc.DevicePXE:
		return []string{"Pxe"}
	case bmc.DeviceHTTP:
		return []string{"UefiHttp"}
	case bmc.DeviceDisk:
		return []string{"Hdd"}
	case bmc.DeviceCD:
		return []string{"Cd", "UsbCd"} // UsbCd is Supermicro's for its virtual one
	case bmc.DeviceBIOS:
		return []string{"BiosSetup"}
	}
	return nil
}

func device(target string) bmc.Device {
	for _, d := range []bmc.Device{bmc.DeviceNone, bmc.DevicePXE, bmc.DeviceHTTP, bmc.DeviceDisk, bmc.DeviceCD, bmc.DeviceBIOS} {
		if slices.ContainsFunc(devices(d), func(name string) bool { return strings.EqualFold(name, target) }) {
			return d
		}
	}
	// It is said as it is: a stranger is not "no override".
	return bmc.Device(strings.ToLower(target))
}

func (b boot) override() bmc.Boot {
	out := bmc.Boot{Device: bmc.DeviceNone}
	switch b.Mode {
	case "UEFI":
		out.Mode = bmc.ModeUEFI
	case "Legacy":
		out.Mode = bmc.ModeBIOS
	}
	if b.Target == "" || b.Enabled == "" || b.Enabled == "Disabled" {
		return out
	}
	out.Device = device(b.Target)
	if out.Device == bmc.DeviceNone {
		return out
	}
	out.Persistent = b.Enabled == "Continuous"
	if out.Device == bmc.DeviceHTTP {
		out.URL = b.HTTPBootURI
	}
	return out
}

// Boot reads the override: the system's, or the one that waits in its
// settings resource, where firmware of AMI's keeps it until the next boot.
func (d *driver) Boot(ctx context.Context) (bmc.Boot, error) {
	s, err := d.system(ctx)
	if err != nil {
		return bmc.Boot{}, err
	}
	out := s.Boot.override()
	var waiting boot
	if out.Device == bmc.DeviceNone || d.settings {
		if waiting, err = d.waiting(ctx, s); err != nil {
			return out, err
		}
		if s.Boot.silent() && waiting.silent() {
			return out, fmt.Errorf("the system shows no boot override and no boot order: %w", bmc.ErrUnsupported)
		}
		if w := waiting.override(); w.Device != bmc.DeviceNone || d.settings && waiting.Enabled != "" {
			out = w
		}
	}
	if out.Order, err = d.order(ctx, s); err != nil {
		return out, err
	}
	order := s.Boot.BootOrder
	if len(waiting.BootOrder) > 0 {
		order = waiting.BootOrder
	}
	if device := d.first(order); d.ordered && out.Device == bmc.DeviceNone && device != bmc.DeviceNone {
		out.Device, out.Persistent = device, true
	}
	return out, nil
}

// waiting is Boot of the settings resource; nothing if there is none.
func (d *driver) waiting(ctx context.Context, s system) (boot, error) {
	path := s.Settings.SettingsObject.String()
	if path == "" {
		return boot{}, nil
	}
	var later system
	if _, err := d.get(ctx, path, &later); err != nil && !errors.Is(err, bmc.ErrUnsupported) {
		return boot{}, fmt.Errorf("reading the pending settings of the system: %w", err)
	}
	return later.Boot, nil
}

// order is the firmware's list under the names that people know.
func (d *driver) order(ctx context.Context, s system) ([]string, error) {
	if len(s.Boot.BootOrder) == 0 {
		return nil, nil
	}
	if d.names == nil {
		options, err := each[bootOption](ctx, d, s.Boot.BootOptions.String())
		if err != nil && !errors.Is(err, bmc.ErrUnsupported) {
			return nil, fmt.Errorf("reading the boot options: %w", err)
		}
		d.names = options
		if d.names == nil {
			d.names = []bootOption{}
		}
	}
	out := make([]string, len(s.Boot.BootOrder))
	for i, reference := range s.Boot.BootOrder {
		out[i] = reference
		for _, o := range d.names {
			if o.BootOptionReference == reference && o.DisplayName != "" {
				out[i] = o.DisplayName
			}
		}
	}
	return out, nil
}

type bootOption struct {
	BootOptionReference string
	DisplayName         string
	Alias               string // a BootSourceOverrideTarget, where the service knows
	UefiDevicePath      string
	BootOptionEnabled   *bool
}

// is reports whether the option boots from the device: as the service says,
// or as its UEFI device path shows (UEFI 2.10, section 10.3).
func (o bootOption) is(want bmc.Device) bool {
	if o.Alias != "" && device(o.Alias) == want {
		return true
	}
	path, name := strings.ToLower(o.UefiDevicePath), strings.ToLower(o.DisplayName)
	network := strings.Contains(path, "mac(") || strings.Contains(name, "pxe") || strings.Contains(name, "network")
	http := strings.Contains(path, "uri(") || strings.Contains(name, "http")
	switch want {
	case bmc.DevicePXE:
		return network && !http
	case bmc.DeviceHTTP:
		return http
	case bmc.DeviceCD:
		return strings.Contains(path, "cdrom(") || strings.Contains(name, "cd/dvd") || strings.Contains(name, "cdrom")
	case bmc.DeviceDisk:
		return !network && !http && (strings.Contains(path, "hd(") || strings.Contains(path, "nvme(") || strings.Contains(path, "sata(") || strings.Contains(path, "scsi("))
	}
	return false
}
