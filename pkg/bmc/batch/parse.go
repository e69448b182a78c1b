package batch

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Parse gives the task that a verb and its arguments name. The arguments are
// what a durable job keeps, so they hold no secret:
//
//	power      status
//	power      off | soft [no-wait]
//	power      on | cycle | reset [no-wait | verify[=TIME]]
//	bootdev    get
//	bootdev    set DEVICE [once|persistent] [uefi|bios] [URL] [verify[=TIME]]
//	bios       get [NAME…]
//	bios       diff [NAME=VALUE…]
//	bios       set [reset] [NAME=VALUE…]
//	media      get | eject
//	media      insert URL|IMAGE [boot[=TIME]]
//	inventory
//	bmc        password generate|given
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
	case "bmc":
		return parseAccess(first, rest)
	default:
		return Task{}, fmt.Errorf("%q is not something to do with a BMC: power, bootdev, bios, media, inventory, bmc", verb)
	}
}

func parsePower(what string, rest []string) (Task, error) {
	actions := []bmc.PowerAction{bmc.ActionOn, bmc.ActionOff, bmc.ActionSoft, bmc.ActionCycle, bmc.ActionReset}
	action := bmc.PowerAction(what)
	var within time.Duration
	verify := false
	if slices.Contains(actions, action) && len(rest) == 1 && rest[0] == "no-wait" {
		return PowerOrder(action), nil
	}
	for _, word := range rest {
		var err error
		if within, verify, err = timed(word, "verify"); err != nil {
			return Task{}, err
		}
		if !verify || len(rest) > 1 || action == bmc.ActionOff || action == bmc.ActionSoft || what == "status" {
			return Task{}, fmt.Errorf("power %s takes no %q", what, word)
		}
	}
	switch {
	case what == "status":
		return PowerStatus(), nil
	case slices.Contains(actions, action) && verify:
		return PowerVerify(action, within), nil
	case slices.Contains(actions, action):
		return Power(action), nil
	default:
		return Task{}, fmt.Errorf("power is status, on, off, soft, cycle or reset, not %q", what)
	}
}

// timed reads word or word=TIME.
func timed(text, word string) (d time.Duration, is bool, err error) {
	if text == word {
		return 0, true, nil
	}
	value, ok := strings.CutPrefix(text, word+"=")
	if !ok {
		return 0, false, nil
	}
	d, err = time.ParseDuration(value)
	if err != nil || d <= 0 || d > longest {
		return 0, true, fmt.Errorf("%s takes a time such as 5m, of %s at most, not %q", word, longest, value)
	}
	return d, true, nil
}

// longest is how long a machine may be waited for: a job holds the only
// conversation with its BMC meanwhile.
const longest = 12 * time.Hour

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
	within, verify := time.Duration(0), false
	for _, word := range rest[1:] {
		d, is, err := timed(word, "verify")
		if err != nil {
			return Task{}, err
		}
		switch {
		case is && want.Device != bmc.DeviceNone:
			within, verify = d, true
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
	if verify {
		return BootVerify(want, within), nil
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
	wants := map[string]string{}
	reset := what == "set" && len(rest) > 0 && rest[0] == "reset"
	if reset {
		rest = rest[1:]
	}
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
	return BIOSSet(wants, reset), nil
}

func parseMedia(what string, rest []string) (Task, error) {
	switch {
	case what == "get" && len(rest) == 0:
		return MediaGet(), nil
	case what == "eject" && len(rest) == 0:
		return MediaEject(), nil
	case what == "insert" && len(rest) == 1:
		return MediaInsert(rest[0]), medium(rest[0])
	case what == "insert" && len(rest) == 2:
		limit, boot, err := timed(rest[1], "boot")
		if !boot {
			err = fmt.Errorf("media insert takes no %q", rest[1])
		}
		return MediaBoot(rest[0], limit), errors.Join(err, medium(rest[0]))
	default:
		return Task{}, errors.New("media is get, eject, or insert with a URL or the name of an image")
	}
}

// medium refuses what is neither a URL nor could be an image's name.
func medium(text string) error {
	if strings.Contains(text, "://") || strings.ContainsAny(text, "/@") || text == "" {
		return publicURL(text)
	}
	return nil
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

// parseAccess gives a task that whoever has a vault must equip: see
// PasswordRenew.
func parseAccess(what string, rest []string) (Task, error) {
	if what != "password" || len(rest) != 1 || rest[0] != "generate" && rest[0] != "given" {
		return Task{}, errors.New("bmc password is generate, or given")
	}
	return PasswordRenew(nil, nil), nil
}
