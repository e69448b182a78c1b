package profile

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Type is the type of a parameter.
type Type string

// The types of parameters. A size is in bytes and may be written with a unit.
const (
	Integer Type = "integer"
	Decimal Type = "number"
	Boolean Type = "boolean"
	Text    Type = "string"
	Size    Type = "size"
	List    Type = "list" // of texts
)

// Declaration is a parameter that a plan may set.
type Declaration struct {
	Type    Type     `yaml:"type"`
	Default any      `yaml:"default"` // nil: unset, unless a derived value has the name
	Minimum *float64 `yaml:"minimum"`
	Maximum *float64 `yaml:"maximum"`
	Values  []string `yaml:"values"` // that are allowed; empty means any
	Summary string   `yaml:"summary"`
	Reason  `yaml:",inline"`
}

var parameterName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`) })

func (d Declaration) check(name string) error {
	switch {
	case !parameterName().MatchString(name):
		return fmt.Errorf("parameter %q: use lower-case letters, digits and _", name)
	case !slices.Contains([]Type{Integer, Decimal, Boolean, Text, Size, List}, d.Type):
		return fmt.Errorf("parameter %s has type %q: use integer, number, boolean, string, size or list", name, d.Type)
	case d.Summary == "":
		return fmt.Errorf("parameter %s lacks a summary: say what it does and in which unit", name)
	}
	if d.Default == nil || d.computed() {
		return nil
	}
	if _, err := d.value(d.Default); err != nil {
		return fmt.Errorf("the default of parameter %s: %w", name, err)
	}
	return nil
}

// computed reports a default that depends on other values: a text with a
// ${name}, or the condition of a boolean.
func (d Declaration) computed() bool {
	s, ok := d.Default.(string)
	return ok && (d.Type == Boolean || strings.Contains(s, "${"))
}

// value checks what a plan or a default gives, and makes it an int64, a
// float64, a bool, a string, Bytes or a []string. Values that come back from a log
// are those of JSON.
func (d Declaration) value(v any) (any, error) {
	switch d.Type {
	case Boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("%s is neither true nor false", quoted(v))
	case Text:
		s, ok := plain(v)
		if !ok {
			return nil, fmt.Errorf("%s is not one text", quoted(v))
		}
		return s, d.allowed(s)
	case List:
		return d.list(v)
	case Size:
		n, err := sizeOf(v)
		if err != nil {
			return nil, err
		}
		return Bytes(n), d.within(float64(n))
	case Integer:
		f, ok := numberOf(v)
		if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
			return nil, fmt.Errorf("%s is not a whole number", quoted(v))
		}
		return int64(f), d.within(f)
	default:
		f, ok := numberOf(v)
		if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s is not a number", quoted(v))
		}
		return f, d.within(f)
	}
}

func quoted(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(s)
	}
	return fmt.Sprint(v)
}

func (d Declaration) list(v any) (any, error) {
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is not a list", quoted(v))
	}
	out := []string{}
	for _, item := range items {
		s, ok := plain(item)
		if !ok {
			return nil, fmt.Errorf("%s is not one text", quoted(item))
		}
		if err := d.allowed(s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (d Declaration) allowed(s string) error {
	if len(d.Values) > 0 && !slices.Contains(d.Values, s) {
		return fmt.Errorf("%q is not one of %s", s, strings.Join(d.Values, ", "))
	}
	return nil
}

func (d Declaration) within(f float64) error {
	switch {
	case d.Minimum != nil && f < *d.Minimum:
		return fmt.Errorf("%s is less than %s", decimal(f), decimal(*d.Minimum))
	case d.Maximum != nil && f > *d.Maximum:
		return fmt.Errorf("%s is more than %s", decimal(f), decimal(*d.Maximum))
	}
	return nil
}

// plain is a scalar as text.
func plain(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	}
	f, ok := numberOf(v)
	return decimal(f), ok
}

func decimal(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func numberOf(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case Bytes:
		return float64(v), true
	case uint64:
		return float64(v), true
	}
	return 0, false
}

// Bytes is a size.
type Bytes int64

// String writes it with the largest binary unit that divides it.
func (b Bytes) String() string {
	units, n := " KMGTPE", b
	i := 0
	for ; n != 0 && n%1024 == 0 && i+1 < len(units); i++ {
		n /= 1024
	}
	if i == 0 {
		return strconv.FormatInt(int64(b), 10)
	}
	return fmt.Sprintf("%d%ciB", n, units[i])
}

var sizeText = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?([KMGTPE]?)(i?)B?$`)

// sizeOf reads bytes: a number, or a text such as 100GiB or 480GB.
func sizeOf(v any) (int64, error) {
	if f, ok := numberOf(v); ok && f >= 0 && f == math.Trunc(f) && f < math.MaxInt64 {
		return int64(f), nil
	}
	text, _ := v.(string)
	m := sizeText.FindStringSubmatch(text)
	if m == nil || m[3] != "" && m[2] == "" {
		return 0, fmt.Errorf("%s is not a size: write it like 100GiB or 480GB", quoted(v))
	}
	base := 1000.0
	if m[3] != "" {
		base = 1024
	}
	f, _ := strconv.ParseFloat(m[1], 64)
	f *= math.Pow(base, float64(1+strings.Index("KMGTPE", m[2])))
	if m[2] == "" {
		f, _ = strconv.ParseFloat(m[1], 64)
	}
	if f >= math.MaxInt64 {
		return 0, fmt.Errorf("%s is larger than any disk", quoted(v))
	}
	return int64(f), nil
}

// show writes a parameter's value into a setting.
func show(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case Bytes:
		return strconv.FormatInt(int64(v), 10)
	case []string:
		return strings.Join(v, ",")
	}
	s, _ := plain(v)
	return s
}

// holds says what a value means as a condition: that there is something.
func holds(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case int64:
		return v != 0
	case Bytes:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []string:
		return len(v) > 0
	}
	return false
}
