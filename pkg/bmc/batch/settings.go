package batch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

// BootGet reads the boot override.
func BootGet() Task {
	return Task{Name: "bootdev get", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		b, err := s.Boot(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("reading the boot device: %w", err)
		}
		return Outcome{Message: b.String(), Data: b}, nil
	}}
}

// BootSet tells a boot device, in one way after the other, until it sticks.
func BootSet(want bmc.Boot) Task {
	return Task{Name: "bootdev set " + want.String(), Changes: true, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		got, steps, err := bmc.SetBootVerified(ctx, s.Driver, want, s.Patience)
		message := got.String()
		if err == nil && got.Persistent && !want.Persistent {
			// Some say so and mean once; others mean it.
			message += ", though once was asked for: look again after the boot, and set none if it is still there"
		}
		return Outcome{Message: message, Data: got, Steps: steps}, err
	}}
}

// Setting is one firmware setting, as it is and as it is wanted.
type Setting struct {
	Name    string `json:"name"`              // the vendor's
	Concept string `json:"concept,omitempty"` // what was asked for, where a recipe translated it
	Current any    `json:"current"`
	Pending any    `json:"pending,omitempty"` // takes effect at the next reset
	Want    any    `json:"want,omitempty"`
	Source  string `json:"source,omitempty"` // of the recipe
}

func (s Setting) right() bool {
	if s.Pending != nil {
		return s.Pending == s.Want
	}
	return s.Current == s.Want
}

func (s Setting) String() string {
	text := fmt.Sprintf("%s is %v", s.Name, s.Current)
	if s.Pending != nil {
		text += fmt.Sprintf(" (%v after a reset)", s.Pending)
	}
	return text
}

// BIOSGet reads firmware settings; without names, all.
func BIOSGet(names []string) Task {
	return Task{Name: "bios get", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		have, err := s.Firmware(ctx)
		if err != nil {
			return Outcome{}, fmt.Errorf("reading the firmware settings: %w", err)
		}
		if len(names) == 0 {
			return Outcome{Message: fmt.Sprintf("%d settings, %d take effect at the next reset", len(have.Current), len(have.Pending)), Data: have}, nil
		}
		some := bmc.FirmwareSettings{Current: map[string]any{}, Pending: map[string]any{}}
		var said []string
		for _, name := range names {
			current, ok := have.Current[name]
			if !ok {
				return Outcome{}, unknownSetting(name, have)
			}
			some.Current[name] = current
			x := Setting{Name: name, Current: current}
			if p, ok := have.Pending[name]; ok {
				some.Pending[name], x.Pending = p, p
			}
			said = append(said, x.String())
		}
		return Outcome{Message: strings.Join(said, ", "), Data: some}, nil
	}}
}

// ErrDiffers means that a machine is not as it is wanted.
var ErrDiffers = errors.New("not as wanted")

// BIOSDiff compares firmware settings with wanted ones. A machine that
// differs has failed.
func BIOSDiff(wants map[string]string) Task {
	return Task{Name: "bios diff", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		settings, err := compare(ctx, s, wants)
		if err != nil {
			return Outcome{}, err
		}
		if wrong := wrongOnes(settings); len(wrong) > 0 {
			return Outcome{Data: settings}, fmt.Errorf("%w: %s", ErrDiffers, strings.Join(wrong, ", "))
		}
		return Outcome{Message: "as wanted" + pendingNote(settings), Data: settings}, nil
	}}
}

// BIOSSet sets the firmware settings that are not as wanted, and reads them
// back: most take effect at the next reset.
func BIOSSet(wants map[string]string) Task {
	return Task{Name: "bios set", Changes: true, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		settings, err := compare(ctx, s, wants)
		if err != nil {
			return Outcome{}, err
		}
		change := map[string]any{}
		for _, x := range settings {
			if !x.right() {
				change[x.Name] = x.Want
			}
		}
		if len(change) == 0 {
			return Outcome{Message: "as wanted already" + pendingNote(settings), Data: settings}, nil
		}
		if err := s.SetFirmware(ctx, change); err != nil {
			return Outcome{Data: settings}, fmt.Errorf("setting %s: %w", strings.Join(slices.Sorted(maps.Keys(change)), ", "), err)
		}
		settings, err = compare(ctx, s, wants)
		if err != nil {
			return Outcome{}, fmt.Errorf("reading back: %w", err)
		}
		steps := bmc.Steps{{What: "set " + strings.Join(slices.Sorted(maps.Keys(change)), ", ") + ", read back"}}
		if wrong := wrongOnes(settings); len(wrong) > 0 {
			return Outcome{Data: settings, Steps: steps}, fmt.Errorf("%s: %w", strings.Join(wrong, ", "), bmc.ErrNotStored)
		}
		return Outcome{Message: fmt.Sprintf("%d set", len(change)) + pendingNote(settings), Data: settings, Steps: steps}, nil
	}}
}

func wrongOnes(settings []Setting) []string {
	var wrong []string
	for _, x := range settings {
		if !x.right() {
			wrong = append(wrong, fmt.Sprintf("%s, wanted %v", x, x.Want))
		}
	}
	return wrong
}

func pendingNote(settings []Setting) string {
	n := 0
	for _, x := range settings {
		if x.Pending != nil {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d take effect at the next reset", n)
}

// compare sets what is wanted beside what is there. A name is the vendor's,
// or a concept that a recipe translates.
func compare(ctx context.Context, s *Session, wants map[string]string) ([]Setting, error) {
	have, err := s.Firmware(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the firmware settings: %w", err)
	}
	settings := make([]Setting, 0, len(wants))
	for _, name := range slices.Sorted(maps.Keys(wants)) {
		x := Setting{Name: name}
		value := wants[name]
		if recipe.Concept(name).Values() != nil {
			t, err := translate(s, name, value, have)
			if err != nil {
				return nil, err
			}
			x = Setting{Name: t.Name, Concept: name, Source: t.Source}
			value = t.Value
		}
		current, ok := have.Current[x.Name]
		if !ok {
			return nil, unknownSetting(x.Name, have)
		}
		x.Current = plain(current)
		if p, ok := have.Pending[x.Name]; ok && plain(p) != x.Current {
			x.Pending = plain(p)
		}
		if x.Want, err = likeCurrent(x.Current, value); err != nil {
			return nil, fmt.Errorf("%s: %w", x.Name, err)
		}
		settings = append(settings, x)
	}
	return settings, nil
}

func translate(s *Session, concept, value string, have bmc.FirmwareSettings) (recipe.Setting, error) {
	book, err := recipe.Builtin()
	if err != nil {
		return recipe.Setting{}, err
	}
	k := s.Known()
	return book.Translate(recipe.Machine{Manufacturer: k.Manufacturer, Model: k.Model, Firmware: k.Firmware}, recipe.Concept(concept), value, have.Current)
}

// plain makes numbers of every kind comparable.
func plain(v any) any {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int64:
		return float64(n)
	case string, bool, float64, nil:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// likeCurrent reads a value in the type that the setting has.
func likeCurrent(current any, value string) (any, error) {
	switch current.(type) {
	case bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("it is true or false, not %q", value)
		}
		return b, nil
	case float64:
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("it is a number, not %q", value)
		}
		return n, nil
	default:
		return value, nil
	}
}

func unknownSetting(name string, have bmc.FirmwareSettings) error {
	for other := range have.Current {
		if strings.EqualFold(other, name) {
			return fmt.Errorf("there is no setting %s: this firmware calls it %s", name, other)
		}
	}
	return fmt.Errorf("there is no setting %s: `rackseed bios get` lists what there is", name)
}
