// Package recipe is what is known of makes of BMCs: how one wants to be told
// a boot device, what its firmware calls a setting, how its virtual media
// work. It is data (recipes.yaml), and every entry names its source.
package recipe

import (
	_ "embed" // recipes.yaml
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

//go:embed recipes.yaml
var data []byte

var builtin = sync.OnceValues(func() (*Book, error) { return Parse(data) })

// Builtin are the recipes that Rackseed comes with.
func Builtin() (*Book, error) { return builtin() }

// Machine is what a recipe is chosen by. An empty field is not known, and
// only recipes that do not ask for it match.
type Machine struct {
	Manufacturer string
	Model        string
	Firmware     string // of the BMC
}

// String is its name for people.
func (m Machine) String() string {
	if name := strings.TrimSpace(m.Manufacturer + " " + m.Model); name != "" {
		return name
	}
	return "this make"
}

// Book is a list of recipes; earlier ones are preferred.
type Book struct {
	Recipes []Recipe `yaml:"recipes"`
}

// Recipe is what is known of one make.
type Recipe struct {
	Name   string                  `yaml:"name"`
	Match  Match                   `yaml:"match"`
	Source string                  `yaml:"source"` // where it is from: a manual, an issue, a driver
	Note   string                  `yaml:"note"`
	Boot   []Way                   `yaml:"boot"`
	BIOS   map[Concept][]Attribute `yaml:"bios"` // the first one that the machine has
	Media  *Media                  `yaml:"media"`
}

// Match are regular expressions, without case; an empty one matches all.
type Match struct {
	Manufacturer string `yaml:"manufacturer"`
	Model        string `yaml:"model"`
	Firmware     string `yaml:"firmware"`

	manufacturer, model, firmware *regexp.Regexp
}

// Kind is what a way does.
type Kind string

// The kinds of ways.
const (
	// KindPatch patches the system's Boot.
	KindPatch Kind = "patch"
	// KindSettings patches Boot of the system's settings resource.
	KindSettings Kind = "settings"
	// KindOrder puts the device first in BootOrder. Persistent only.
	KindOrder Kind = "order"
	// KindAttributes sets BIOS attributes.
	KindAttributes Kind = "attributes"
	// KindManager sets attributes of the manager (Dell's DellAttributes).
	KindManager Kind = "manager"
	// KindRaw sends IPMI requests.
	KindRaw Kind = "ipmi"
)

// Way is a way to tell a boot device.
type Way struct {
	Name       string            `yaml:"name"`
	Kind       Kind              `yaml:"kind"`
	Source     string            `yaml:"source"`  // the recipe's, if empty
	First      bool              `yaml:"first"`   // before the standard's way, which does harm
	Devices    []string          `yaml:"devices"` // what it is for; empty means all
	Once       *bool             `yaml:"once"`    // for once or for persistent only; nil means both
	Mode       ModePolicy        `yaml:"mode"`
	Targets    map[string]string `yaml:"targets"`    // another BootSourceOverrideTarget by device
	Attributes map[string]string `yaml:"attributes"` // {url}, {device} and {once} are filled in
	Values     map[string]string `yaml:"values"`     // what {device} is, by device
	Raw        []string          `yaml:"raw"`        // network function, command and data in hex, one request each
}

// ModePolicy says whether BootSourceOverrideMode may be in the request.
type ModePolicy string

// The policies.
const (
	ModeIfAsked   ModePolicy = ""
	ModeRequired  ModePolicy = "required"
	ModeForbidden ModePolicy = "forbidden"
)

// Concept is a firmware setting whatever its vendor calls it.
type Concept string

// The concepts, each with the values that it takes.
const (
	Virtualization Concept = "virtualization" // on, off
	IOMMU          Concept = "iommu"          // on, off
	SRIOV          Concept = "sriov"          // on, off
	BootMode       Concept = "boot_mode"      // uefi, bios
	PowerProfile   Concept = "power_profile"  // performance, balanced
	Hyperthreading Concept = "hyperthreading" // on, off
	PXE            Concept = "pxe"            // on, off: of the first port
)

// Values are what a concept may be set to, and nil for what is no concept.
func (c Concept) Values() []string {
	switch c {
	case Virtualization, IOMMU, SRIOV, Hyperthreading, PXE:
		return []string{"on", "off"}
	case BootMode:
		return []string{"uefi", "bios"}
	case PowerProfile:
		return []string{"performance", "balanced"}
	}
	return nil
}

// Attribute is a vendor's name for a concept, and its words for the values.
type Attribute struct {
	Name   string            `yaml:"name"`   // a * at its end is for a number that firmware adds
	Source string            `yaml:"source"` // the recipe's, if empty
	Values map[string]string `yaml:"values"`
}

// find is the name that the machine has for the attribute. Two that would do
// are none.
func (a Attribute) find(attributes map[string]any) (string, bool) {
	prefix, open := strings.CutSuffix(a.Name, "*")
	if _, ok := attributes[prefix]; ok || !open {
		return prefix, ok
	}
	var found []string
	for name := range attributes {
		// What follows is a number: IOMMU#0048 or IOMMU_0027, not IOMMUMode.
		if rest, ok := strings.CutPrefix(name, prefix); ok && strings.ContainsAny(rest[:1], "#_") {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return "", false
	}
	return found[0], true
}

// Media is an OEM action that mounts an image, or which of several drives
// takes one, or both.
type Media struct {
	Drive   string            `yaml:"drive"`  // what the Id of the drive begins with; empty means any
	Action  string            `yaml:"action"` // its name among the OEM actions, as #VirtualMedia.VmmControl
	Source  string            `yaml:"source"`
	Insert  map[string]string `yaml:"insert"` // {url} is filled in
	Eject   map[string]string `yaml:"eject"`
	Schemes []string          `yaml:"schemes"` // of the URLs that it takes; empty means any
}

// Parse reads a book strictly: a member that is not known, a source that is
// missing or a pattern that is none is an error.
func Parse(text []byte) (*Book, error) {
	var b Book
	if err := yaml.UnmarshalWithOptions(text, &b, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("reading the recipes: %w", err)
	}
	if len(b.Recipes) == 0 {
		return nil, errors.New("reading the recipes: there are none")
	}
	names := map[string]bool{}
	for i := range b.Recipes {
		r := &b.Recipes[i]
		if names[r.Name] {
			return nil, fmt.Errorf("recipe %s is there twice", r.Name)
		}
		names[r.Name] = true
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("recipe %d, %s: %w", i+1, r.Name, err)
		}
	}
	return &b, nil
}

func (r *Recipe) check() error {
	if r.Name == "" || r.Source == "" {
		return errors.New("it needs a name and a source")
	}
	if err := r.Match.compile(); err != nil {
		return err
	}
	for i := range r.Boot {
		w := &r.Boot[i]
		if w.Source == "" {
			w.Source = r.Source
		}
		if err := w.check(); err != nil {
			return fmt.Errorf("way %q: %w", w.Name, err)
		}
	}
	for concept, attributes := range r.BIOS {
		for i := range attributes {
			if err := attributes[i].check(concept, r.Source); err != nil {
				return fmt.Errorf("%s: %w", concept, err)
			}
		}
	}
	if r.Media != nil {
		return r.Media.check(r.Source)
	}
	return nil
}

func (m *Media) check(source string) error {
	switch {
	case m.Action == "" && m.Drive == "":
		return errors.New("media needs an action or a drive")
	case m.Action != "" && (len(m.Insert) == 0 || len(m.Eject) == 0):
		return errors.New("the action of media needs insert and eject")
	}
	if m.Source == "" {
		m.Source = source
	}
	return nil
}

func (m *Match) compile() error {
	if m.Manufacturer == "" && m.Model == "" {
		return errors.New("it matches every machine")
	}
	for _, p := range []struct {
		text string
		to   **regexp.Regexp
	}{{m.Manufacturer, &m.manufacturer}, {m.Model, &m.model}, {m.Firmware, &m.firmware}} {
		if p.text == "" {
			continue
		}
		re, err := regexp.Compile("(?i)" + p.text)
		if err != nil {
			return fmt.Errorf("reading a pattern: %w", err)
		}
		*p.to = re
	}
	return nil
}

func (w *Way) check() error {
	switch w.Kind {
	case KindPatch, KindSettings, KindOrder:
		if len(w.Attributes) > 0 || len(w.Raw) > 0 {
			return fmt.Errorf("kind %s takes no attributes and nothing raw", w.Kind)
		}
	case KindAttributes, KindManager:
		if len(w.Attributes) == 0 {
			return errors.New("it sets no attribute")
		}
	case KindRaw:
		if len(w.Raw) == 0 {
			return errors.New("it sends nothing")
		}
	default:
		return fmt.Errorf("kind %q is not known", w.Kind)
	}
	if w.Name == "" {
		return errors.New("it has no name")
	}
	if w.Mode != ModeIfAsked && w.Mode != ModeRequired && w.Mode != ModeForbidden {
		return fmt.Errorf("mode %q is not required or forbidden", w.Mode)
	}
	for _, d := range w.Devices {
		if !slices.Contains([]string{"none", "pxe", "http", "disk", "cd", "bios"}, d) {
			return fmt.Errorf("device %q is not known", d)
		}
	}
	return nil
}

func (a *Attribute) check(c Concept, source string) error {
	allowed := c.Values()
	if allowed == nil {
		return errors.New("it is no concept")
	}
	if a.Name == "" || len(a.Values) == 0 {
		return errors.New("it needs a name and values")
	}
	if a.Source == "" {
		a.Source = source
	}
	for v := range a.Values {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("value %q is not one of %v", v, allowed)
		}
	}
	return nil
}

