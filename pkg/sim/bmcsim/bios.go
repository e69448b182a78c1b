package bmcsim

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
)

const (
	biosPath     = systemPath + "/Bios"
	biosSettings = biosPath + "/Settings"
	registryPath = root + "/Registries/BiosAttributeRegistry"
)

// Attribute is a BIOS setting.
type Attribute struct {
	Name     string
	Display  string
	Default  any      // string, or float64 for integers as JSON has them
	Values   []string // of an enumeration
	Min, Max float64  // of an integer
	ReadOnly bool
}

// DefaultAttributes are a server's, in common names.
func DefaultAttributes() []Attribute {
	enum := func(name, display, value string, values ...string) Attribute {
		return Attribute{Name: name, Display: display, Default: value, Values: values}
	}
	on := []string{"Enabled", "Disabled"}
	return []Attribute{
		enum("BootMode", "Boot Mode", "Uefi", "Uefi", "Bios"),
		enum("ProcVirtualization", "Virtualization Technology", "Disabled", on...),
		enum("ProcVtd", "I/O Virtualization", "Disabled", on...),
		enum("SriovGlobalEnable", "SR-IOV Global Enable", "Disabled", on...),
		enum("LogicalProc", "Logical Processor", "Enabled", on...),
		enum("SysProfile", "System Profile", "PerfPerWattOptimizedDapc", "PerfPerWattOptimizedDapc", "PerfOptimized", "Custom"),
		enum("PxeDev1EnDis", "PXE Device 1", "Enabled", on...),
		enum("SerialComm", "Serial Communication", "OnConRedir", "OnConRedir", "On", "Off"),
		{Name: "AcPwrRcvryUserDelay", Display: "User Defined Delay", Default: 60.0, Min: 60, Max: 600},
		{Name: "SystemServiceTag", Display: "Service Tag", Default: "SIM0001", ReadOnly: true},
	}
}

func (a Attribute) check(v any) *problem {
	name := "Attributes/" + a.Name
	switch number, isNumber := v.(float64); {
	case a.ReadOnly:
		return readOnly(name)
	case len(a.Values) > 0:
		if s, ok := v.(string); !ok || !slices.Contains(a.Values, s) {
			return notInList(v, name)
		}
	case a.Max > 0 && (!isNumber || number != math.Trunc(number)):
		return wrongType(v, name)
	case a.Max > 0 && (number < a.Min || number > a.Max):
		return fail(http.StatusBadRequest, "PropertyValueOutOfRange", "The value '%s' for the property %s is not in the supported range of acceptable values.", fmt.Sprint(v), name)
	}
	return nil
}

func (b *BMC) biosResource() resource {
	return resource{kind: "Bios.v1_2_3.Bios", name: "BIOS Configuration", get: func() object {
		return object{
			"AttributeRegistry": "BiosAttributeRegistry", "Attributes": maps.Clone(b.bios),
			"@Redfish.Settings": object{
				"@odata.type": "#Settings.v1_4_0.Settings", "SettingsObject": link(biosSettings), "SupportedApplyTimes": []string{"OnReset"}, "Messages": []object{},
			},
			"Actions": object{"#Bios.ResetBios": object{"target": biosPath + "/Actions/Bios.ResetBios"}},
		}
	}}
}

// biosPending is the settings resource. As the standard has it, it is of the
// same kind, and holds all that will be in effect after the next reset.
func (b *BMC) biosPending() resource {
	get := func() object {
		future := maps.Clone(b.bios)
		maps.Copy(future, b.set.pending)
		return object{"AttributeRegistry": "BiosAttributeRegistry", "Attributes": future}
	}
	return resource{kind: "Bios.v1_2_3.Bios", name: "BIOS Configuration Pending Settings", get: get, patch: func(body object) *problem {
		return b.change(func(s *settings) *problem {
			return writable(body, get(), map[string]func(any) *problem{"Attributes": func(v any) *problem { return b.stage(s, v) }})
		})
	}}
}

func (b *BMC) stage(s *settings, v any) *problem {
	want, ok := v.(object)
	if !ok {
		return wrongType(v, "Attributes")
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		i := slices.IndexFunc(b.config.Attributes, func(a Attribute) bool { return a.Name == name })
		if i < 0 {
			return unknownProperty("Attributes/" + name)
		}
		if p := b.config.Attributes[i].check(want[name]); p != nil {
			return p
		}
		s.pending[name] = want[name]
	}
	return nil
}

func (b *BMC) resetBIOS(*http.Request, object) reply {
	return b.done("Reset BIOS", b.change(func(s *settings) *problem {
		for _, a := range b.config.Attributes {
			s.pending[a.Name] = a.Default
		}
		return nil
	}))
}

// registry tells which values the attributes take.
func (b *BMC) registry() resource {
	return resource{kind: "AttributeRegistry.v1_3_8.AttributeRegistry", name: "BIOS Attribute Registry", get: func() object {
		list := []object{}
		for _, a := range b.config.Attributes {
			o := object{"AttributeName": a.Name, "DisplayName": a.Display, "DefaultValue": a.Default, "ReadOnly": a.ReadOnly, "ResetRequired": true, "Type": "String"}
			if len(a.Values) > 0 {
				values := []object{}
				for _, v := range a.Values {
					values = append(values, object{"ValueName": v, "ValueDisplayName": v})
				}
				o["Type"], o["Value"] = "Enumeration", values
			}
			if a.Max > 0 {
				o["Type"], o["LowerBound"], o["UpperBound"], o["ScalarIncrement"] = "Integer", a.Min, a.Max, 1
			}
			list = append(list, o)
		}
		return object{
			"Id": "BiosAttributeRegistry", "OwningEntity": "Rackseed", "Language": "en", "RegistryVersion": "1.0.0",
			"SupportedSystems": []object{{"ProductName": b.config.Hardware.Model, "FirmwareVersion": b.config.Hardware.BIOS}},
			"RegistryEntries":  object{"Attributes": list, "Menus": []object{}, "Dependencies": []object{}},
		}
	}}
}
