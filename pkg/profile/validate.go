package profile

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// check finds what is wrong with a file that has the right keys.
func (p *Profile) check() error {
	if path.Base(p.Extends) != p.Extends && !strings.HasPrefix(p.Extends, shippedPrefix) && p.Extends != "" {
		return fmt.Errorf("extends: %q is not the name of a profile", p.Extends)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		if err := p.Parameters[name].check(name); err != nil {
			return err
		}
	}
	for _, v := range []struct {
		key     string
		list    []Choice
		allowed []string
	}{
		{"thp", p.THP, []string{"always", "madvise", "never"}},
		{"ksm", p.KSM, []string{"on", "off"}},
		{"firewall", p.Firewall, []string{"on", "off"}},
		{"selinux", p.SELinux, []string{"enforcing", "permissive"}},
		{"tuned", p.Tuned, nil},
		{"layout.swap", p.Layout.Swap, nil},
	} {
		for _, c := range v.list {
			if c.Value == "" || v.allowed != nil && !strings.Contains(c.Value, "${") && !slices.Contains(v.allowed, c.Value) {
				return fmt.Errorf("%s: %s: %q is not one of %s", c.From, v.key, c.Value, cmp.Or(strings.Join(v.allowed, ", "), "the values there can be"))
			}
		}
	}
	for _, s := range p.Schedulers {
		if !slices.Contains([]string{"nvme", "ssd", "hdd"}, strings.TrimPrefix(s.Disks, "-")) {
			return fmt.Errorf("%s: schedulers: disks %q is not one of nvme, ssd, hdd", s.From, s.Disks)
		}
	}
	for _, s := range p.BIOS {
		if _, ok := biosConcepts()[strings.TrimPrefix(s.Key, "-")]; !ok {
			return fmt.Errorf("%s: bios: %q is not one of %s", s.From, s.Key, strings.Join(slices.Sorted(maps.Keys(biosConcepts())), ", "))
		}
		if values := biosConcepts()[s.Key]; values != nil && !strings.Contains(s.Value, "${") && !slices.Contains(values, s.Value) {
			return fmt.Errorf("%s: bios: %s is %q, not one of %s", s.From, s.Key, s.Value, strings.Join(values, ", "))
		}
	}
	for _, d := range p.Derived {
		if !parameterName().MatchString(strings.TrimPrefix(d.Key, "-")) {
			return fmt.Errorf("%s: derived: %q: use lower-case letters, digits and _", d.From, d.Key)
		}
	}
	return cmpErr(p.checkLayout(), p.checkNeeds())
}

func (p *Profile) checkLayout() error {
	for _, v := range p.Layout.Volumes {
		mount, removed := strings.CutPrefix(v.Mount, "-")
		switch {
		case !path.IsAbs(mount) || path.Clean(mount) != mount:
			return fmt.Errorf("%s: layout: %q is not a mount point", v.From, v.Mount)
		case removed:
		case !volumeName.MatchString(v.Name):
			return fmt.Errorf("%s: layout: the volume of %s is called %q: use lower-case letters, digits and _", v.From, v.Mount, v.Name)
		case !strings.Contains(v.Size, "${"):
			if _, err := sizeOf(v.Size); err != nil {
				return fmt.Errorf("%s: layout: the volume of %s: %w", v.From, v.Mount, err)
			}
		}
	}
	return nil
}

func (p *Profile) checkNeeds() error {
	for _, n := range append(slices.Clone(p.Networks.Required), p.Networks.Optional...) {
		if !slices.Contains(site.NetworkRoles(), n.Role) {
			return fmt.Errorf("%s: networks: %q is not a network role", n.From, n.Role)
		}
	}
	return nil
}

// biosConcepts are the settings of firmware that a profile can want, with
// their values.
func biosConcepts() map[string][]string {
	onOff := []string{"on", "off"}
	return map[string][]string{
		"virtualization": onOff, "iommu": onOff, "sriov": onOff, "hyperthreading": onOff,
		"boot_mode": {"uefi", "bios"}, "power_profile": {"performance", "balanced"},
	}
}

// refers finds a condition or a ${reference} of p to what c does not have.
func (p *Profile) refers(c *chain) error {
	known := func(name string) bool {
		_, parameter := c.parameters[name]
		_, derived := c.derived[name]
		return parameter || derived
	}
	check := func(from, when string, values ...string) error {
		for _, word := range strings.Fields(when) {
			if name := strings.TrimPrefix(word, "!"); !known(name) {
				return fmt.Errorf("%s: when: %s is neither a parameter nor a derived value", from, name)
			}
		}
		for _, v := range values {
			for _, m := range reference.FindAllStringSubmatch(v, -1) {
				if !known(m[1]) {
					return fmt.Errorf("%s: %s is neither a parameter nor a derived value", from, m[0])
				}
			}
		}
		return nil
	}
	var err error
	for _, list := range [][]Setting{p.Sysctl, p.Journald, p.BIOS, p.Derived} {
		for _, e := range list {
			err = cmpErr(err, check(e.From, e.When, e.Value))
		}
	}
	for _, list := range [][]Choice{p.Tuned, p.THP, p.KSM, p.Firewall, p.SELinux, p.Layout.Swap} {
		for _, e := range list {
			err = cmpErr(err, check(e.From, e.When, e.Value))
		}
	}
	for _, e := range p.Derived {
		if e.Value == "" && !strings.HasPrefix(e.Key, "-") {
			err = cmpErr(err, check(e.From, e.Key))
		}
	}
	for _, e := range p.Limits {
		err = cmpErr(err, check(e.From, e.When, string(e.Value)))
	}
	for _, e := range p.KernelArgs {
		err = cmpErr(err, check(e.From, e.When, e.Arg))
	}
	for _, e := range p.Modules {
		err = cmpErr(err, check(e.From, e.When, e.Options))
	}
	for _, e := range p.Schedulers {
		err = cmpErr(err, check(e.From, e.When))
	}
	for _, e := range p.Clock {
		err = cmpErr(err, check(e.From, e.When))
	}
	for _, e := range p.Slices {
		err = cmpErr(err, check(e.From, e.When, e.CPUs, e.MemoryHigh))
	}
	for _, e := range p.Layout.Volumes {
		err = cmpErr(err, check(e.From, e.When, e.Size))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		if d := p.Parameters[name]; d.computed() {
			text := d.Default.(string)
			if d.Type == Boolean {
				err = cmpErr(err, check(d.From, text))
			} else {
				err = cmpErr(err, check(d.From, "", text))
			}
		}
	}
	return err
}
