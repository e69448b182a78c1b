package profile

import (
	"fmt"
	"strconv"
	"strings"
)

// Value is one decided value of an Intent, as `explain --profile` shows it.
type Value struct {
	Kind  string // the key of a profile that it is from: sysctl, limits, layout
	Key   string // empty where there is one value of the kind
	Value string
	Reason
}

// Values lists what the profile, the role and the node decided, with where
// each value came from.
func (i *Intent) Values() []Value {
	var out []Value
	add := func(kind, key, value string, r Reason) { out = append(out, Value{kind, key, value, r}) }
	for _, p := range i.Parameters {
		value := show(p.Value)
		if size, ok := p.Value.(Bytes); ok {
			value = size.String()
		}
		add("parameter", p.Name, value, p.Reason)
	}
	out = append(out, i.Concepts...)
	for _, v := range []struct {
		kind string
		list []Setting
	}{{"sysctl", i.Sysctl}, {"journald", i.Journald}} {
		for _, s := range v.list {
			add(v.kind, s.Key, s.Value, s.Reason)
		}
	}
	for _, l := range i.Limits {
		add("limits", l.Domain+" "+l.Item, strconv.Itoa(l.Value), l.Reason)
	}
	for _, a := range i.KernelArgs {
		add("kernel_arguments", "", a.Arg, a.Reason)
	}
	for _, m := range i.Modules {
		add("modules", m.Name, m.describe(), m.Reason)
	}
	for _, v := range []struct {
		kind   string
		choice Choice
	}{{"tuned", i.Tuned}, {"thp", i.THP}, {"ksm", i.KSM}, {"firewall", i.Firewall}, {"selinux", i.SELinux}} {
		if v.choice.Value != "" {
			add(v.kind, "", v.choice.Value, v.choice.Reason)
		}
	}
	for _, s := range i.Schedulers {
		value := s.Scheduler
		if s.ReadAheadKB > 0 {
			value += fmt.Sprintf(", read-ahead %d KiB", s.ReadAheadKB)
		}
		add("schedulers", s.Disks, value, s.Reason)
	}
	for _, s := range i.Slices {
		add("slices", s.Unit, s.describe(), s.Reason)
	}
	if i.Clock.From != "" {
		add("clock", "local_stratum", strconv.Itoa(i.Clock.LocalStratum), i.Clock.Reason)
	}
	if i.Layout.From != "" {
		add("layout", "swap", Bytes(i.Layout.Swap).String(), i.Layout.Reason)
	}
	for _, v := range i.Layout.Volumes {
		value := Bytes(v.Size).String()
		if v.Grow {
			value += " and what is left"
		}
		add("layout", v.Mount, value, v.Reason)
	}
	for _, s := range i.BIOS {
		add("bios", s.Key, s.Value, s.Reason)
	}
	for _, s := range i.Derived {
		add("derived", s.Key, s.Value, s.Reason)
	}
	return out
}

func (m Module) describe() string {
	loaded := "loaded at boot"
	if m.Load != nil && !*m.Load {
		loaded = "when it is loaded"
	}
	return strings.TrimPrefix(m.Options+", "+loaded, ", ")
}

func (s Slice) describe() string {
	var parts []string
	if s.CPUs != "" {
		parts = append(parts, "CPUs "+s.CPUs)
	}
	if s.MemoryHigh != "" {
		parts = append(parts, "memory "+s.MemoryHigh)
	}
	parts = append(parts, s.Environment...)
	return strings.Join(parts, ", ")
}
