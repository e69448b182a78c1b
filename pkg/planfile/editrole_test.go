package planfile

import (
	"strings"
	"testing"
)

const roles = `site: lab # the laboratory
networks: {p: {subnet: 10.20.0.0/16}}
roles:
  # they compute
  block:
    profile: compute   # from the shipped ones
    set:
      # as the customer asked on Friday
      ksm: false       # no sharing
      cpu_allocation_ratio: 4
      isolated_cpus: "2-15"
  flow: {profile: compute, set: {ksm: false, swap_size: 4GiB}} # in a hurry
  bare:
    profile: base
    image: rocky9
  short: {profile: base}
  one: {profile: base, set: {swap_size: 4GiB}}
nodes: [{name: n1, role: block}]
`

func TestSetParameters(t *testing.T) {
	for _, c := range []struct {
		story, role  string
		set          map[string]any
		gone, stands string // of the text, line by line
		notes        int
	}{
		{"a value changes where it stands", "block", map[string]any{"ksm": true}, "      ksm: false       # no sharing", "      ksm: true       # no sharing", 0},
		{"a text in quotes", "block", map[string]any{"isolated_cpus": "4-15"}, `      isolated_cpus: "2-15"`, `      isolated_cpus: "4-15"`, 0},
		{"one more", "block", map[string]any{"nfv": true}, "", "      nfv: true", 0},
		{"one less", "block", map[string]any{"cpu_allocation_ratio": nil}, "      cpu_allocation_ratio: 4", "", 0},
		{"one less, with its comment", "block", map[string]any{"ksm": nil}, "      ksm: false       # no sharing", "", 1},
		{"in braces", "flow", map[string]any{"swap_size": "8GiB"}, "  flow: {profile: compute, set: {ksm: false, swap_size: 4GiB}} # in a hurry", "  flow: {profile: compute, set: {ksm: false, swap_size: 8GiB}} # in a hurry", 0},
		{"one more in braces", "flow", map[string]any{"nfv": true}, "  flow: {profile: compute, set: {ksm: false, swap_size: 4GiB}} # in a hurry", "  flow: {profile: compute, set: {ksm: false, swap_size: 4GiB, nfv: true}} # in a hurry", 0},
		{"one less in braces", "flow", map[string]any{"ksm": nil}, "  flow: {profile: compute, set: {ksm: false, swap_size: 4GiB}} # in a hurry", "  flow: {profile: compute, set: {swap_size: 4GiB}} # in a hurry", 0},
		{"the first of a role", "bare", map[string]any{"swap_size": "8GiB"}, "", "    set: {swap_size: 8GiB}", 0},
		{"the first of a role in braces", "short", map[string]any{"swap_size": "8GiB"}, "  short: {profile: base}", "  short: {profile: base, set: {swap_size: 8GiB}}", 0},
		{"the last of a role", "one", map[string]any{"swap_size": nil}, "  one: {profile: base, set: {swap_size: 4GiB}}", "  one: {profile: base}", 0},
		{"nothing", "bare", map[string]any{"swap_size": nil}, "", "", 0},
	} {
		t.Run(c.story, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				before := strings.ReplaceAll(roles, "\n", end)
				d, err := Parse("site.yaml", []byte(before))
				if err != nil {
					t.Fatal(err)
				}
				text, notes, err := d.SetParameters(c.role, c.set)
				if err != nil || len(notes) != c.notes {
					t.Fatalf("error %v, notes %q", err, notes)
				}
				gone, came := lineDiff(before, string(text), end)
				if gone != c.gone || came != c.stands {
					t.Errorf("went %q, want %q; came %q, want %q", gone, c.gone, came, c.stands)
				}
			}
		})
	}
}

// lineDiff gives the lines that one text has and the other lacks.
func lineDiff(a, b, end string) (gone, came string) {
	lack := func(a, b string) string {
		var out []string
		for _, line := range strings.Split(a, end) {
			if !strings.Contains(end+b+end, end+line+end) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "|")
	}
	return lack(a, b), lack(b, a)
}

func TestSetParametersSeveral(t *testing.T) {
	d, err := Parse("site.yaml", []byte(roles))
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := d.SetParameters("block", map[string]any{"ksm": nil, "cpu_allocation_ratio": 2.5, "nfv": true, "isolated_cpus": nil})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# as the customer asked on Friday", "cpu_allocation_ratio: 2.5", "nfv: true", "# they compute", "# in a hurry"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

func TestSetParametersRefuses(t *testing.T) {
	for _, c := range []struct{ story, plan, role, says string }{
		{"a role that is not there", roles, "nobody", "no role nobody"},
		{"a value over several lines", "roles:\n  r:\n    profile: base\n    set:\n      x:\n        - a\n        - b\nnodes: [{name: n1, role: r}]\n", "r", "only a person"},
	} {
		t.Run(c.story, func(t *testing.T) {
			d, err := Parse("site.yaml", []byte(c.plan))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := d.SetParameters(c.role, map[string]any{"x": "y"}); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

// FuzzSetParameters: whatever a plan looks like, the edit reads back as it
// was meant, or is refused.
func FuzzSetParameters(f *testing.F) {
	f.Add(roles, "block", "ksm", "true")
	f.Add(roles, "flow", "swap_size", "8GiB # no")
	f.Add("roles: {r: {}}\n", "r", "x", "y: z")
	f.Fuzz(func(t *testing.T, plan, role, name, value string) {
		d, err := Parse("p", []byte(plan))
		if err != nil {
			return
		}
		text, _, err := d.SetParameters(role, map[string]any{name: value})
		if err != nil {
			return
		}
		back, err := Parse("p", text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if got := back.Plan.Roles[role].Set[name]; got != value {
			t.Errorf("%q is %q", name, got)
		}
	})
}
