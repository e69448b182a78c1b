package batch

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Parse gives the task that a verb and its arguments name. The arguments are
// what a durable job keeps, so they hold no secret:
//
//	power      status | on | off | soft | cycle | reset
//	bootdev    get
//	bootdev    set DEVICE [once|persistent] [uefi|bios] [URL]
//	bios       get [NAME…]
//	bios       set|diff NAME=VALUE…
//	media      get | eject | insert URL
//	inventory
func Parse(verb string, args []string) (Task, error) {
	first, rest := "", []string(nil)
	if len(args) > 0 {
		first, rest = args[0], args[1:]
	}
	switch verb {
	case "power":
		return parsePower(first, rest)
	case "bootdev":
		return parseBoot(first, rest)
	case "bios":
		return parseBIOS(first, rest)
	case "media":
		return parseMedia(first, rest)
	case "inventory":
		if len(args) > 0 {
			return Task{}, fmt.Errorf("inventory takes no %q", first)
		}
		return Inventory(), nil
	default:
		return Task{}, fmt.Errorf("%q is not something to do with a BMC: power, bootdev, bios, media, inventory", verb)
	}
}

func parsePower(what string, rest []string) (Task, error) {
	actions := []bmc.PowerAction{bmc.ActionOn, bmc.ActionOff, bmc.ActionSoft, bmc.ActionCycle, bmc.ActionReset}
	switch {
	case len(rest) > 0:
		return Task{}, fmt.Errorf("power %s takes no %q", what, rest[0])
	case what == "status":
		return PowerStatus(), nil
	case slices.Contains(actions, bmc.PowerAction(what)):
		return Power(bmc.PowerAction(what)), nil
	default:
		return Task{}, fmt.Errorf("power is status, on, off, soft, cycle or reset, not %q", what)
	}
}

func parseBoot(what string, rest []string) (Task, error) {
	switch {
	case what == "get" && len(rest) == 0:
		return BootGet(), nil
	case what != "set" || len(rest) == 0:
		return Task{}, errors.New("bootdev is get, or set with pxe, http, disk, cd, bios or none")
	}
	devices := []bmc.Device{bmc.DeviceNone, bmc.DevicePXE, bmc.DeviceHTTP, bmc.DeviceDisk, bmc.DeviceCD, bmc.DeviceBIOS}
	want := bmc.Boot{Device: bmc.Device(rest[0])}
	if !slices.Contains(devices, want.Device) {
		return Task{}, fmt.Errorf("a boot device is pxe, http, disk, cd, bios or none, not %q", rest[0])
	}
	for _, word := range rest[1:] {
		switch {
		case word == "once":
		case word == "persistent":
			want.Persistent = true
		case word == string(bmc.ModeUEFI), word == string(bmc.ModeBIOS):
			want.Mode = bmc.BootMode(word)
		case strings.Contains(word, "://") && want.Device == bmc.DeviceHTTP:
			if err := publicURL(word); err != nil {
				return Task{}, err
			}
			want.URL = word
		default:
			return Task{}, fmt.Errorf("bootdev set %s takes no %q", want.Device, word)
		}
	}
	return BootSet(want), nil
}

func parseBIOS(what string, rest []string) (Task, error) {
	if what == "get" {
		return BIOSGet(rest), nil
	}
	if what != "set" && what != "diff" {
		return Task{}, errors.New("bios is get, set or diff")
	}
	if len(rest) == 0 {
		return Task{}, fmt.Errorf("bios %s needs what is wanted: NAME=VALUE, or virtualization=on", what)
	}
	wants := map[string]string{}
	for _, pair := range rest {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return Task{}, fmt.Errorf("%q is not NAME=VALUE", pair)
		}
		if strings.Contains(strings.ToLower(name), "password") {
			return Task{}, fmt.Errorf("%s is a password, which would be readable in the log: set it at the console", name)
		}
		if _, twice := wants[name]; twice {
			return Task{}, fmt.Errorf("%s is given twice", name)
		}
		wants[name] = value
	}
	if what == "diff" {
		return BIOSDiff(wants), nil
	}
	return BIOSSet(wants), nil
}

func parseMedia(what string, rest []string) (Task, error) {
	switch {
	case what == "get" && len(rest) == 0:
		return MediaGet(), nil
	case what == "eject" && len(rest) == 0:
		return MediaEject(), nil
	case what == "insert" && len(rest) == 1:
		return MediaInsert(rest[0]), publicURL(rest[0])
	default:
		return Task{}, errors.New("media is get, eject, or insert with a URL")
	}
}

// publicURL refuses what would put a password into the log.
func publicURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%q is not a URL such as http://10.20.0.5:8080/images/NAME", strings.SplitN(text, "@", 2)[0])
	case u.User != nil:
		return errors.New("a URL with a password in it would be readable in the log and on the BMC: serve the medium without one")
	default:
		return nil
	}
}