func (m *Match) fits(machine Machine) bool {
	fits := func(re *regexp.Regexp, text string) bool { return re == nil || text != "" && re.MatchString(text) }
	return fits(m.manufacturer, machine.Manufacturer) && fits(m.model, machine.Model) && fits(m.firmware, machine.Firmware)
}

// For are the recipes for a machine, the preferred ones first.
func (b *Book) For(m Machine) []Recipe {
	var out []Recipe
	for _, r := range b.Recipes {
		if r.Match.fits(m) {
			out = append(out, r)
		}
	}
	return out
}

// AsksFirmware reports whether the firmware of the machine's BMC makes a
// difference, so that it is worth a question.
func (b *Book) AsksFirmware(m Machine) bool {
	for _, r := range b.Recipes {
		other := r.Match
		other.firmware = nil
		if r.Match.firmware != nil && other.fits(m) {
			return true
		}
	}
	return false
}

// Boot are the ways of the recipes for a machine.
func (b *Book) Boot(m Machine) []Way {
	var out []Way
	for _, r := range b.For(m) {
		out = append(out, r.Boot...)
	}
	return out
}

// Media is how the machine wants to be told an image, if not by the standard.
func (b *Book) Media(m Machine) (Media, bool) {
	for _, r := range b.For(m) {
		if r.Media != nil {
			return *r.Media, true
		}
	}
	return Media{}, false
}

// Setting is one concept in a vendor's words.
type Setting struct {
	Concept Concept
	Name    string
	Value   string
	Source  string
}

// Translate says a wanted value in the words of the machine, which has these
// BIOS attributes. The error says what is missing.
func (b *Book) Translate(m Machine, c Concept, value string, attributes map[string]any) (Setting, error) {
	if !slices.Contains(c.Values(), value) {
		return Setting{}, fmt.Errorf("%s is not set to %q: it takes %v", c, value, c.Values())
	}
	for _, r := range b.For(m) {
		for _, a := range r.BIOS[c] {
			name, has := a.find(attributes)
			if text, ok := a.Values[value]; ok && has {
				return Setting{Concept: c, Name: name, Value: text, Source: a.Source}, nil
			}
		}
	}
	return Setting{}, fmt.Errorf("no recipe knows what %s calls %s: set its attribute by name", m, c)
}

// Serves reports whether the way is for a device and a duration.
func (w Way) Serves(device string, persistent bool) bool {
	if len(w.Devices) > 0 && !slices.Contains(w.Devices, device) {
		return false
	}
	return w.Once == nil || *w.Once != persistent
}
