package site

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func genNode(t *rapid.T, name string) Node {
	n := Node{Name: name, Role: rapid.SampledFrom([]string{"compute", "database"}).Draw(t, "role"), Rack: rapid.SampledFrom([]string{"", "A01"}).Draw(t, "rack")}
	if rapid.Bool().Draw(t, "has a mac") {
		n.MACs = []MAC{{2, 0, 0, 0, 0, byte(rapid.IntRange(1, 9).Draw(t, "mac"))}}
	}
	if rapid.Bool().Draw(t, "has an address") {
		n.Addresses = map[string]netip.Addr{"provision": netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 9).Draw(t, "addr"))})}
	}
	if rapid.Bool().Draw(t, "has a disk") {
		rotational := rapid.Bool().Draw(t, "rotational")
		n.Disks.System = []DiskSelector{{WWN: "0x1", Rotational: &rotational}}
	}
	if rapid.Bool().Draw(t, "has settings") {
		n.Set = map[string]any{"n": rapid.IntRange(0, 3).Draw(t, "n"), "list": []any{1, "x"}}
	}
	return n
}

func genPlan(t *rapid.T) *Plan {
	p := &Plan{}
	p.Site = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "site")
	p.Provision.Network = rapid.SampledFrom([]string{"provision", "other"}).Draw(t, "network")
	p.Roles = map[string]Role{"compute": {Profile: "compute", Set: map[string]any{"pages": rapid.IntRange(0, 2).Draw(t, "pages")}}}
	for i := range 6 {
		if rapid.Bool().Draw(t, "present") {
			p.Nodes = append(p.Nodes, genNode(t, fmt.Sprint("n", i)))
		}
	}
	return rapid.SampledFrom([]*Plan{p, {Settings: p.Settings}}).Draw(t, "plan")
}

// Folding the difference leads to the plan, through the log and back, and
// then there is no difference left.
func TestDiffLeadsToThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewState()
		for step := range 3 {
			p := genPlan(t)
			digest := fmt.Sprint("digest", step)
			for _, b := range Diff(s, p, digest, "wei") {
				data, err := EncodeEvent(clock(s.Seq+1), b)
				if err != nil {
					t.Fatal(err)
				}
				e, err := DecodeEvent(s.Seq+1, data)
				if err != nil {
					t.Fatal(err)
				}
				next := s.Fork()
				if err := next.Apply(e); err != nil {
					t.Fatal(err)
				}
				s = next
			}
			if again := Diff(s, p, digest, "wei"); len(again) > 0 {
				t.Fatalf("a difference is left: %+v", again)
			}
			want, _ := json.Marshal(p)
			got, _ := json.Marshal(s.Plan())
			if string(got) != string(want) && len(p.Nodes)+s.Len() > 0 {
				t.Fatalf("folded to\n%s, want\n%s", got, want)
			}
			if s.PlanDigest != digest {
				t.Fatalf("the digest is %s", s.PlanDigest)
			}
		}
	})
}

func TestDiffOrder(t *testing.T) {
	s := rack(t)
	p := s.Plan()
	p.Site = "new"
	p.Nodes = []Node{{Name: "z"}, {Name: "b", Role: "changed"}, {Name: "c"}}
	var got []string
	for _, b := range Diff(s, p, "d2", "wei") {
		got = append(got, b.Kind()+" "+b.Subject())
	}
	want := []string{"plan-applied ", "node-unplanned a", "node-planned b", "node-planned c", "node-planned z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDiffOfTheSamePlanIsNothing(t *testing.T) {
	s := rack(t)
	fold(t, s, Armed{Node: "a"})
	if got := Diff(s, s.Plan(), s.PlanDigest, "wei"); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// Sealing gives another value every time; only the digest can tell whether
// the secret has changed.
func TestDiffOfASealedSecret(t *testing.T) {
	s := rack(t)
	p := s.Plan()
	p.Access.Root = "sealed:one"
	for _, b := range Diff(s, p, "d2", "wei") {
		fold(t, s, b)
	}
	p.Access.Root = "sealed:two"
	if got := Diff(s, p, "d2", "wei"); len(got) > 0 {
		t.Errorf("the same plan sealed again: %+v", got)
	}
	if got := Diff(s, p, "d3", "wei"); len(got) != 1 {
		t.Errorf("another secret: %+v", got)
	}
}

// Every field of a node that the log keeps makes a difference. A field that
// sameNode forgot would be a change of plan that is never applied.
func TestEveryFieldOfANodeMakesADifference(t *testing.T) {
	full := bodies()[1].(NodePlanned).Node
	differs(t, reflect.TypeFor[Node](), func(i int) (Node, Node) {
		changed := full
		reflect.ValueOf(&changed).Elem().Field(i).SetZero()
		return full, changed
	})
	differs(t, reflect.TypeFor[DiskSelector](), func(i int) (Node, Node) {
		changed := full
		d := full.Disks.System[0]
		reflect.ValueOf(&d).Elem().Field(i).SetZero()
		changed.Disks.System = []DiskSelector{d}
		return full, changed
	})
}

func differs(t *testing.T, of reflect.Type, pair func(i int) (Node, Node)) {
	t.Helper()
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Tag.Get("json") == "-" {
			continue
		}
		if a, b := pair(i); sameNode(&a, &b) {
			t.Errorf("nodes that differ in %s.%s count as the same", of.Name(), f.Name)
		}
	}
}

func TestNumbersOfTheLogAreTheNumbersOfThePlan(t *testing.T) {
	a := Node{Name: "n", Set: map[string]any{"pages": 200, "list": []any{1}}}
	b := Node{Name: "n", Set: map[string]any{"pages": 200.0, "list": []any{1.0}}, Addresses: map[string]netip.Addr{}}
	if !sameNode(&a, &b) {
		t.Error("a node that went through the log counts as changed, and would lose its arming")
	}
	b.Set["pages"] = 201.0
	if sameNode(&a, &b) {
		t.Error("a changed setting counts as the same")
	}
}

func BenchmarkDiff(b *testing.B) {
	p := bigPlan(16000)
	s := NewState()
	for _, body := range Diff(s, p, "d", "") {
		fold(b, s, body)
	}
	for b.Loop() {
		if got := Diff(s, p, "d", ""); len(got) > 0 {
			b.Fatal(got)
		}
	}
}
