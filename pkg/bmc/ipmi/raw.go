package ipmi

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

// raws are the ways of recipes that send IPMI requests.
func (d *driver) raws() []recipe.Way {
	machine := recipe.Machine{Manufacturer: d.known.Manufacturer, Model: d.known.Model, Firmware: d.known.Firmware}
	book, err := d.options.recipes()
	if err != nil {
		return nil // a test reads the built-in ones; the standard's ways remain
	}
	var ways []recipe.Way
	for _, w := range book.Boot(machine) {
		if w.Kind == recipe.KindRaw {
			ways = append(ways, w)
		}
	}
	return ways
}

func (s *session) setRaw(ctx context.Context, want bmc.Boot, way recipe.Way) error {
	if !way.Serves(string(want.Device), want.Persistent) {
		return fmt.Errorf("%s, %s: %w", way.Name, want, bmc.ErrUnsupported)
	}
	for _, text := range way.Raw {
		request, err := parseRaw(fill(text, want, way))
		if err != nil {
			return fmt.Errorf("recipe %s: %w", way.Name, err)
		}
		if flags, ok := bootFlags(request); ok && want.Mode != bmc.ModeKeep && (want.Mode == bmc.ModeUEFI) != (flags[0]&flagEFI != 0) {
			return fmt.Errorf("%s, %s: %w", way.Name, want, bmc.ErrUnsupported)
		}
		if err := s.do(ctx, request, &client.CommandRawResponse{}); err != nil {
			return fmt.Errorf("recipe %s: %w", way.Name, err)
		}
	}
	return nil
}

// bootFlags are what a request sets boot option parameter 5 to.
func bootFlags(r *client.CommandRawRequest) ([]byte, bool) {
	const setSystemBootOptions = 0x08
	if r.NetFn != types.NetFnChassisRequest || r.Cmd != setSystemBootOptions || len(r.Data) < 3 || r.Data[0] != byte(parameterFlags) {
		return nil, false
	}
	return r.Data[1:], true
}

// standard spells boot flags as the standard does where a recipe says that
// the maker has a selector of its own for a device.
func (d *driver) standard(flags []byte) []byte {
	if len(flags) < 2 || slices.Contains(slices.Collect(maps.Values(selectors)), flags[1]>>2&0x0f) {
		return flags
	}
	for _, w := range d.raws() {
		for _, text := range w.Raw {
			for _, device := range w.Devices {
				request, err := parseRaw(fill(text, bmc.Boot{Device: bmc.Device(device)}, w))
				if err != nil {
					continue
				}
				if own, ok := bootFlags(request); ok && (own[1]^flags[1])&0x3c == 0 {
					spelled := slices.Clone(flags)
					spelled[1] = flags[1]&^0x3c | selectors[bmc.Device(device)]<<2
					return spelled
				}
			}
		}
	}
	return flags
}

// fill puts what is wanted into a recipe's request: {device} is the recipe's
// word for it.
func fill(text string, want bmc.Boot, way recipe.Way) string {
	return strings.ReplaceAll(text, "{device}", way.Values[string(want.Device)])
}

// parseRaw reads network function, command and data in hexadecimal, each with
// or without 0x: "0x00 0x08 0x05 0xe0 0x24 0x00 0x00 0x00".
func parseRaw(text string) (*client.CommandRawRequest, error) {
	var p []byte
	for _, field := range strings.Fields(text) {
		digits := strings.TrimPrefix(strings.ToLower(field), "0x")
		if len(digits) == 1 {
			digits = "0" + digits
		}
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) != 1 {
			return nil, fmt.Errorf("%q is not a byte in hexadecimal", field)
		}
		p = append(p, b...)
	}
	if len(p) < 2 || p[0] > 0x3f || p[0]%2 != 0 {
		return nil, fmt.Errorf("%q is not a network function of a request and a command", text)
	}
	return &client.CommandRawRequest{NetFn: types.NetFn(p[0]), Cmd: p[1], Data: p[2:], Name: "raw request"}, nil
}
