package profile

import (
	"strings"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

func settled(t *testing.T) func(*Intent, error) *Intent {
	return func(i *Intent, err error) *Intent {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
}

func byKey(list []Setting) map[string]string {
	out := map[string]string{}
	for _, s := range list {
		out[s.Key] = s.Value
	}
	return out
}

func resolved(t *testing.T, profile string, set map[string]any, h site.Hardware, d site.Disks) (*Intent, error) {
	t.Helper()
	s := settings()
	s.Roles["r"] = site.Role{Profile: profile, Set: set, Hardware: h, Disks: d}
	return Resolve(profiles.Files, s, &site.Node{Name: "n", Role: "r"})
}

func server256() site.Hardware {
	return site.Hardware{Sockets: 2, Cores: 14, Threads: 2, Memory: 256 * gib}
}

func disks(n int) site.Disks {
	return site.Disks{OSD: []site.DiskSelector{{Model: "m", Count: n}}}
}

// TestShippedProfilesExplainEveryValue: nothing is tuned without a reason.
func TestShippedProfilesExplainEveryValue(t *testing.T) {
	for _, name := range Names(profiles.Files) {
		i := settled(t)(resolved(t, name, nil, server256(), disks(6)))
		check := func(what string, r Reason) {
			if r.Why == "" || r.Source == "" || !strings.HasPrefix(r.From, "profile ") {
				t.Errorf("%s: %s lacks its why, its source or where it is from: %+v", name, what, r)
			}
		}
		for _, v := range i.Values() {
			if v.Kind != "parameter" && v.Kind != "packages" && v.Kind != "services" {
				check(v.Kind+" "+v.Key, v.Reason)
			}
		}
	}
}
