package bmcsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	systemPath   = root + "/Systems/1"
	managerPath  = root + "/Managers/BMC"
	chassisPath  = root + "/Chassis/1U"
	settingsPath = systemPath + "/Settings"
	optionsPath  = systemPath + "/BootOptions"

	disabled   = "Disabled"
	once       = "Once"
	continuous = "Continuous"
)

// override is the Boot object of a ComputerSystem, under shorter names.
type override struct {
	Enabled, Target, Mode string
	Path                  string // UefiTargetBootSourceOverride
	Next                  string // BootNext
	URI                   string // HttpBootUri
	Order                 []string
}

// option is a BootOption.
type option struct {
	reference, alias, name, path string
}

func options(h Hardware) []option {
	list := []option{{"Boot0001", "Hdd", "Rackseed simulated disk", "HD(1,GPT,6A3F2D0E-0001-4B0B-9C1E-5EED00000001,0x800,0x100000)/\\EFI\\BOOT\\BOOTX64.EFI"}}
	for i, n := range h.NICs {
		mac := strings.ToUpper(strings.ReplaceAll(n.MAC.String(), ":", ""))
		list = append(list,
			option{fmt.Sprintf("Boot%04d", 10+i), "Pxe", "PXE IPv4 " + n.Name, fmt.Sprintf("PciRoot(0x0)/Pci(0x1C,0x%d)/MAC(%s,0x1)/IPv4(0.0.0.0)", i, mac)},
			option{fmt.Sprintf("Boot%04d", 20+i), "UefiHttp", "HTTP IPv4 " + n.Name, fmt.Sprintf("PciRoot(0x0)/Pci(0x1C,0x%d)/MAC(%s,0x1)/IPv4(0.0.0.0)/Uri()", i, mac)})
	}
	return append(list, option{"Boot0030", "Cd", "Virtual CD", "PciRoot(0x0)/Pci(0x14,0x0)/USB(0x1,0x0)/CDROM(0x0)"})
}

func references(h Hardware) []string {
	var names []string
	for _, o := range options(h) {
		names = append(names, o.reference)
	}
	return names
}

func (b *BMC) firstInOrder() string {
	if len(b.set.boot.Order) == 0 {
		return "Hdd"
	}
	return b.aliasOf("", b.set.boot.Order[0])
}

// aliasOf finds a boot option by its device path or reference.
func (b *BMC) aliasOf(path, reference string) string {
	for _, o := range options(b.config.Hardware) {
		if path != "" && o.path == path || path == "" && o.reference == reference {
			return o.alias
		}
	}
	return "Hdd"
}

func targets() []string {
	return []string{"None", "Pxe", "Hdd", "Cd", "Usb", "BiosSetup", "UefiHttp", "UefiTarget", "UefiBootNext"}
}

func (b *BMC) bootObject(o override) object {
	var paths []string
	for _, opt := range options(b.config.Hardware) {
		paths = append(paths, opt.path)
	}
	return object{
		"BootSourceOverrideEnabled": o.Enabled, "BootSourceOverrideEnabled@Redfish.AllowableValues": []string{disabled, once, continuous},
		"BootSourceOverrideTarget": o.Target, "BootSourceOverrideTarget@Redfish.AllowableValues": targets(),
		"BootSourceOverrideMode": o.Mode, "BootSourceOverrideMode@Redfish.AllowableValues": []string{"Legacy", "UEFI"},
		"UefiTargetBootSourceOverride": null(o.Path), "UefiTargetBootSourceOverride@Redfish.AllowableValues": paths,
		"BootNext": null(o.Next), "HttpBootUri": null(o.URI),
		"BootOrder": o.Order, "BootOptions": link(optionsPath),
	}
}

// null is a string property that has no value.
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (b *BMC) system() resource {
	h := &b.config.Hardware
	cores, threads := h.threads()
	get := func() object {
		ok := object{"State": "Enabled", "Health": "OK", "HealthRollup": "OK"}
		o := object{
			"Name": "Computer System", "SystemType": "Physical", "Manufacturer": h.Manufacturer, "Model": h.Model, "SKU": h.SKU,
			"SerialNumber": h.Serial, "PartNumber": h.SKU, "UUID": h.UUID.String(), "AssetTag": b.set.asset, "HostName": "",
			"BiosVersion": h.BIOS, "PowerState": b.state(), "Status": ok,
			"LocationIndicatorActive": b.set.located, "IndicatorLED": map[bool]string{true: "Blinking", false: "Off"}[b.set.located],
			"ProcessorSummary": object{"Count": len(h.CPUs), "CoreCount": cores, "LogicalProcessorCount": threads, "Model": h.cpuModel(), "Status": ok},
			"MemorySummary":    object{"TotalSystemMemoryGiB": h.memory() / 1024, "Status": ok},
			"Boot":             b.bootObject(b.set.boot),
			"Links":            object{"Chassis": []object{link(chassisPath)}, "ManagedBy": []object{link(managerPath)}},
			"Actions": object{"#ComputerSystem.Reset": object{
				"target": systemPath + "/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": resetTypes(),
			}},
		}
		for _, part := range []string{"Bios", "Processors", "Memory", "Storage", "EthernetInterfaces", "VirtualMedia", "SecureBoot"} {
			o[part] = link(systemPath + "/" + part)
		}
		if !b.resetAt.IsZero() {
			o["LastResetTime"] = b.resetAt.UTC().Format(time.RFC3339Nano)
		}
		if b.config.BootInSettings {
			o["@Redfish.Settings"] = object{
				"@odata.type": "#Settings.v1_4_0.Settings", "SettingsObject": link(settingsPath), "SupportedApplyTimes": []string{"OnReset"}, "Messages": []object{},
			}
		}
		return o
	}
	return resource{kind: "ComputerSystem.v1_22_2.ComputerSystem", get: get, patch: func(body object) *problem {
		return b.change(func(s *settings) *problem {
			led := ""
			p := writable(body, get(), map[string]func(any) *problem{
				"AssetTag": text(&s.asset, "AssetTag"), "LocationIndicatorActive": flag(&s.located, "LocationIndicatorActive"),
				"IndicatorLED": text(&led, "IndicatorLED", "Off", "Lit", "Blinking"),
				"Boot": func(v any) *problem {
					if b.config.BootInSettings {
						return readOnly("Boot")
					}
					return b.patchBoot(&s.boot, v)
				},
			})
			if led != "" {
				s.located = led != "Off"
			}
			return p
		})
	}}
}

