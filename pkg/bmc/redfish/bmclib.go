package redfish

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	provider "github.com/bmc-toolbox/bmclib/v2/providers/redfish"
	"github.com/go-logr/logr"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// bmclibBoot has bmclib tell the override: it sends the whole Boot object
// back, which is what some firmware was tested with. It logs in by itself, so
// it is opened when it is its turn and closed at once; it is given our
// transport, or it would verify no certificate.
func (d *driver) bmclibBoot(ctx context.Context, want bmc.Boot) error {
	name, ok := map[bmc.Device]string{
		bmc.DeviceNone: "none", bmc.DevicePXE: "pxe", bmc.DeviceDisk: "disk", bmc.DeviceCD: "cdrom", bmc.DeviceBIOS: "bios",
	}[want.Device]
	switch {
	case !ok:
		return fmt.Errorf("bmclib has no boot device %s: %w", want.Device, bmc.ErrUnsupported)
	case d.session == "":
		return fmt.Errorf("bmclib needs sessions: %w", bmc.ErrUnsupported)
	case len(d.root.Oem.Huawei) > 0:
		return fmt.Errorf("bmclib cannot log in to an iBMC, which would count it as a wrong password: %w", bmc.ErrUnsupported)
	case !d.alone:
		return fmt.Errorf("bmclib would set every system of the BMC: %w", bmc.ErrUnsupported)
	}
	s, err := d.system(ctx)
	if err != nil {
		return err
	}
	efi := want.Mode == bmc.ModeUEFI || want.Mode == bmc.ModeKeep && s.Boot.Mode != "Legacy"

	carry := &carrier{next: d.transport, timeout: d.options.Timeout}
	conn := provider.New(d.base, d.target.Username, d.target.Password.Reveal(), logr.Discard(), provider.WithPort(""),
		provider.WithHttpClient(&http.Client{Transport: carry, CheckRedirect: notElsewhere}))
	defer func() {
		leave, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.options.Timeout)
		defer cancel()
		_ = carry.during(leave, func() error { return conn.Close(leave) })
	}()
	err = carry.during(ctx, func() error {
		if err := conn.Open(ctx); err != nil {
			return err
		}
		done, err := conn.BootDeviceSet(ctx, name, want.Persistent, efi)
		if err == nil && !done {
			return errors.New("bmclib did not do it")
		}
		return err
	})
	return d.fault(ctx, "bmclib", name, err)
}
