package planfile

import (
	"strings"
	"testing"
)

func TestAddRole(t *testing.T) {
	for _, c := range []struct{ story, plan, from, came string }{
		{"with its parameters and their comments", roles, "block", "  nfv:|    profile: compute   # from the shipped ones|    set:|      # as the customer asked on Friday|      ksm: false       # no sharing|      cpu_allocation_ratio: 4|      isolated_cpus: \"2-15\""},
		{"in braces, without the comment behind it", roles, "flow", "  nfv: {profile: compute, set: {ksm: false, swap_size: 4GiB}}"},
		{"the last one", roles, "one", "  nfv: {profile: base, set: {swap_size: 4GiB}}"},
		{"all roles in braces", "site: lab\nnetworks: {p: {subnet: 10.20.0.0/16}}\nroles: {r: {profile: base}} # asked for on Friday\nnodes: [{name: n1, role: r}]\n", "r", "roles: {r: {profile: base}, nfv: {profile: base}} # asked for on Friday"},
	} {
		t.Run(c.story, func(t *testing.T) {
			for _, end := range []string{"\n", "\r\n"} {
				before := strings.ReplaceAll(c.plan, "\n", end)
				d, err := Parse("site.yaml", []byte(before))
				if err != nil {
					t.Fatal(err)
				}
				text, err := d.AddRole("nfv", c.from)
				if err != nil {
					t.Fatal(err)
				}
				if want := strings.ReplaceAll(c.came, "|", end); !strings.Contains(string(text), want) {
					t.Errorf("the text lacks %q:\n%s", want, text)
				}
				back, err := Parse("site.yaml", text)
				if err != nil || back.Plan.Roles["nfv"].Profile != d.Plan.Roles[c.from].Profile {
					t.Errorf("it reads back as %+v, %v", back, err)
				}
			}
		})
	}
}

func TestAddRoleRefuses(t *testing.T) {
	d, err := Parse("site.yaml", []byte(roles))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ story, name, from, says string }{
		{"a role that is not there", "nfv", "nobody", "no role nobody"},
		{"a role that is there", "flow", "block", "already"},
		{"no name", "", "block", "not usable"},
		{"a name with a line in it", "a\nb", "block", "not usable"},
	} {
		t.Run(c.story, func(t *testing.T) {
			if _, err := d.AddRole(c.name, c.from); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

// FuzzAddRole: whatever a plan looks like, the copy reads back as it was
// meant, or is refused.
func FuzzAddRole(f *testing.F) {
	f.Add(roles, "nfv", "block")
	f.Add(roles, "a: b", "flow")
	f.Add("roles: {r: {}}\n", "x", "r")
	f.Fuzz(func(t *testing.T, plan, name, from string) {
		d, err := Parse("p", []byte(plan))
		if err != nil {
			return
		}
		text, err := d.AddRole(name, from)
		if err != nil {
			return
		}
		back, err := Parse("p", text)
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if len(back.Plan.Roles) != len(d.Plan.Roles)+1 {
			t.Errorf("%d roles became %d:\n%s", len(d.Plan.Roles), len(back.Plan.Roles), text)
		}
	})
}