func (h *Hardware) cpuModel() string {
	if len(h.CPUs) == 0 {
		return ""
	}
	return h.CPUs[0].Model
}

// systemSettings is the resource of @Redfish.Settings: what it holds is in
// effect after the next reset.
func (b *BMC) systemSettings() resource {
	get := func() object {
		o := b.set.boot
		if b.set.bootNext != nil {
			o = *b.set.bootNext
		}
		return object{"Name": "Computer System Settings", "Boot": b.bootObject(o)}
	}
	return resource{kind: "ComputerSystem.v1_22_2.ComputerSystem", get: get, patch: func(body object) *problem {
		return b.change(func(s *settings) *problem {
			next := s.boot
			if s.bootNext != nil {
				next = *s.bootNext
			}
			next.Order = slices.Clone(next.Order)
			p := writable(body, get(), map[string]func(any) *problem{"Boot": func(v any) *problem { return b.patchBoot(&next, v) }})
			s.bootNext = &next
			return p
		})
	}}
}

// patchBoot writes a Boot object. b is locked.
func (b *BMC) patchBoot(o *override, v any) *problem {
	body, ok := v.(object)
	if !ok {
		return wrongType(v, "Boot")
	}
	references := references(b.config.Hardware)
	p := writable(body, b.bootObject(*o), map[string]func(any) *problem{
		"BootSourceOverrideEnabled":    text(&o.Enabled, "BootSourceOverrideEnabled", disabled, once, continuous),
		"BootSourceOverrideTarget":     text(&o.Target, "BootSourceOverrideTarget", targets()...),
		"BootSourceOverrideMode":       text(&o.Mode, "BootSourceOverrideMode", "Legacy", "UEFI"),
		"UefiTargetBootSourceOverride": text(&o.Path, "UefiTargetBootSourceOverride"),
		"HttpBootUri":                  text(&o.URI, "HttpBootUri"),
		"BootNext":                     text(&o.Next, "BootNext", references...),
		"BootOrder":                    func(v any) *problem { return order(&o.Order, v, references) },
	})
	if p != nil {
		return p
	}
	byUEFI := slices.Contains([]string{"UefiTarget", "UefiBootNext", "UefiHttp"}, o.Target)
	switch {
	case o.Enabled == disabled:
		*o = override{Enabled: disabled, Target: "None", Mode: o.Mode, Next: o.Next, URI: o.URI, Order: o.Order}
	case byUEFI && o.Mode == "Legacy":
		return conflict("BootSourceOverrideTarget", "BootSourceOverrideMode")
	case o.Enabled == continuous && (o.Target == "UefiTarget" || o.Target == "UefiBootNext"):
		// Both are UEFI's BootNext, which is for one boot by definition.
		return conflict("BootSourceOverrideEnabled", "BootSourceOverrideTarget")
	case o.Target == "UefiTarget" && o.Path == "":
		return conflict("BootSourceOverrideTarget", "UefiTargetBootSourceOverride")
	case o.Target == "UefiBootNext" && o.Next == "":
		return conflict("BootSourceOverrideTarget", "BootNext")
	case o.Enabled == once && b.has(FaultNoOnce):
		o.Enabled = continuous
	}
	return nil
}

func order(to *[]string, v any, known []string) *problem {
	list, ok := v.([]any)
	if !ok {
		return wrongType(v, "BootOrder")
	}
	var names []string
	for _, e := range list {
		name, _ := e.(string)
		if !slices.Contains(known, name) || slices.Contains(names, name) {
			return notInList(e, "BootOrder")
		}
		names = append(names, name)
	}
	*to = names
	return nil
}

func (b *BMC) bootOption(o option) resource {
	return resource{kind: "BootOption.v1_0_6.BootOption", name: o.name, get: func() object {
		return object{
			"Id": o.reference, "BootOptionReference": o.reference, "DisplayName": o.name, "UefiDevicePath": o.path,
			"Alias": o.alias, "BootOptionEnabled": true,
		}
	}}
}

// resetAction is Actions/ComputerSystem.Reset.
func (b *BMC) resetAction(_ *http.Request, body object) reply {
	kind, ok := body["ResetType"].(string)
	if !ok {
		return reply{err: fail(http.StatusBadRequest, "ActionParameterMissing", "The action %s requires that the parameter %s be present in the request body.", "ComputerSystem.Reset", "ResetType")}
	}
	return b.done("Reset", b.reset(kind))
}
