package site

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	for pattern, want := range map[string]string{
		"":              "",
		"cs-db-01":      "cs-db-01",
		"cs-[08-11]":    "cs-08 cs-09 cs-10 cs-11",
		"cs-[8-11]":     "cs-8 cs-9 cs-10 cs-11",
		"[1-2]":         "1 2",
		"r[1,3-5]":      "r1 r3 r4 r5",
		"r[01,10]x":     "r01x r10x",
		"a[1-2]b[1-2]":  "a1b1 a1b2 a2b1 a2b2",
		"10.0.0.[9-11]": "10.0.0.9 10.0.0.10 10.0.0.11",
		"n[0001-0001]":  "n0001",
		"n[099-101]":    "n099 n100 n101",
	} {
		got, err := Expand(pattern)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q is %q, %v; want %q", pattern, got, err, want)
		}
	}
	for pattern, why := range map[string]string{
		"a1]b[1-2]":                             "] without a [",
		"a[1-2":                                 "[ without a ]",
		"a1-2]":                                 "] without a [",
		"a[1-2]]":                               "] without a [",
		"a[2-1]":                                "backwards",
		"a[]":                                   "not a range of numbers",
		"a[x-y]":                                "not a range of numbers",
		"a[-1-2]":                               "not a range of numbers",
		"a[1-2-3]":                              "not a range of numbers",
		"a[[1-2]]":                              "not a range of numbers",
		"a[0-65536]":                            "more than 65536",
		"a[1-300][1-300]":                       "more than 65536",
		"a[" + strings.Repeat("1-60000,", 9000): "[ without a ]",
		"a[" + strings.Repeat("1-60000,", 9000) + "1]":     "more than 65536",
		"a[0000000000000000000000001-2]":                   "digits",
		strings.Repeat("[1-2]", 20):                        "more than 8 ranges",
		strings.Repeat("long", 1000) + "[1-60000]":         "more than 65536",
		"[1-256]" + strings.Repeat("long", 1000) + "[1-9]": "more than 65536",
	} {
		got, err := Expand(pattern)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.40q is %d names, %v; want an error that says %q", pattern, len(got), err, why)
		} else if len(err.Error()) > 500 {
			t.Errorf("the error of %.40q has %d bytes", pattern, len(err.Error()))
		}
	}
}

func FuzzExpand(f *testing.F) {
	f.Add("cs-[0001-0512]")
	f.Add("a[1,3-5]b[1-2]")
	f.Fuzz(func(t *testing.T, pattern string) {
		names, err := Expand(pattern)
		if err != nil {
			return
		}
		if len(names) == 0 || len(names) > maxExpansion {
			t.Fatalf("%q is %d names", pattern, len(names))
		}
		for _, n := range names {
			if strings.ContainsAny(n, "[]") {
				t.Fatalf("%q gave %q", pattern, n)
			}
		}
	})
}

func TestRange(t *testing.T) {
	r := Range{First: netip.MustParseAddr("10.0.0.250"), Last: netip.MustParseAddr("10.0.1.5")}
	if r.Size() != 12 {
		t.Errorf("Size is %d", r.Size())
	}
	for i, want := range map[int]string{0: "10.0.0.250", 6: "10.0.1.0", 11: "10.0.1.5"} {
		if a, ok := r.At(i); !ok || a.String() != want || !r.Contains(a) {
			t.Errorf("At(%d) is %s, %t", i, a, ok)
		}
	}
	for _, i := range []int{-1, 12} {
		if a, ok := r.At(i); ok {
			t.Errorf("At(%d) is %s", i, a)
		}
	}
	for _, s := range []string{"10.0.0.249", "10.0.1.6", "::ffff:10.0.0.251", "fe80::1"} {
		if r.Contains(netip.MustParseAddr(s)) {
			t.Errorf("it contains %s", s)
		}
	}
	six := netip.MustParseAddr("fd00::1")
	for _, odd := range []Range{{}, {First: r.First}, {First: r.Last, Last: r.First}, {First: six, Last: six}, {First: six, Last: r.Last}} {
		if odd.Size() != 0 {
			t.Errorf("%v has %d addresses", odd, odd.Size())
		}
	}
	all := Range{First: netip.MustParseAddr("0.0.0.0"), Last: netip.MustParseAddr("255.255.255.255")}
	if all.Size() != 1<<32 {
		t.Errorf("all of IPv4 has %d addresses", all.Size())
	}
}

