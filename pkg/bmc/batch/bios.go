package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/recipe"
)

// Setting is one firmware setting, as it is and as it is wanted.
type Setting struct {
	Name    string `json:"name,omitempty"`    // the vendor's
	Concept string `json:"concept,omitempty"` // what was asked for, where a recipe translated it
	Current any    `json:"current"`
	Pending any    `json:"pending,omitempty"` // takes effect at the next reset
	Want    any    `json:"want,omitempty"`
	Source  string `json:"source,omitempty"`  // of the recipe
	Unknown string `json:"unknown,omitempty"` // why it could not be compared
}

// Right reports whether it is as wanted, or will be after a reset. What the
// machine has no word for is not wrong: nobody can say.
func (s Setting) Right() bool {
	switch {
	case s.Unknown != "":
		return true
	case s.Pending != nil:
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

// wanted are the settings of one machine. Those of its role are a wish: what
// its make has no word for is said, and fails nothing.
type wanted struct {
	values map[string]string
	wish   bool
}

// wants are what was asked for, or else what the role of the machine wants.
func (s *Session) wants(given map[string]string) (wanted, error) {
	if len(given) > 0 {
		return wanted{values: given}, nil
	}
	if s.Around.BIOS == nil {
		return wanted{}, errors.New("nothing says which firmware settings are wanted: give NAME=VALUE, or the profile of a role with --profile")
	}
	values, err := s.Around.BIOS(s.Target.Name)
	return wanted{values: values, wish: true}, err
}

// BIOSDiff compares firmware settings with wanted ones; without any, with
// those of the machine's role. A machine that differs has failed.
func BIOSDiff(given map[string]string) Task {
	return Task{Name: "bios diff", Do: func(ctx context.Context, s *Session) (Outcome, error) {
		want, err := s.wants(given)
		if err != nil {
			return Outcome{}, err
		}
		settings, err := compare(ctx, s, want)
		if err != nil {
			return Outcome{}, err
		}
		if wrong := wrongOnes(settings); len(wrong) > 0 {
			return Outcome{Data: settings}, fmt.Errorf("%w: %s%s", ErrDiffers, strings.Join(wrong, ", "), unknownNote(settings))
		}
		return Outcome{Message: asWanted(settings, "as wanted"), Data: settings}, missing(settings, want)
	}}
}

func asWanted(settings []Setting, text string) string {
	if len(settings) == 0 {
		return "its role wants no firmware settings"
	}
	if !slices.ContainsFunc(settings, func(x Setting) bool { return x.Unknown == "" }) {
		text = "nothing could be compared"
	}
	return text + pendingNote(settings) + unknownNote(settings)
}

// missing is an error where something that was asked for by name has no word
// on this machine.
func missing(settings []Setting, want wanted) error {
	if want.wish || unknownNote(settings) == "" {
		return nil
	}
	return errors.New(strings.TrimPrefix(unknownNote(settings), "; "))
}

// BIOSSet sets the firmware settings that are not as wanted, and reads them
// back: most take effect at the next reset. With reset, the machine is
// power-cycled if any wait for it, and is looked at until they are in effect.
func BIOSSet(given map[string]string, reset bool) Task {
	t := Task{Name: "bios set", Changes: true}
	if reset {
		t.Name, t.Takes, t.Energizes, t.Disrupts = "bios set reset", patience(bmc.ActionCycle)+effect, true, true
	}
	t.Do = func(ctx context.Context, s *Session) (Outcome, error) {
		want, err := s.wants(given)
		if err != nil {
			return Outcome{}, err
		}
		out, settings, err := setBIOS(ctx, s, want)
		if err == nil && reset {
			out, err = takeEffect(ctx, s, want, settings, out)
		}
		if err == nil {
			// The rest is set all the same.
			err = missing(settings, want)
		}
		return out, err
	}
	return t
}

func setBIOS(ctx context.Context, s *Session, want wanted) (Outcome, []Setting, error) {
	settings, err := compare(ctx, s, want)
	if err != nil {
		return Outcome{}, nil, err
	}
	change := map[string]any{}
	for _, x := range settings {
		if !x.Right() {
			change[x.Name] = x.Want
		}
	}
	if len(change) == 0 {
		return Outcome{Message: asWanted(settings, "as wanted already"), Data: settings}, settings, nil
	}
	names := strings.Join(slices.Sorted(maps.Keys(change)), ", ")
	if err := s.SetFirmware(ctx, change); err != nil {
		return Outcome{Data: settings}, settings, fmt.Errorf("setting %s: %w", names, err)
	}
	settings, err = compare(ctx, s, want)
	if err != nil {
		return Outcome{}, nil, fmt.Errorf("reading back: %w", err)
	}
	out := Outcome{Data: settings, Steps: bmc.Steps{{What: "set " + names + ", read back"}}}
	if wrong := wrongOnes(settings); len(wrong) > 0 {
		return out, settings, fmt.Errorf("%s: %w", strings.Join(wrong, ", "), bmc.ErrNotStored)
	}
	out.Message = fmt.Sprintf("%d set", len(change)) + pendingNote(settings) + unknownNote(settings)
	return out, settings, nil
}

// effect is how long firmware may take to show what it has taken up: it does
// so when its self-test is over.
const effect = 15 * time.Minute

// takeEffect cycles a machine for which settings wait, and looks at it until
// none does.
func takeEffect(ctx context.Context, s *Session, want wanted, settings []Setting, out Outcome) (Outcome, error) {
	if pendingNote(settings) == "" && len(s.Issued) == 0 {
		return out, nil
	}
	if err := s.say(ctx, "power cycle, so that firmware settings take effect"); err != nil {
		return out, err
	}
	power := Power(bmc.ActionCycle)
	cycled, err := power.Do(ctx, s)
	out.Steps = append(out.Steps, cycled.Steps...)
	if err != nil {
		return out, err
	}
	poll := cmp.Or(s.Patience.Poll, time.Second)
	for end := s.now().Add(effect); ; poll = min(2*poll, 15*time.Second) {
		settings, err = compare(ctx, s, want)
		if err == nil && pendingNote(settings) == "" {
			break
		}
		if !s.now().Before(end) {
			return out, cmp.Or(err, fmt.Errorf("%s after the reset they are still not in effect: look at the console: %w", effect, bmc.ErrNotStored))
		}
		select {
		case <-ctx.Done():
			return out, fmt.Errorf("waiting for the firmware to take settings up: %w", ctx.Err())
		case <-time.After(poll):
		}
	}
	out.Data = settings
	out.Steps = append(out.Steps, bmc.Step{What: "read again after the reset"})
	if wrong := wrongOnes(settings); len(wrong) > 0 {
		return out, fmt.Errorf("after the reset %s: %w", strings.Join(wrong, ", "), bmc.ErrNotStored)
	}
	out.Message = "in effect after a reset" + unknownNote(settings)
	return out, nil
}

func wrongOnes(settings []Setting) []string {
	var wrong []string
	for _, x := range settings {
		if !x.Right() {
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

func unknownNote(settings []Setting) string {
	text := ""
	for _, x := range settings {
		if x.Unknown != "" {
			text += "; " + x.Unknown
		}
	}
	return text
}

// compare sets what is wanted beside what is there. A name is the vendor's,
// or a concept that a recipe translates.
func compare(ctx context.Context, s *Session, want wanted) ([]Setting, error) {
	if len(want.values) == 0 {
		return nil, nil
	}
	have, err := s.Firmware(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the firmware settings: %w", err)
	}
	settings := make([]Setting, 0, len(want.values))
	for _, name := range slices.Sorted(maps.Keys(want.values)) {
		x, err := beside(s, name, want.values[name], have)
		if err != nil && want.wish {
			x, err = Setting{Concept: name, Want: want.values[name], Unknown: err.Error()}, nil
		}
		if err != nil {
			return nil, err
		}
		settings = append(settings, x)
	}
	return settings, nil
}

// beside is one wanted setting and what is there for it. A concept that the
// make has no word for is no error: the others may be set.
func beside(s *Session, name, value string, have bmc.FirmwareSettings) (Setting, error) {
	x := Setting{Name: name}
	if allowed := recipe.Concept(name).Values(); allowed != nil {
		if !slices.Contains(allowed, value) {
			return x, fmt.Errorf("%s is not set to %q: it takes %v", name, value, allowed)
		}
		t, err := translate(s, name, value, have)
		if err != nil {
			return Setting{Concept: name, Want: value, Unknown: err.Error()}, nil
		}
		x = Setting{Name: t.Name, Concept: name, Source: t.Source}
		value = t.Value
	}
	current, ok := have.Current[x.Name]
	if !ok {
		return x, unknownSetting(x.Name, have)
	}
	x.Current = plain(current)
	if p, ok := have.Pending[x.Name]; ok && plain(p) != x.Current {
		x.Pending = plain(p)
	}
	var err error
	if x.Want, err = likeCurrent(x.Current, value); err != nil {
		return x, fmt.Errorf("%s: %w", x.Name, err)
	}
	return x, nil
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
