package recipe

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func builtinBook(t *testing.T) *Book {
	t.Helper()
	b, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryRecipeHasASource(t *testing.T) {
	url := regexp.MustCompile(`[a-z0-9-]+\.[a-z]{2,}|ironic|openmanage`)
	for _, r := range builtinBook(t).Recipes {
		sources := []string{r.Source}
		for _, w := range r.Boot {
			sources = append(sources, w.Source)
		}
		for concept, attributes := range r.BIOS {
			for _, a := range attributes {
				sources = append(sources, a.Source)
				if !slices.Contains(concept.Values(), "on") {
					continue
				}
				if _, both := a.Values["off"]; !both {
					t.Errorf("%s: %s of %s can be set on and not off", r.Name, a.Name, concept)
				}
			}
		}
		if r.Media != nil {
			sources = append(sources, r.Media.Source)
		}
		for _, s := range sources {
			if !url.MatchString(s) {
				t.Errorf("%s: %q is no source that one could look up", r.Name, s)
			}
		}
	}
}

func TestMatching(t *testing.T) {
	for _, tt := range []struct {
		machine Machine
		recipes string
		ways    string
		media   string
	}{
		{Machine{Manufacturer: "Dell Inc.", Model: "PowerEdge R650"}, "dell-idrac", "dell-first-boot-device dell-http-device", ""},
		{Machine{Manufacturer: "HPE", Model: "ProLiant DL380 Gen10"}, "hpe-ilo", "", ""},
		{Machine{Manufacturer: "HP", Model: "ProLiant DL360 Gen9"}, "hpe-ilo", "", ""},
		{Machine{Manufacturer: "Hewlett Packard Enterprise"}, "hpe-ilo", "", ""},
		{Machine{Manufacturer: "Supermicro", Model: "SYS-6029P"}, "supermicro", "supermicro-usb-cd supermicro-with-mode supermicro-uefi-disk", ""},
		{Machine{Manufacturer: "Inspur", Model: "NF5280M7"}, "inspur-m7", "", ""},
		{Machine{Manufacturer: "Inspur", Model: "NF5280M5"}, "", "", ""},
		{Machine{Manufacturer: "Super Micro Computer, Inc."}, "supermicro", "supermicro-usb-cd supermicro-with-mode supermicro-uefi-disk", ""},
		{Machine{Manufacturer: "Lenovo", Model: "ThinkSystem SR650"}, "lenovo", "", ""},
		{Machine{Manufacturer: "Huawei", Model: "2288H V5"}, "huawei-ibmc", "huawei-pxe-first huawei-disk-first", "#VirtualMedia.VmmControl"},
		{Machine{Manufacturer: "xFusion", Model: "2288H V6"}, "huawei-ibmc", "huawei-pxe-first huawei-disk-first", "#VirtualMedia.VmmControl"},
		{Machine{Manufacturer: "H3C", Model: "UniServer R4900 G5"}, "h3c-hdm", "", "#VirtualMedia.VmmControl"},
		{Machine{Manufacturer: "Intel Corporation"}, "intel-server-board", "", ""},
		{Machine{Manufacturer: "Odell"}, "", "", ""},
		{Machine{Manufacturer: "Contoso"}, "", "", ""},
		{Machine{}, "", "", ""},
	} {
		var names, ways []string
		for _, r := range builtinBook(t).For(tt.machine) {
			names = append(names, r.Name)
		}
		for _, w := range builtinBook(t).Boot(tt.machine) {
			ways = append(ways, w.Name)
		}
		media, _ := builtinBook(t).Media(tt.machine)
		if strings.Join(names, " ") != tt.recipes || strings.Join(ways, " ") != tt.ways || media.Action != tt.media {
			t.Errorf("%+v: recipes %v, ways %v, media %q", tt.machine, names, ways, media.Action)
		}
	}
}

func TestMatchByModelAndFirmware(t *testing.T) {
	b, err := Parse([]byte(`
recipes:
  - {name: old, source: s, match: {manufacturer: acme, model: "^X1", firmware: "^1\\."}}
  - {name: model, source: s, match: {model: "^X1"}}
  - {name: make, source: s, match: {manufacturer: ACME}}
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		machine Machine
		want    string
	}{
		{Machine{"Acme", "X10", "1.2"}, "old model make"},
		{Machine{"Acme", "X10", "2.0"}, "model make"},
		{Machine{"Acme", "X10", ""}, "model make"}, // what is not known does not match
		{Machine{"", "x12", ""}, "model"},
		{Machine{"Acme", "", ""}, "make"},
	} {
		var got []string
		for _, r := range b.For(tt.machine) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%+v: %v, want %s", tt.machine, got, tt.want)
		}
	}
	if !b.AsksFirmware(Machine{Manufacturer: "Acme", Model: "X10"}) || b.AsksFirmware(Machine{Manufacturer: "Acme", Model: "Y"}) {
		t.Error("the firmware is asked for where it makes no difference, or not where it does")
	}
}

func TestTranslate(t *testing.T) {
	dell, supermicro := Machine{Manufacturer: "Dell Inc."}, Machine{Manufacturer: "Supermicro"}
	for _, tt := range []struct {
		machine    Machine
		concept    Concept
		value      string
		attributes string // that the machine has
		want       string // NAME=VALUE, or what the error says
	}{
		{dell, Virtualization, "on", "ProcVirtualization", "ProcVirtualization=Enabled"},
		{dell, IOMMU, "on", "ProcVirtualization IommuSupport", "IommuSupport=Enabled"},
		{dell, IOMMU, "on", "ProcVirtualization", "ProcVirtualization=Enabled"},
		{dell, BootMode, "uefi", "BootMode", "BootMode=Uefi"},
		{dell, PowerProfile, "performance", "SysProfile", "SysProfile=PerfOptimized"},
		{dell, Hyperthreading, "off", "LogicalProc", "LogicalProc=Disabled"},
		{dell, SRIOV, "on", "LogicalProc", "set its attribute by name"},
		{dell, SRIOV, "yes", "SriovGlobalEnable", `not set to "yes"`},
		{dell, "colour", "on", "", `not set to "on"`},
		{Machine{Manufacturer: "Contoso"}, SRIOV, "on", "SriovGlobalEnable", "no recipe knows"},
		{Machine{Manufacturer: "Intel Corporation"}, Hyperthreading, "on", "ProcessorHyperThreadingDisable", "ProcessorHyperThreadingDisable=0"},
		{Machine{Manufacturer: "Lenovo"}, SRIOV, "on", "PCIS007", "PCIS007=Enabled"},
		{Machine{Manufacturer: "HPE"}, Virtualization, "on", "ProcAmdVirtualization", "ProcAmdVirtualization=Enabled"},
		{supermicro, SRIOV, "on", "SR-IOVSupport#0048", "SR-IOVSupport#0048=Enabled"},
		{supermicro, SRIOV, "on", "SR-IOVSupport_0027", "SR-IOVSupport_0027=Enabled"},
		{supermicro, SRIOV, "on", "SR-IOVSupport SR-IOVSupport#0048", "SR-IOVSupport=Enabled"},
		{supermicro, SRIOV, "on", "SR-IOVSupport#0048 SR-IOVSupport#0049", "no recipe knows"},
		{supermicro, IOMMU, "on", "IOMMUMode", "no recipe knows"},
	} {
		attributes := map[string]any{}
		for _, name := range strings.Fields(tt.attributes) {
			attributes[name] = ""
		}
		s, err := builtinBook(t).Translate(tt.machine, tt.concept, tt.value, attributes)
		got := s.Name + "=" + s.Value
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || err == nil && (got != tt.want || s.Source == "") {
			t.Errorf("%s %s of %s with %s: %s, want %s", tt.concept, tt.value, tt.machine.Manufacturer, tt.attributes, got, tt.want)
		}
	}
}

func TestServes(t *testing.T) {
	yes, no := true, false
	for _, tt := range []struct {
		way        Way
		device     string
		persistent bool
		want       bool
	}{
		{Way{}, "pxe", true, true},
		{Way{Devices: []string{"disk"}}, "pxe", false, false},
		{Way{Devices: []string{"disk"}}, "disk", false, true},
		{Way{Once: &yes}, "pxe", false, true},
		{Way{Once: &yes}, "pxe", true, false},
		{Way{Once: &no}, "pxe", true, true},
		{Way{Once: &no}, "pxe", false, false},
	} {
		if got := tt.way.Serves(tt.device, tt.persistent); got != tt.want {
			t.Errorf("%+v for %s, persistent %t: %t", tt.way, tt.device, tt.persistent, got)
		}
	}
}

func TestParseIsStrict(t *testing.T) {
	for text, want := range map[string]string{
		``:            "there are none",
		`recipes: []`: "there are none",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, colour: red}]`:                                     "unknown field",
		`recipes: [{name: a, match: {manufacturer: x}}]`:                                                             "a source",
		`recipes: [{source: s, match: {manufacturer: x}}]`:                                                           "a name",
		`recipes: [{name: a, source: s}]`:                                                                            "every machine",
		`recipes: [{name: a, source: s, match: {firmware: "1"}}]`:                                                    "every machine",
		`recipes: [{name: a, source: s, match: {manufacturer: "("}}]`:                                                "pattern",
		`recipes: [{name: a, source: s, match: {manufacturer: x}}, {name: a, source: s, match: {manufacturer: x}}]`:  "twice",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{name: w, kind: magic}]}]`:                  "magic",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{kind: patch}]}]`:                           "no name",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{name: w, kind: patch, mode: perhaps}]}]`:   "perhaps",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{name: w, kind: patch, devices: [tape]}]}]`: "tape",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{name: w, kind: patch, raw: ["00 08"]}]}]`:  "raw",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{name: w, kind: attributes}]}]`:             "no attribute",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{name: w, kind: ipmi}]}]`:                   "sends nothing",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, bios: {colour: [{name: n, values: {on: x}}]}}]`:    "no concept",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, bios: {sriov: [{name: n, values: {maybe: x}}]}}]`:  "maybe",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, bios: {sriov: [{values: {on: x}}]}}]`:              "a name and values",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, media: {schemes: [nfs]}}]`:                         "an action or a drive",
		`recipes: [{name: a, source: s, match: {manufacturer: x}, media: {action: a}}]`:                              "insert and eject",
		`recipes: 7`: "reading the recipes",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(data)
	f.Add([]byte(`recipes: [{name: a, source: s, match: {manufacturer: x}, boot: [{name: w, kind: patch}]}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Parse(text)
		if err != nil {
			return
		}
		for _, r := range b.Recipes {
			if r.Source == "" || r.Match.fits(Machine{}) {
				t.Errorf("%+v was taken", r)
			}
		}
	})
}