func TestAddrAfter(t *testing.T) {
	a := netip.MustParseAddr("255.255.255.250")
	if got, ok := AddrAfter(a, 5); !ok || got.String() != "255.255.255.255" {
		t.Errorf("%s, %t", got, ok)
	}
	if got, ok := AddrAfter(a, 6); ok {
		t.Errorf("past the end: %s", got)
	}
	if got, ok := AddrAfter(netip.MustParseAddr("fd00::1"), 1); ok {
		t.Errorf("IPv6: %s", got)
	}
}

func TestSelector(t *testing.T) {
	s := NewState()
	for i, n := range []Node{
		{Name: "cs-01", Role: "compute", Rack: "A01"}, {Name: "cs-02", Role: "compute", Rack: "A02"}, {Name: "cs-03", Role: "compute", Rack: "A02"},
		{Name: "db-01", Role: "database", Rack: "A01"}, {Name: "db-02", Role: "database", Rack: "B01"},
	} {
		fold(t, s, NodePlanned{Node: n})
		if i == 1 {
			fold(t, s, Armed{Node: n.Name})
		}
	}
	for text, want := range map[string]string{
		"all":                               "cs-01 cs-02 cs-03 db-01 db-02",
		"cs-01":                             "cs-01",
		"cs-[01-03]":                        "cs-01 cs-02 cs-03",
		"cs-[01,03],db-01":                  "cs-01 cs-03 db-01",
		"role=compute":                      "cs-01 cs-02 cs-03",
		"rack=A[01-02]":                     "cs-01 cs-02 cs-03 db-01",
		"state=armed":                       "cs-02",
		"state=failed":                      "",
		"role=compute&rack=A02":             "cs-02 cs-03",
		"role=compute ! cs-02":              "cs-01 cs-03",
		"!role=compute":                     "db-01 db-02",
		"!rack=A01!rack=A02":                "db-02",
		"role=database&rack=B01,cs-01":      "cs-01 db-02",
		"rack=A02!state=armed, rack=B01":    "cs-03 db-02",
		"role=compute&rack=A02!state=armed": "cs-03",
		"role=nothing":                      "",
	} {
		sel, err := ParseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		machines, err := s.Select(sel)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var names []string
		for _, m := range machines {
			names = append(names, m.Node.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q picks %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", ",", "a,,b", "&", "a&", "a!", "a&&b", "color=red", "cs-[1-", "role=", "name=", "!", "a,!"} {
		if sel, err := ParseSelector(text); err == nil {
			if machines, err := s.Select(sel); err == nil {
				t.Errorf("%q picks %d machines without an error", text, len(machines))
			}
		}
	}
}

func TestSelectorNamesWhatIsMissing(t *testing.T) {
	s := NewState()
	fold(t, s, NodePlanned{Node: Node{Name: "cs-01"}})
	sel, err := ParseSelector("cs-[01-09]")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Select(sel)
	if err == nil || !strings.Contains(err.Error(), "cs-02, cs-03, cs-04, cs-05, cs-06, and 3 more") {
		t.Errorf("%v", err)
	}
}

// A word that is one slip away from what there is brings it along.
func TestSelectorSaysWhatWasMeant(t *testing.T) {
	s := NewState()
	fold(t, s, NodePlanned{Node: Node{Name: "cs-01"}})
	for text, want := range map[string]string{
		"cs-1":        "the plan has no node cs-1: did you mean cs-01?",
		"computer":    "the plan has no node computer: see `rackseed node list`",
		"state=raedy": `there is no state "raedy": there are seen, planned, armed,`,
	} {
		sel, err := ParseSelector(text)
		if err == nil {
			_, err = s.Select(sel)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// fold applies bodies in order, each a second after the one before.
func fold(t testing.TB, s *State, bodies ...Body) {
	t.Helper()
	for _, b := range bodies {
		if err := s.Apply(Event{Seq: s.Seq + 1, At: clock(s.Seq + 1), Body: b}); err != nil {
			t.Fatal(err)
		}
	}
}

func foldError(t testing.TB, s *State, b Body) string {
	t.Helper()
	next := s.Fork()
	err := next.Apply(Event{Seq: s.Seq + 1, At: clock(s.Seq + 1), Body: b})
	if err == nil {
		t.Fatalf("%T was folded", b)
	}
	return err.Error()
}

func names(machines []*Machine) []string {
	out := make([]string, 0, len(machines))
	for _, m := range machines {
		out = append(out, m.Node.Name)
	}
	slices.Sort(out)
	return out
}
