package redfish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// links are the resources of the machine, by their paths.
type links struct {
	system  string
	manager string // empty until it was looked for
}

type health struct {
	Health       string
	HealthRollup string
	State        string
}

// worst is what the resource and its parts are together.
func (h health) worst() string {
	if h.HealthRollup != "" {
		return h.HealthRollup
	}
	return h.Health
}

// system is ComputerSystem as far as the driver reads it.
type system struct {
	Path         string `json:"@odata.id"`
	Name         string
	Manufacturer string
	Model        string
	SerialNumber string
	SKU          string
	UUID         string
	SystemType   string
	BiosVersion  string
	PowerState   string
	Status       health
	Boot         boot

	LastResetTime string
	BootProgress  struct {
		LastState     string
		LastStateTime string
	}

	ProcessorSummary struct {
		Count                 int
		Model                 string
		CoreCount             int
		LogicalProcessorCount int
		Status                health
	}
	MemorySummary struct {
		TotalSystemMemoryGiB float64
		Status               health
	}

	Bios               common.Link
	Processors         common.Link
	Memory             common.Link
	EthernetInterfaces common.Link
	NetworkInterfaces  common.Link
	SimpleStorage      common.Link
	Storage            common.Link
	VirtualMedia       common.Link
	Settings           settingsLink `json:"@Redfish.Settings"`

	Links struct {
		Chassis   pointers
		ManagedBy pointers
	}
	Actions struct {
		Reset    action `json:"#ComputerSystem.Reset"`
		Original action `json:"#System.Reset"` // of Redfish 1.0.0 (Cisco CIMC 3.0)
	}
}

// reset is the action, under the name that the service has for it.
func (s system) reset() action {
	if s.Actions.Reset.Target == "" {
		return s.Actions.Original
	}
	return s.Actions.Reset
}

// pointers are links to resources. Cisco CIMC 3.0 has strings in place of
// objects.
type pointers []string

// UnmarshalJSON takes objects and strings.
func (p *pointers) UnmarshalJSON(b []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(b, &items); err != nil {
		return err
	}
	*p = nil
	for _, raw := range items {
		var link common.Link
		var path string
		if json.Unmarshal(raw, &path) != nil && json.Unmarshal(raw, &link) == nil {
			path = link.String()
		}
		if path != "" {
			*p = append(*p, path)
		}
	}
	return nil
}

type settingsLink struct {
	SettingsObject      common.Link
	SupportedApplyTimes []string
}

type action struct {
	Target     string `json:"target"`
	ActionInfo string `json:"@Redfish.ActionInfo"`
	ResetTypes []string
	Transfer   []string
}

// UnmarshalJSON takes the parameters' allowable values, the names of which
// have an at sign in them.
func (a *action) UnmarshalJSON(b []byte) error {
	var t struct {
		Target     string   `json:"target"`
		ActionInfo string   `json:"@Redfish.ActionInfo"`
		ResetTypes []string `json:"ResetType@Redfish.AllowableValues"`
		Transfer   []string `json:"TransferProtocolType@Redfish.AllowableValues"`
	}
	if err := decode(b, &t); err != nil {
		return err
	}
	*a = action{Target: t.Target, ActionInfo: t.ActionInfo, ResetTypes: t.ResetTypes, Transfer: t.Transfer}
	return nil
}

type manager struct {
	FirmwareVersion string
	Model           string
	Status          health
	VirtualMedia    common.Link
	Links           struct {
		ManagerForServers []common.Link
	}
}

// findSystem finds the one system that power orders are for. A BMC of
// several (a chassis of blades, an emulator with a few virtual machines) is
// not guessed at.
func (d *driver) findSystem(ctx context.Context) error {
	paths, err := d.members(ctx, d.root.Systems.String())
	if err != nil {
		return fmt.Errorf("listing the systems: %w", err)
	}
	d.alone = len(paths) == 1
	if d.wanted != "" {
		return d.findWanted(ctx, paths)
	}
	if len(paths) > 1 {
		return d.chooseSystem(ctx, paths)
	}
	if len(paths) == 0 {
		return fmt.Errorf("the BMC lists no system: %w", bmc.ErrUnsupported)
	}
	d.found.system = paths[0]
	return nil
}

// findWanted finds the system of the address. An emulator may answer to the
// name of a virtual machine as well, and say which of its systems that is.
func (d *driver) findWanted(ctx context.Context, paths []string) error {
	is := func(path string) bool {
		i := slices.IndexFunc(paths, func(p string) bool { return same(p, path) })
		if i >= 0 {
			d.found.system = paths[i]
		}
		return i >= 0
	}
	if is(d.wanted) {
		return nil
	}
	var s system
	if _, err := d.get(ctx, d.wanted, &s); err == nil && is(s.Path) {
		return nil
	}
	return fmt.Errorf("the BMC has no system %s, but %s", d.wanted, strings.Join(paths, " "))
}

