package profile

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

func folder(texts ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for _, text := range texts {
		name, _, _ := strings.Cut(strings.TrimPrefix(text, "name: "), "\n")
		out[name+".yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

const grandparent = `name: base
packages: [curl, sudo]
services: [ssh]
parameters:
  pages: {type: integer, default: 4, minimum: 1, maximum: 9, summary: pages}
  fast: {type: boolean, default: false, summary: speed}
  slow: {type: boolean, default: "!fast", summary: the other way round}
  size: {type: size, default: 10GiB, summary: size}
  kind: {type: string, default: red, values: [red, blue], summary: colour}
  tags: {type: list, default: [a, b], summary: tags}
  load: {type: number, default: 0.5, summary: load}
  text: {type: string, default: "${kind}-${pages}", summary: both}
  bare: {type: string, summary: nothing}
sysctl:
  - {key: a, value: "1"}
  - {key: b, value: "${pages}"}
  - {key: c, value: slow, when: slow}
  - {key: c, value: fast, when: fast}
  - {key: d, value: "${text} ${size} ${tags} ${load}"}
  - {key: e, value: never, when: bare}
limits:
  - {domain: root, item: nofile, value: "${pages}"}
tuned:
  - {value: plain}
  - {value: quick, when: fast}
layout:
  swap: [{value: "${size}"}]
  volumes:
    - {name: root, mount: /, size: 1GiB, grow: true}
    - {name: var, mount: /var, size: "${size}"}
`

const parent = `name: mid
extends: base
packages: [-sudo, jq, curl]
sysctl:
  - {key: b, value: two, when: "fast !bare"}
  - {key: -a}
layout:
  volumes:
    - {name: root, mount: /, size: 2GiB}
    - {name: var, mount: /var, size: 5GiB, grow: true}
`

const child = `name: leaf
extends: mid
parameters:
  pages: {type: integer, default: 6, summary: pages}
sysctl:
  - {key: a, value: again}
  - {key: z, value: last, when: fast slow}
`

func resolveSet(role, node map[string]any) (*Intent, error) {
	s := &site.Settings{Roles: map[string]site.Role{"r": {Profile: "leaf", Set: role}}}
	return Resolve(folder(grandparent, parent, child), s, &site.Node{Name: "n", Role: "r", Set: node})
}

func sysctl(i *Intent) string {
	var parts []string
	for _, s := range i.Sysctl {
		parts = append(parts, s.Key+"="+s.Value)
	}
	return strings.Join(parts, "; ")
}

func TestInheritance(t *testing.T) {
	for name, tt := range map[string]struct {
		role, node map[string]any
		want       string
	}{
		"defaults":       {nil, nil, "b=6; c=slow; d=red-6 10737418240 a,b 0.5; a=again"},
		"role set":       {map[string]any{"fast": true, "pages": 7.0}, nil, "b=two; c=fast; d=red-7 10737418240 a,b 0.5; a=again"},
		"node over role": {map[string]any{"pages": 7.0}, map[string]any{"pages": 8.0, "kind": "blue"}, "b=8; c=slow; d=blue-8 10737418240 a,b 0.5; a=again"},
		"every type":     {map[string]any{"size": "1MiB", "tags": []any{"x", 2.0}, "load": 1.25, "text": "t"}, nil, "b=6; c=slow; d=t 1048576 x,2 1.25; a=again"},
		"unset":          {map[string]any{"bare": "x", "fast": true}, nil, "b=6; c=fast; d=red-6 10737418240 a,b 0.5; e=never; a=again"},
	} {
		i, err := resolveSet(tt.role, tt.node)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got := sysctl(i); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
	i, _ := resolveSet(map[string]any{"fast": true}, nil)
	if !slices.Equal(i.Packages, []string{"curl", "jq"}) || !slices.Equal(i.Services, []string{"ssh"}) || !slices.Equal(i.Chain, []string{"base", "mid", "leaf"}) {
		t.Errorf("packages %v, services %v, chain %v", i.Packages, i.Services, i.Chain)
	}
	if i.Tuned.Value != "quick" || i.Limits[0].Value != 6 || i.Layout.Swap != 10*gib || len(i.Layout.Volumes) != 2 || i.Layout.Volumes[0].Grow || !i.Layout.Volumes[1].Grow {
		t.Errorf("%+v %+v %+v", i.Tuned, i.Limits, i.Layout)
	}
}

func TestFrom(t *testing.T) {
	i, err := resolveSet(map[string]any{"pages": 7.0}, map[string]any{"kind": "blue"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range i.Values() {
		got[v.Kind+" "+v.Key] = v.From
	}
	for key, want := range map[string]string{
		"sysctl a":        "profile leaf (leaf.yaml:6)",
		"sysctl b":        "profile base (base.yaml:16); pages by role r set",
		"sysctl d":        "profile base (base.yaml:19); kind by node n set; pages by role r set",
		"parameter pages": "role r set",
		"parameter kind":  "node n set",
		"parameter fast":  "profile base (base.yaml:6)",
		"layout /var":     "profile mid (mid.yaml:10)",
		"layout swap":     "profile base (base.yaml:27)",
	} {
		if got[key] != want {
			t.Errorf("%s is from %q, want %q", key, got[key], want)
		}
	}
}

func TestSetIsChecked(t *testing.T) {
	for name, tt := range map[string]struct {
		set  map[string]any
		want string
	}{
		"unknown":      {map[string]any{"page": 4.0}, "role r set: profile leaf has no parameter page: use one of: bare, fast, kind,"},
		"too small":    {map[string]any{"pages": 0.5}, "pages: 0.5 is not a whole number"},
		"not integer":  {map[string]any{"pages": "7"}, `pages: "7" is not a whole number: pages is a whole number: pages`},
		"not boolean":  {map[string]any{"fast": "yes"}, `fast: "yes" is neither true nor false`},
		"not a value":  {map[string]any{"kind": "green"}, `"green" is not one of red, blue`},
		"not a size":   {map[string]any{"size": "ten"}, `"ten" is not a size: write it like 100GiB`},
		"negative":     {map[string]any{"size": -1.0}, "-1 is not a size"},
		"not a list":   {map[string]any{"tags": "a"}, `"a" is not a list`},
		"nested":       {map[string]any{"tags": []any{[]any{"a"}}}, "is not one text"},
		"null":         {map[string]any{"load": nil}, "<nil> is not a number"},
		"huge integer": {map[string]any{"pages": 1e300}, "is not a whole number"},
	} {
		if _, err := resolveSet(tt.set, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

func TestChainsThatDoNotHold(t *testing.T) {
	for name, tt := range map[string]struct {
		texts []string
		want  string
	}{
		"itself":          {[]string{"name: p\nextends: p\n"}, "profile p extends itself by way of p: a profile that replaces a shipped one builds on it with extends: shipped/p"},
		"a circle":        {[]string{"name: p\nextends: q\n", "name: q\nextends: p\n"}, "profile p extends itself by way of p"},
		"nowhere":         {[]string{"name: p\nextends: q\n"}, `profile p extends q: there is no role profile "q": there are p`},
		"a path":          {[]string{"name: p\nextends: ../q\n"}, `"../q" is not the name of a profile`},
		"unknown when":    {[]string{"name: p\nsysctl:\n  - {key: a, value: b, when: fats}\n"}, "profile p (p.yaml:3): when: fats is neither a parameter nor a derived value"},
		"unknown name":    {[]string{"name: p\nmodules:\n  - {name: a, options: 'n=${fats}'}\n"}, "profile p (p.yaml:3): ${fats} is neither"},
		"default circle":  {[]string{"name: p\nparameters:\n  a: {type: boolean, default: '!b', summary: s}\n  b: {type: boolean, default: a, summary: s}\n"}, "depends on itself"},
		"bad default":     {[]string{"name: p\nparameters:\n  a: {type: integer, default: many, summary: s}\n"}, `the default of parameter a: "many" is not a whole number`},
		"no such type":    {[]string{"name: p\nparameters:\n  a: {type: int, summary: s}\n"}, `parameter a has type "int": use integer`},
		"no summary":      {[]string{"name: p\nparameters:\n  a: {type: integer}\n"}, "parameter a lacks a summary"},
		"bad name":        {[]string{"name: p\nparameters:\n  A b: {type: integer, summary: s}\n"}, `parameter "A b"`},
		"thp":             {[]string{"name: p\nthp:\n  - {value: sometimes}\n"}, `"sometimes" is not one of always, madvise, never`},
		"scheduler":       {[]string{"name: p\nschedulers:\n  - {disks: tape, scheduler: none}\n"}, `disks "tape" is not one of`},
		"bios":            {[]string{"name: p\nbios:\n  - {key: vt, value: 'on'}\n"}, `"vt" is not one of boot_mode,`},
		"bios value":      {[]string{"name: p\nbios:\n  - {key: sriov, value: 'yes'}\n"}, `sriov is "yes", not one of on, off`},
		"network role":    {[]string{"name: p\nnetworks: {required: [{role: mgmt, why: w}]}\n"}, `"mgmt" is not a network role`},
		"mount":           {[]string{"name: p\nlayout: {volumes: [{name: a, mount: var, size: 1GiB}]}\n"}, `"var" is not a mount point`},
		"volume name":     {[]string{"name: p\nlayout: {volumes: [{name: a-b, mount: /var, size: 1GiB}]}\n"}, `is called "a-b"`},
		"volume size":     {[]string{"name: p\nlayout: {volumes: [{name: a, mount: /var, size: much}]}\n"}, `"much" is not a size`},
		"two grow":        {[]string{"name: p\nlayout: {volumes: [{name: a, mount: /, size: 1G, grow: true}, {name: b, mount: /b, size: 1G, grow: true}]}\n"}, "volumes / and /b both take what is left"},
		"limit":           {[]string{"name: p\nparameters: {a: {type: string, default: x, summary: s}}\nlimits: [{domain: root, item: nofile, value: '${a}'}]\n"}, `limit root nofile: "x" is not a whole number`},
		"underived":       {[]string{"name: p\nderived: [{key: nothing}]\n"}, "nothing is neither a parameter nor a derived value"},
		"needs parameter": {[]string{"name: p\nderived: [{key: osd_memory}]\n"}, "osd_memory_gib is neither a parameter nor a derived value"},
	} {
		s := &site.Settings{Roles: map[string]site.Role{"r": {Profile: "p"}}}
		if _, err := Resolve(folder(tt.texts...), s, &site.Node{Name: "n", Role: "r"}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

// TestSiteProfiles: those of a site add to the shipped ones, extend them and
// stand in for them.
func TestSiteProfiles(t *testing.T) {
	shipped := folder("name: base\nsysctl: [{key: a, value: shipped base}]\n", "name: compute\nextends: base\nsysctl: [{key: b, value: shipped compute}]\n")
	resolve := func(profile string, own ...string) string {
		texts := map[string]string{}
		for name, f := range folder(own...) {
			texts[strings.TrimSuffix(name, ".yaml")] = string(f.Data)
		}
		s := &site.Settings{Profiles: texts, Roles: map[string]site.Role{"r": {Profile: profile}}}
		i, err := Resolve(shipped, s, &site.Node{Name: "n", Role: "r"})
		if err != nil {
			return err.Error()
		}
		return sysctl(i) + " of " + strings.Join(i.Chain, ", ")
	}
	for name, tt := range map[string]struct{ got, want string }{
		"none":     {resolve("compute"), "a=shipped base; b=shipped compute of base, compute"},
		"adds":     {resolve("gpu", "name: gpu\nextends: compute\nsysctl: [{key: c, value: own}]\n"), "a=shipped base; b=shipped compute; c=own of base, compute, gpu"},
		"replaces": {resolve("compute", "name: compute\nextends: base\nsysctl: [{key: b, value: own}]\n"), "a=shipped base; b=own of base, compute"},
		"builds on": {resolve("compute", "name: compute\nextends: shipped/compute\nsysctl: [{key: c, value: own}]\n"),
			"a=shipped base; b=shipped compute; c=own of base, shipped/compute, compute"},
		"base under shipped": {resolve("compute", "name: base\nextends: shipped/base\nsysctl: [{key: a, value: own base}]\n"), "a=own base; b=shipped compute of shipped/base, base, compute"},
		"lists both":         {resolve("gone", "name: gpu\n"), `role r: there is no role profile "gone": there are base, compute, gpu`},
		"mistaken":           {resolve("gpu", "name: gpu\nextend: base\n"), "gpu.yaml:2:1"},
	} {
		if !strings.Contains(tt.got, tt.want) {
			t.Errorf("%s: got %s, want %s", name, tt.got, tt.want)
		}
	}
}

// TestNodesAlike: what is worked out once for a role is what each of its nodes
// would get by itself.
func TestNodesAlike(t *testing.T) {
	p := cloud()
	r := NewResolver(profiles.Files, &p.Settings, NodesOf(p.Nodes))
	if len(r.alike) != len(p.Roles) {
		t.Fatalf("%d of %d roles are worked out once", len(r.alike), len(p.Roles))
	}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		once := settled(t)(r.Resolve(n))
		alone := settled(t)(r.decide(n))
		if !slices.Equal(once.Values(), alone.Values()) || !slices.Equal(once.Packages, alone.Packages) || once.Role != alone.Role || once.Node != n.Name {
			t.Errorf("%s differs", n.Name)
		}
	}
}

// TestResolveIsDeterministic: whatever is set, and whatever the machine is,
// the answer is one and the same, or an error.
func TestResolveIsDeterministic(t *testing.T) {
	names := Names(profiles.Files)
	var known []string
	for _, name := range names {
		p, err := Load(profiles.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		for parameter := range p.Parameters {
			known = append(known, parameter)
		}
	}
	slices.Sort(known)
	value := rapid.OneOf(
		rapid.Map(rapid.Float64(), func(v float64) any { return v }), rapid.Map(rapid.IntRange(-3, 600), func(v int) any { return float64(v) }),
		rapid.Map(rapid.Bool(), func(v bool) any { return v }), rapid.Map(rapid.SampledFrom([]string{"", "1GiB", "2-5", "0-3", "${nfv}", "x\x00"}), func(v string) any { return v }),
		rapid.Just[any](nil), rapid.Just[any]([]any{"a"}), rapid.Just[any](map[string]any{"a": 1.0}))
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.MapOfN(rapid.SampledFrom(known), value, 0, 5).Draw(t, "set")
		h := site.Hardware{
			Arch: rapid.SampledFrom([]string{"", "x86_64", "aarch64"}).Draw(t, "arch"), Sockets: rapid.IntRange(-1, 4).Draw(t, "sockets"),
			Cores: rapid.IntRange(-1, 64).Draw(t, "cores"), Threads: rapid.IntRange(-1, 4).Draw(t, "threads"), Memory: rapid.Int64Range(-1, 1<<42).Draw(t, "memory"),
			NUMA: rapid.SliceOfN(rapid.SampledFrom([]string{"0-3", "4-7", "0", "-", "0-8191"}), 0, 2).Draw(t, "numa"),
		}
		s := settings()
		s.Roles["r"] = site.Role{Profile: rapid.SampledFrom(names).Draw(t, "profile"), Set: set, Hardware: h, Disks: disks(rapid.IntRange(0, 40).Draw(t, "disks"))}
		n := &site.Node{Name: "n", Role: "r"}
		one, err1 := Resolve(profiles.Files, s, n)
		two, err2 := Resolve(profiles.Files, s, n)
		if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Fatalf("once %v, once %v", err1, err2)
		}
		if err1 == nil && !slices.Equal(one.Values(), two.Values()) {
			t.Fatal("two Intents of one node differ")
		}
		_ = Check(profiles.Files, &site.Plan{Settings: *s, Nodes: []site.Node{*n}})
	})
}
