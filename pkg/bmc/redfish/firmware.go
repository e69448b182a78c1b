package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
)

type bios struct {
	Attributes map[string]any
	Settings   settingsLink `json:"@Redfish.Settings"`
}

// Firmware reads the BIOS attributes, and those that are to change at the
// next reset: what the settings resource has otherwise, for some firmware
// shows all of them there.
func (d *driver) Firmware(ctx context.Context) (bmc.FirmwareSettings, error) {
	_, b, err := d.bios(ctx)
	if err != nil {
		return bmc.FirmwareSettings{}, err
	}
	out := bmc.FirmwareSettings{Current: b.Attributes}
	path := b.Settings.SettingsObject.String()
	if path == "" {
		return out, nil
	}
	var waiting bios
	if _, err := d.get(ctx, path, &waiting); err != nil && !errors.Is(err, bmc.ErrUnsupported) {
		return out, fmt.Errorf("reading the pending BIOS settings: %w", err)
	}
	for name, value := range waiting.Attributes {
		if !reflect.DeepEqual(value, b.Attributes[name]) {
			if out.Pending == nil {
				out.Pending = map[string]any{}
			}
			out.Pending[name] = value
		}
	}
	return out, nil
}

func (d *driver) bios(ctx context.Context) (path string, b bios, err error) {
	s, err := d.system(ctx)
	if err != nil {
		return "", b, err
	}
	path = s.Bios.String()
	if path == "" {
		return "", b, fmt.Errorf("the system shows no BIOS settings: %w", bmc.ErrUnsupported)
	}
	if _, err := d.get(ctx, path, &b); err != nil {
		return "", b, fmt.Errorf("reading the BIOS settings: %w", err)
	}
	if b.Attributes == nil {
		return "", b, fmt.Errorf("the BIOS resource has no attributes: %w", bmc.ErrUnsupported)
	}
	if b.Settings.SettingsObject == "" {
		b.Settings.SettingsObject, err = d.unlinked(ctx, path)
	}
	return path, b, err
}

// unlinked is the settings resource of AMI's firmware that Gigabyte's boards
// do not link to (community.general issue 6433); empty if there is none. It is
// believed if it says that it is the one.
func (d *driver) unlinked(ctx context.Context, bios string) (common.Link, error) {
	path := strings.TrimRight(local(bios), "/") + "/SD"
	var there struct {
		Path string `json:"@odata.id"`
	}
	_, err := d.get(ctx, path, &there)
	switch {
	case err == nil && same(there.Path, path):
		return common.Link(path), nil
	case err == nil || status(err) >= 400 && status(err) < 500 && status(err) != http.StatusUnauthorized:
		return "", nil
	}
	return "", fmt.Errorf("looking for pending BIOS settings: %w", err)
}

// SetFirmware asks for attributes at the next reset. Values are made of the
// type that the attribute has; one that the machine does not have is an
// error before anything is sent.
func (d *driver) SetFirmware(ctx context.Context, want map[string]any) error {
	path, b, err := d.bios(ctx)
	if err != nil {
		return err
	}
	changes, err := typed(want, b.Attributes)
	if err != nil {
		return err
	}
	if to := b.Settings.SettingsObject.String(); to != "" {
		path = to
		var waiting bios
		if _, err := d.get(ctx, path, &waiting); err != nil {
			return fmt.Errorf("reading the pending BIOS settings: %w", err)
		}
		// What waits for the reset already, or is so and is not about to
		// change, is not said again: a job that is queued refuses it.
		maps.DeleteFunc(changes, func(name string, value any) bool {
			if pending, ok := waiting.Attributes[name]; ok {
				return reflect.DeepEqual(pending, value)
			}
			return reflect.DeepEqual(b.Attributes[name], value)
		})
	}
	if len(changes) == 0 {
		return nil
	}
	return d.patchBIOS(ctx, path, changes, b.Settings.SupportedApplyTimes)
}

func (d *driver) patchBIOS(ctx context.Context, path string, changes map[string]any, times []string) error {
	body := map[string]any{"Attributes": changes}
	if slices.Contains(times, "OnReset") {
		body["@Redfish.SettingsApplyTime"] = map[string]any{
			"@odata.type": "#Settings.v1_1_0.PreferredApplyTime", "ApplyTime": "OnReset",
		}
	}
	err := d.patch(ctx, path, body)
	if len(body) > 1 && status(err) == http.StatusBadRequest {
		delete(body, "@Redfish.SettingsApplyTime")
		err = d.patch(ctx, path, body)
	}
	if errors.Is(err, errStillRunning) {
		return nil // it ends with the reset
	}
	if err != nil {
		return fmt.Errorf("asking for BIOS settings: %w", err)
	}
	return nil
}

// typed gives values the types of the attributes: an integer for an integer,
// a boolean for a boolean, however a plan has written them.
func typed(want, has map[string]any) (map[string]any, error) {
	out := map[string]any{}
	var unknown []string
	for name, value := range want {
		current, ok := has[name]
		if !ok {
			unknown = append(unknown, name)
			continue
		}
		v, err := like(value, current)
		if err != nil {
			return nil, fmt.Errorf("BIOS attribute %s: %w", name, err)
		}
		out[name] = v
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("the machine has no BIOS attribute %s: %w", strings.Join(unknown, ", "), bmc.ErrUnsupported)
	}
	return out, nil
}

func like(value, current any) (any, error) {
	// Through JSON, so that 1, int64(1) and 1.0 are the same thing, as they
	// will be on the wire.
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("it cannot be said in JSON: %w", err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	if current == nil || reflect.TypeOf(v) == reflect.TypeOf(current) {
		return v, nil
	}
	s := fmt.Sprint(value)
	switch current.(type) {
	case float64:
		if n, err := strconv.ParseFloat(s, 64); err == nil {
			return n, nil
		}
	case bool:
		if b, err := strconv.ParseBool(s); err == nil {
			return b, nil
		}
	case string:
		return s, nil
	}
	return nil, fmt.Errorf("it takes values like %v, not %v", current, value)
}