// chooseSystem takes the one that the plan means, or the only one that is a
// machine: a DPU or a partition beside it is none.
func (d *driver) chooseSystem(ctx context.Context, paths []string) error {
	var machines, names []string
	for _, p := range paths {
		var s system
		_, err := d.get(ctx, p, &s)
		if err == nil && d.isMeant(s) {
			d.found.system = p
			return nil
		}
		if err == nil && s.SystemType != "" && s.SystemType != "Physical" {
			continue
		}
		machines = append(machines, p)
		// Virtual machines have a name and no serial number.
		names = append(names, strings.TrimSpace(d.base+local(p)+" "+cmp.Or(strings.TrimSpace(s.SerialNumber), s.Name)))
	}
	switch len(machines) {
	case 0:
		return fmt.Errorf("none of the BMC's %d systems is a physical one: name one, as in %s%s", len(paths), d.base, local(paths[0]))
	case 1:
		d.found.system = machines[0]
		return nil
	}
	const most = 16
	if len(names) > most {
		names = append(names[:most], "…")
	}
	if d.target.Serial != "" {
		return fmt.Errorf("none of the BMC's %d systems has the plan's serial number %s: correct it, or name one in the address: %s", len(machines), d.target.Serial, strings.Join(names, ", "))
	}
	return fmt.Errorf("the BMC has %d systems: name one in its address, or give the machine its serial in the plan: %s", len(machines), strings.Join(names, ", "))
}

// isMeant compares with what the plan says of the machine. Firmware writes
// UUIDs in either byte order, so another one says nothing.
func (d *driver) isMeant(s system) bool {
	serial := strings.TrimSpace(s.SerialNumber)
	return d.target.Serial != "" && strings.EqualFold(d.target.Serial, serial) || d.target.UUID != "" && strings.EqualFold(d.target.UUID, s.UUID)
}

// same compares links, which are paths or whole URLs, with a slash at the end
// or without.
func same(a, b string) bool {
	return strings.TrimRight(local(a), "/") == strings.TrimRight(local(b), "/")
}

// glance is the system as it was when the driver looked who it is.
type glance struct {
	system system
	at     time.Time
}

// fresh is how long a glance is as good as a look.
const fresh = time.Second

func (d *driver) system(ctx context.Context) (system, error) {
	if seen := d.seen; seen != nil {
		d.seen = nil
		if ctx.Err() == nil && time.Since(seen.at) < fresh {
			return seen.system, nil
		}
	}
	var s system
	if _, err := d.get(ctx, d.found.system, &s); err != nil {
		return s, fmt.Errorf("reading the system: %w", err)
	}
	if s.Manufacturer != "" || s.Model != "" {
		d.known.Manufacturer, d.known.Model = strings.TrimSpace(s.Manufacturer), strings.TrimSpace(s.Model)
	}
	return s, nil
}

// identify learns the make, which decides the recipes, and the firmware if
// one of them asks for it.
func (d *driver) identify(ctx context.Context) error {
	s, err := d.system(ctx)
	if err != nil {
		return err
	}
	if s.Manufacturer == "" && d.known.Manufacturer == "" {
		d.known.Manufacturer = d.root.Vendor
	}
	if d.known.Firmware == "" && d.options.Recipes.AsksFirmware(d.machine()) {
		if _, err := d.manager(ctx, s); err != nil && !errors.Is(err, bmc.ErrUnsupported) {
			return err
		}
	}
	d.seen = &glance{system: s, at: time.Now()}
	return nil
}

func (d *driver) manager(ctx context.Context, s system) (manager, error) {
	var m manager
	if d.found.manager == "" {
		path, err := d.findManager(ctx, s)
		if err != nil {
			return m, err
		}
		d.found.manager = path
	}
	if _, err := d.get(ctx, d.found.manager, &m); err != nil {
		return m, fmt.Errorf("reading the manager: %w", err)
	}
	if m.FirmwareVersion != "" {
		d.known.Firmware = m.FirmwareVersion
	}
	return m, nil
}

func (d *driver) findManager(ctx context.Context, s system) (string, error) {
	if len(s.Links.ManagedBy) > 0 {
		return s.Links.ManagedBy[0], nil
	}
	paths, err := d.members(ctx, d.root.Managers.String())
	if err != nil {
		return "", fmt.Errorf("listing the managers: %w", err)
	}
	for _, p := range paths {
		var m manager
		if _, err := d.get(ctx, p, &m); err != nil {
			return "", fmt.Errorf("reading the manager: %w", err)
		}
		for _, l := range m.Links.ManagerForServers {
			if same(l.String(), d.found.system) {
				return p, nil
			}
		}
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("the BMC lists no manager: %w", bmc.ErrUnsupported)
	}
	return paths[0], nil
}

// each reads the members of a collection, in one request where the service
// says that it can.
func each[T any](ctx context.Context, d *driver, path string) ([]T, error) {
	if path == "" {
		return nil, nil
	}
	if d.root.ProtocolFeaturesSupported.ExpandQuery.NoLinks {
		if items, ok := expanded[T](ctx, d, path); ok {
			return items, nil
		}
	}
	paths, err := d.members(ctx, path)
	if err != nil {
		return nil, err
	}
	items := make([]T, 0, len(paths))
	for _, p := range paths {
		var item T
		if _, err := d.get(ctx, p, &item); err != nil {
			return items, err
		}
		items = append(items, item)
	}
	return items, nil
}

// expanded is a collection with its members in it (DSP0266, $expand). A
// service that answers with links after all, or with the first page only, has
// not done it.
func expanded[T any](ctx context.Context, d *driver, path string) ([]T, bool) {
	var page struct {
		Members []json.RawMessage
		Next    string `json:"Members@odata.nextLink"`
	}
	if _, err := d.get(ctx, path+"?$expand=.($levels=1)", &page); err != nil || page.Next != "" {
		return nil, false
	}
	items := make([]T, len(page.Members))
	for i, raw := range page.Members {
		var keys map[string]json.RawMessage
		if json.Unmarshal(raw, &keys) != nil || len(keys) < 2 || decode(raw, &items[i]) != nil {
			return nil, false
		}
	}
	return items, true
}
