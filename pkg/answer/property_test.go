package answer

import (
	"bytes"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// TestWhateverThePlan: no plan makes a writer panic, two renders are the same
// bytes, and what is secret is only where it must be: the hash of root and
// the token in the answers, neither of them in a bundle, and no hash where a
// mask stands in its place.
func TestWhateverThePlan(t *testing.T) {
	images := families()
	names := make([]string, 0, len(images))
	for name := range images {
		names = append(names, name)
	}
	slices.Sort(names)
	rapid.Check(t, func(r *rapid.T) {
		target := target(t, images[rapid.SampledFrom(names).Draw(r, "family")])
		target.Intent = drawIntent(r)
		target.Intent.Access.Root = hash
		target.Token = "SECRETTOKEN"
		target.Root = rapid.SampledFrom([]string{hash, Masked, site.RootLocked}).Draw(r, "root")
		a, err := Render(target)
		again, errAgain := Render(target)
		if (err == nil) != (errAgain == nil) || !reflect.DeepEqual(a, again) {
			r.Fatal("two renders differ")
		}
		for _, f := range a.Files {
			if target.Root != hash && bytes.Contains(f.Data, []byte(hash)) {
				r.Fatalf("%s has the hash of root", f.Name)
			}
		}
		data, err := Bundle(target)
		if err == nil && (bytes.Contains(data, []byte(hash)) || bytes.Contains(data, []byte(target.Token))) {
			r.Fatal("the bundle has a secret")
		}
		if twice, _ := Bundle(target); !bytes.Equal(data, twice) {
			r.Fatal("two bundles differ")
		}
		if err != nil && strings.Contains(err.Error(), hash) {
			r.Fatalf("the error has a secret: %v", err)
		}
		overlay, _ := Overlay(target)
		if twice, _ := Overlay(target); !bytes.Equal(overlay, twice) || bytes.Contains(overlay, []byte(hash)) || bytes.Contains(overlay, []byte(target.Token)) {
			r.Fatal("two overlays differ, or the overlay has a secret")
		}
		onMedium := *target
		onMedium.Medium, onMedium.Token = true, ""
		a, _ = Render(&onMedium)
		if again, _ := Render(&onMedium); !reflect.DeepEqual(a, again) {
			r.Fatal("two media differ")
		}
		for _, f := range a.Files {
			if target.Root != hash && bytes.Contains(f.Data, []byte(hash)) {
				r.Fatalf("%s of the medium has the hash of root", f.Name)
			}
		}
	})
}

// FuzzPlanRenders: whatever a plan says, each of its nodes renders for every
// system, twice alike, or is refused; what is masked shows nothing of root's
// password, and nobody repeats the reference to a BMC's.
func FuzzPlanRenders(f *testing.F) {
	images := families()
	names := slices.Sorted(maps.Keys(images))
	seed := func(data []byte) {
		for i := range names {
			f.Add(data, byte(i))
		}
	}
	for _, file := range []string{"testdata/site.yaml", "../../examples/three-node.yaml", "../../examples/hyperconverged.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		seed(data)
	}
	seed([]byte("site: s\naccess: {root: \"" + hash + "\"}\nbmc: {password: {env: BMC_CANARY}}\nroles: {r: {profile: base, set: {nofile: 4096}}}\nnodes: [{name: n1, role: r}]\n"))
	f.Fuzz(func(t *testing.T, data []byte, system byte) {
		name := names[int(system)%len(names)]
		doc, err := planfile.Parse("plan.yaml", data)
		if err != nil || len(doc.Plan.Nodes) > 12 {
			return
		}
		plan := doc.Plan
		resolver := profile.NewResolver(profiles.Files, &plan.Settings, profile.NodesOf(plan.Nodes))
		for i := range plan.Nodes {
			intent, err := resolver.Resolve(&plan.Nodes[i])
			if err != nil {
				continue
			}
			target := &Target{Intent: intent, Image: images[name], Attempt: 1, Base: "http://10.20.0.1:8080", Token: "T", Root: Masked, Site: plan.Site}
			a, err := Render(target)
			again, err2 := Render(target)
			bundled, _ := Bundle(target)
			if (err == nil) != (err2 == nil) || !reflect.DeepEqual(a, again) {
				t.Fatalf("%s: two renders of %s differ: %v, %v", name, plan.Nodes[i].Name, err, err2)
			}
			for _, file := range append(a.Files, File{Name: "bundle", Data: bundled}) {
				if root := plan.Access.Root.Reveal(); strings.HasPrefix(root, "$") && bytes.Contains(file.Data, []byte(root)) || bytes.Contains(file.Data, []byte("BMC_CANARY")) {
					t.Fatalf("%s of %s on %s shows a secret", file.Name, plan.Nodes[i].Name, name)
				}
			}
		}
	})
}

// drawIntent makes one whose values are all sound, or any.
func drawIntent(r *rapid.T) *profile.Intent {
	word := rapid.StringMatching(`[a-z][a-z0-9]{0,8}`)
	if !rapid.Bool().Draw(r, "sound") {
		word = rapid.OneOf(word, rapid.StringMatching(`[ -~]{0,10}`), rapid.String())
	}
	few := func(values ...string) *rapid.Generator[string] { return rapid.SampledFrom(values) }
	reason := rapid.Custom(func(r *rapid.T) profile.Reason {
		return profile.Reason{Why: word.Draw(r, "why"), Source: word.Draw(r, "source")}
	})
	choice := func(name string, values ...string) profile.Choice {
		return profile.Choice{Value: few(append(values, "")...).Draw(r, name), Reason: reason.Draw(r, "reason")}
	}
	settings := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) profile.Setting {
		return profile.Setting{Key: word.Draw(r, "key"), Value: word.Draw(r, "value"), Reason: reason.Draw(r, "reason")}
	}), 0, 3)
	return &profile.Intent{
		Node: word.Draw(r, "node"), Domain: word.Draw(r, "domain"), Role: word.Draw(r, "role"), Profile: word.Draw(r, "profile"),
		Locale: site.Locale{Timezone: "UTC", Language: "en_US.UTF-8", Keyboard: "us"}, Address: netip.MustParseAddr("10.20.1.1"),
		Access:   site.Access{SSHKeys: rapid.SliceOfN(word, 0, 2).Draw(r, "keys")},
		Disks:    site.Disks{System: []site.DiskSelector{{Serial: word.Draw(r, "serial")}}},
		Packages: rapid.SliceOfN(few("chrony", "tuned"), 0, 2).Draw(r, "packages"),
		Services: rapid.SliceOfN(few("chrony", "ssh"), 0, 2).Draw(r, "services"),
		Sysctl:   settings.Draw(r, "sysctl"), Journald: settings.Draw(r, "journald"), Derived: settings.Draw(r, "derived"),
		Limits: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) profile.Limit {
			return profile.Limit{Domain: word.Draw(r, "domain"), Item: word.Draw(r, "item"), Value: rapid.Int().Draw(r, "value")}
		}), 0, 2).Draw(r, "limits"),
		KernelArgs: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) profile.KernelArg {
			return profile.KernelArg{Arg: rapid.OneOf(few("hugepagesz=1G", "hugepages=4", "hugepages="), word).Draw(r, "arg")}
		}), 0, 4).Draw(r, "arguments"),
		Modules: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) profile.Module {
			return profile.Module{Name: word.Draw(r, "name"), Options: word.Draw(r, "options")}
		}), 0, 2).Draw(r, "modules"),
		Firewall: choice("firewall", "on", "off"), SELinux: choice("selinux", "enforcing", "permissive"),
		Tuned: choice("tuned", "cpu-partitioning", "virtual-host"), THP: choice("thp", "always", "never"), KSM: choice("ksm", "on", "off"),
		Schedulers: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) profile.Scheduler {
			return profile.Scheduler{Disks: few("nvme", "ssd", "hdd").Draw(r, "disks"), Scheduler: word.Draw(r, "scheduler"), ReadAheadKB: rapid.Int().Draw(r, "read-ahead")}
		}), 0, 2).Draw(r, "schedulers"),
		Slices: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) profile.Slice {
			return profile.Slice{Unit: few("a.slice", "b@.service").Draw(r, "unit"), CPUs: few("0-3", "").Draw(r, "cpus"), Environment: rapid.SliceOfN(word, 0, 1).Draw(r, "environment")}
		}), 0, 2).Draw(r, "slices"),
		Repositories: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) profile.Repository {
			return profile.Repository{Name: word.Draw(r, "name"), URL: word.Draw(r, "url"), Key: word.Draw(r, "key"), Suite: word.Draw(r, "suite"), Mirror: rapid.Bool().Draw(r, "mirror")}
		}), 0, 2).Draw(r, "repositories"),
	}
}
