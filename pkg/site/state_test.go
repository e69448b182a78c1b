package site

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var (
	macA, macB = MAC{2, 0, 0, 0, 0, 0xa}, MAC{2, 0, 0, 0, 0, 0xb}
	addrA      = netip.MustParseAddr("10.20.0.10")
	addrB      = netip.MustParseAddr("10.20.0.11")
)

// rack is a state with one network and two planned nodes.
func rack(t testing.TB) *State {
	s := NewState()
	fold(t, s,
		PlanApplied{Settings: Settings{Provision: Provision{Network: "provision"}}, Digest: "d"},
		NodePlanned{Node: Node{Name: "a", MACs: []MAC{macA}, UUID: UUID{0xa}, Serial: "SA", Addresses: map[string]netip.Addr{"provision": addrA, "other": addrB}}},
		NodePlanned{Node: Node{Name: "b", MACs: []MAC{macB}, UUID: UUID{0xb}, Serial: "SB", Addresses: map[string]netip.Addr{"provision": addrB, "other": addrA}}},
	)
	return s
}

func machine(t testing.TB, s *State, name string) Machine {
	t.Helper()
	m, ok := s.Machine(name)
	if !ok {
		t.Fatalf("there is no machine %s", name)
	}
	return *m
}

func phase(t testing.TB, s *State, name string, want Phase) {
	t.Helper()
	if m := machine(t, s, name); m.Phase != want {
		t.Errorf("%s is %s, want %s", name, m.Phase, want)
	}
}

func TestStoryOfOneInstall(t *testing.T) {
	s := rack(t)
	phase(t, s, "a", PhasePlanned)

	fold(t, s, Armed{Node: "a", By: "wei", Reason: "new", Until: clock(3600)})
	if m := machine(t, s, "a"); m.Phase != PhaseArmed || m.Arming != (Arming{By: "wei", Reason: "new", At: clock(s.Seq), Until: clock(3600)}) {
		t.Errorf("armed: %+v", m)
	}
	phase(t, s, "b", PhasePlanned)

	fold(t, s, InstallStarted{Node: "a", Attempt: 1, Token: "t1", Nonce: "n", Image: "img", MAC: macA, Addr: addrA, Deadline: clock(100)})
	if m := machine(t, s, "a"); m.Phase != PhaseBooting || m.Arming != (Arming{}) || m.Attempt.Boots != 1 || m.Attempt.Deadline != clock(100) {
		t.Errorf("started: %+v", m)
	}
	if m, ok := s.MachineByToken("t1"); !ok || m.Node.Name != "a" {
		t.Error("the token does not lead to the node")
	}

	fold(t, s, InstallResumed{Node: "a", Attempt: 1, Deadline: clock(200)}, AnswerServed{Node: "a", Attempt: 1, File: "ks.cfg"},
		InstallProgress{Node: "a", Attempt: 1, Stage: "packages", Detail: "12/300", Deadline: clock(300)})
	if m := machine(t, s, "a"); m.Phase != PhaseInstalling || m.Attempt.Boots != 2 || m.Attempt.Answers != 1 || m.Attempt.Stage != "packages" || m.Attempt.Deadline != clock(300) {
		t.Errorf("installing: %+v", m)
	}

	fold(t, s, InstallDone{Node: "a", Attempt: 1, Deadline: clock(400)})
	if m := machine(t, s, "a"); m.Phase != PhaseInstalled || !m.Installed {
		t.Errorf("done: %+v", m)
	}
	fold(t, s, NodeVerified{Node: "a", Attempt: 1})
	if m := machine(t, s, "a"); m.Phase != PhaseReady || !m.Installed || m.Attempt.Ended != clock(s.Seq) || m.Since != clock(s.Seq) {
		t.Errorf("verified: %+v", m)
	}
	phase(t, s, "b", PhasePlanned)
}

func TestOneArmingOneInstall(t *testing.T) {
	start := func(attempt int) InstallStarted {
		return InstallStarted{Node: "a", Attempt: attempt, Token: fmt.Sprint("t", attempt)}
	}
	s := rack(t)
	if got := foldError(t, s, start(1)); !strings.Contains(got, "a is planned, not armed") {
		t.Error(got)
	}
	fold(t, s, Armed{Node: "a"}, start(1))
	if got := foldError(t, s, start(2)); !strings.Contains(got, "a is booting, not armed") {
		t.Error(got)
	}
	fold(t, s, InstallDone{Node: "a", Attempt: 1})
	if got := foldError(t, s, start(2)); !strings.Contains(got, "not armed") {
		t.Error(got)
	}
	fold(t, s, Armed{Node: "a"})
	for _, attempt := range []int{0, 1, 3} {
		if got := foldError(t, s, start(attempt)); !strings.Contains(got, "does not follow attempt 1") {
			t.Error(got)
		}
	}
	fold(t, s, start(2))
	if m := machine(t, s, "a"); m.Installed || m.Attempt.Number != 2 {
		t.Errorf("second attempt: %+v", m)
	}
}

func TestDisarmedNodeDoesNotStart(t *testing.T) {
	s := rack(t)
	fold(t, s, Armed{Node: "a"}, Disarmed{Node: "a"})
	phase(t, s, "a", PhasePlanned)
	if got := foldError(t, s, InstallStarted{Node: "a", Attempt: 1}); !strings.Contains(got, "not armed") {
		t.Error(got)
	}
}

func TestReplannedNodeIsDisarmed(t *testing.T) {
	s := rack(t)
	fold(t, s, Armed{Node: "a"}, Armed{Node: "b"})
	changed := *machine(t, s, "a").Node
	changed.Disks.System = []DiskSelector{{WWN: "0x1"}}
	fold(t, s, NodePlanned{Node: changed})
	if m := machine(t, s, "a"); m.Phase != PhasePlanned || m.Arming != (Arming{}) {
		t.Errorf("%+v: the arming consented to other disks", m)
	}
	phase(t, s, "b", PhaseArmed)
}

func TestReplannedNodeKeepsItsHistory(t *testing.T) {
	s := rack(t)
	fold(t, s, Armed{Node: "a"}, InstallStarted{Node: "a", Attempt: 1, Token: "t1"}, InstallDone{Node: "a", Attempt: 1}, NodeVerified{Node: "a", Attempt: 1})
	moved := *machine(t, s, "a").Node
	moved.Rack = "Z"
	fold(t, s, NodePlanned{Node: moved})
	if m := machine(t, s, "a"); m.Phase != PhaseReady || !m.Installed || m.Attempt.Number != 1 || m.Node.Rack != "Z" {
		t.Errorf("%+v", m)
	}
}

// of the events of attempts, each is refused when its attempt is not the one
// that runs.
func TestLateReportsAreRefused(t *testing.T) {
	of := func(attempt int) []Body {
		return []Body{
			InstallResumed{Node: "a", Attempt: attempt}, AnswerServed{Node: "a", Attempt: attempt}, InstallProgress{Node: "a", Attempt: attempt},
			InstallDone{Node: "a", Attempt: attempt}, InstallFailed{Node: "a", Attempt: attempt}, NodeVerified{Node: "a", Attempt: attempt}, EvidenceStored{Node: "a", Attempt: attempt},
		}
	}
	s := rack(t)
	fold(t, s, Armed{Node: "a"}, InstallStarted{Node: "a", Attempt: 1, Token: "t1"}, InstallFailed{Node: "a", Attempt: 1}, Armed{Node: "a"})
	for _, b := range of(1) {
		if got := foldError(t, s, b); !strings.Contains(got, "attempt 1 of a is over: it is armed") {
			t.Errorf("%T on a node that was armed again: %s", b, got)
		}
	}
	if _, ok := s.MachineByToken("t1"); ok {
		t.Error("the token of an attempt outlives the next arming")
	}
	fold(t, s, InstallStarted{Node: "a", Attempt: 2, Token: "t2"})
	for _, b := range of(1) {
		if got := foldError(t, s, b); !strings.Contains(got, "a is at attempt 2, not 1") {
			t.Errorf("%T: %s", b, got)
		}
	}
	for _, b := range of(2) {
		next := s.Fork()
		fold(t, next, b)
	}
	fold(t, s, NodeHeld{Node: "a", Reason: "smoke"})
	for _, b := range of(2) {
		if got := foldError(t, s, b); !strings.Contains(got, "attempt 2 of a is over: it is held") {
			t.Errorf("%T on a held node: %s", b, got)
		}
	}
}

func TestFailureKeepsWhatIsKnown(t *testing.T) {
	s := rack(t)
	fold(t, s, Armed{Node: "a"}, InstallStarted{Node: "a", Attempt: 1, Token: "t1"}, InstallProgress{Node: "a", Attempt: 1, Stage: "packages"},
		InstallFailed{Node: "a", Attempt: 1, Stage: "packages", Reason: "no space", Wiped: true}, EvidenceStored{Node: "a", Attempt: 1, File: "a/1/syslog", Size: 5})
	m := machine(t, s, "a")
	if m.Phase != PhaseFailed || m.Reason != "no space" || !m.Wiped || len(m.Evidence) != 1 || m.Attempt.Ended.IsZero() {
		t.Errorf("%+v", m)
	}
	if _, ok := s.MachineByToken("t1"); !ok {
		t.Error("a failed attempt cannot send its evidence")
	}
	fold(t, s, Armed{Node: "a"}, InstallStarted{Node: "a", Attempt: 2}, InstallDone{Node: "a", Attempt: 2})
	if m := machine(t, s, "a"); m.Wiped || m.Reason != "" || len(m.Evidence) != 1 {
		t.Errorf("after the next install: %+v", m)
	}
}

func TestDeviatingNodeIsNotReady(t *testing.T) {
	s := rack(t)
	fold(t, s, Armed{Node: "a"}, InstallStarted{Node: "a", Attempt: 1}, InstallDone{Node: "a", Attempt: 1}, NodeVerified{Node: "a", Attempt: 1, Deviations: []string{"hugepages"}})
	if m := machine(t, s, "a"); m.Phase == PhaseReady || len(m.Deviations) != 1 {
		t.Errorf("%+v", m)
	}
	fold(t, s, NodeVerified{Node: "a", Attempt: 1})
	if m := machine(t, s, "a"); m.Phase != PhaseReady || len(m.Deviations) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestEventsMustFit(t *testing.T) {
	s := rack(t)
	if err := s.Fork().Apply(Event{Seq: s.Seq + 2, Body: Armed{Node: "a"}}); err == nil || !strings.Contains(err.Error(), "does not follow") {
		t.Errorf("a gap in the log: %v", err)
	}
	if err := s.Fork().Apply(Event{Seq: s.Seq, Body: Armed{Node: "a"}}); err == nil {
		t.Error("an event was folded twice")
	}
	for _, b := range []Body{Armed{Node: "x"}, Disarmed{Node: "x"}, NodeUnplanned{Name: "x"}, NodeHeld{Node: "x"}, InstallStarted{Node: "x"}, InstallDone{Node: "x"}} {
		if got := foldError(t, s, b); !strings.Contains(got, "there is no node x") {
			t.Errorf("%T: %s", b, got)
		}
	}
	before := s.Seq
	if err := s.Apply(Event{Seq: s.Seq + 1, Body: Armed{Node: "x"}}); err == nil || s.Seq != before {
		t.Errorf("a refused event moved the state to %d: %v", s.Seq, err)
	}
}

func TestLookups(t *testing.T) {
	s := rack(t)
	found := func(name string) func(*Machine, bool) {
		return func(m *Machine, ok bool) {
			t.Helper()
			if !ok && name != "" || ok && m.Node.Name != name {
				t.Errorf("found %v, %t, want %q", m, ok, name)
			}
		}
	}
	found("a")(s.MachineByMAC(macA))
	found("b")(s.MachineByUUID(UUID{0xb}))
	found("b")(s.MachineBySerial("SB"))
	found("a")(s.MachineByAddr(addrA))
	found("")(s.MachineByUUID(UUID{}))
	found("")(s.MachineBySerial(""))

	fold(t, s, PlanApplied{Settings: Settings{Provision: Provision{Network: "other"}}})
	found("b")(s.MachineByAddr(addrA))
	found("a")(s.MachineByAddr(addrB))

	fold(t, s, NodeUnplanned{Name: "a"})
	found("")(s.MachineByMAC(macA))
	found("")(s.MachineByAddr(addrB))
	found("")(s.MachineByUUID(UUID{0xa}))
	found("")(s.MachineBySerial("SA"))
	if got := names(s.Machines()); fmt.Sprint(got) != "[b]" || s.Len() != 1 {
		t.Errorf("left: %v", got)
	}
}

func TestNodesMayExchangeTheirMACs(t *testing.T) {
	s := rack(t)
	a, b := *machine(t, s, "a").Node, *machine(t, s, "b").Node
	a.MACs, b.MACs = b.MACs, a.MACs
	a.Addresses, b.Addresses = b.Addresses, a.Addresses
	fold(t, s, NodePlanned{Node: a}, NodePlanned{Node: b})
	for mac, want := range map[MAC]string{macA: "b", macB: "a"} {
		if m, ok := s.MachineByMAC(mac); !ok || m.Node.Name != want {
			t.Errorf("%s leads to %v, %t", mac, m, ok)
		}
	}
	if m, ok := s.MachineByAddr(addrA); !ok || m.Node.Name != "b" {
		t.Errorf("%s leads to %v, %t", addrA, m, ok)
	}
}

func TestLeases(t *testing.T) {
	s := NewState()
	lease := func(m MAC, a netip.Addr) LeaseGranted {
		return LeaseGranted{Lease: Lease{MAC: m, Addr: a, Until: clock(99)}}
	}
	fold(t, s, lease(macA, addrA), lease(macA, addrB))
	if _, ok := s.Leases.Get(addrA); ok {
		t.Error("a MAC holds two addresses")
	}
	fold(t, s, lease(macB, addrB))
	if l, ok := s.LeaseOf(macA); ok {
		t.Errorf("an address has two holders: %v", l)
	}
	fold(t, s, AddressDeclined{Addr: addrB, MAC: macB, Until: clock(50)})
	if _, ok := s.LeaseOf(macB); ok {
		t.Error("a declined address is still leased")
	}
	if until, ok := s.Declined.Get(addrB); !ok || until != clock(50) {
		t.Errorf("declined until %s, %t", until, ok)
	}
	fold(t, s, lease(macA, addrB), LeaseReleased{MAC: macB, Addr: addrB})
	if l, ok := s.LeaseOf(macA); !ok || l.Addr != addrB {
		t.Error("somebody else's release took a lease away")
	}
	if _, ok := s.Declined.Get(addrB); ok {
		t.Error("a granted address is still declined")
	}
	fold(t, s, LeaseReleased{MAC: macA, Addr: addrB})
	if s.Leases.Len() != 0 {
		t.Error("a released address is still leased")
	}
}

func TestStrangerBecomesANode(t *testing.T) {
	s := rack(t)
	stranger := MAC{2, 9, 9, 9, 9, 9}
	fold(t, s, StrangerSeen{MAC: stranger, Arch: "x86_64"})
	if st, ok := s.Strangers.Get(stranger); !ok || st.First != clock(s.Seq) {
		t.Errorf("%v, %t", st, ok)
	}
	fold(t, s, NodePlanned{Node: Node{Name: "c", MACs: []MAC{stranger}}})
	if _, ok := s.Strangers.Get(stranger); ok {
		t.Error("a planned MAC is still a stranger")
	}
}

// genBody draws an event from a small world, so that events meet: three
// nodes, and a few MACs and addresses that each belong to one node.
func genBody(t *rapid.T) Body {
	i := rapid.IntRange(0, 2).Draw(t, "node")
	node := fmt.Sprint("n", i)
	mac := MAC{2, 0, 0, 0, byte(i), byte(rapid.IntRange(0, 2).Draw(t, "mac"))}
	addr := netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 2).Draw(t, "net")), byte(i)})
	attempt := rapid.IntRange(1, 3).Draw(t, "attempt")
	at := clock(uint64(rapid.IntRange(0, 99).Draw(t, "time")))
	return rapid.SampledFrom([]Body{
		PlanApplied{Settings: Settings{Provision: Provision{Network: fmt.Sprint("net", rapid.IntRange(0, 1).Draw(t, "network"))}}, Digest: rapid.StringMatching("[a-f]{4}").Draw(t, "digest")},
		NodePlanned{Node: Node{Name: node, MACs: []MAC{mac}, UUID: UUID{byte(i)}, Serial: node, Addresses: map[string]netip.Addr{"net0": addr, "net1": addr.Next()}}},
		NodeUnplanned{Name: node}, Armed{Node: node, By: "x", Until: at}, Disarmed{Node: node}, NodeHeld{Node: node, Reason: "r"},
		ImageAdded{Image: Image{Name: node, Digest: node}}, ImageRemoved{Name: node}, StrangerSeen{MAC: MAC{4, 0, 0, 0, 0, byte(i)}},
		LeaseGranted{Lease: Lease{MAC: mac, Addr: addr, Until: at}}, LeaseReleased{MAC: mac}, AddressDeclined{Addr: addr, MAC: mac, Until: at},
		InstallStarted{Node: node, Attempt: attempt, Token: fmt.Sprint(node, "-", attempt)}, InstallResumed{Node: node, Attempt: attempt},
		AnswerServed{Node: node, Attempt: attempt}, InstallProgress{Node: node, Attempt: attempt, Stage: "s", Deadline: at}, InstallDone{Node: node, Attempt: attempt},
		InstallFailed{Node: node, Attempt: attempt, Wiped: i == 0}, NodeVerified{Node: node, Attempt: attempt}, EvidenceStored{Node: node, Attempt: attempt, File: "f"},
		JobQueued{ID: node, Verb: "power", Args: []string{"cycle"}, Targets: []string{"a", node + "x"}}, JobStep{ID: node, Node: "a", What: "power off issued", Power: "off"}, JobNodeDone{ID: node, Node: "a", OK: i == 0},
		JobEnded{ID: node, Reason: "r"}, JobResumed{ID: node}, BMCLearned{Node: node, Known: BMCKnown{Model: node}},
	}).Draw(t, "event")
}

// view is everything that a State tells, indexes included.
type view struct {
	Seq       uint64
	Settings  Settings
	Digest    string
	PlanSeq   uint64
	Machines  []*Machine
	Leases    map[netip.Addr]Lease
	Declined  map[netip.Addr]time.Time
	Images    map[string]Image
	Strangers map[MAC]Stranger
	ByMAC     map[MAC]string
	ByUUID    map[UUID]string
	BySerial  map[string]string
	ByAddr    map[netip.Addr]string
	ByToken   map[string]string
	LeaseOf   map[MAC]netip.Addr
	Jobs      []*Job
	JobNodes  map[JobKey]JobNode
}

func viewOf(s *State) view {
	return view{
		s.Seq, s.Settings, s.PlanDigest, s.PlanSeq, s.Machines(), maps.Collect(s.Leases.All()), maps.Collect(s.Declined.All()), maps.Collect(s.Images.All()), maps.Collect(s.Strangers.All()),
		maps.Collect(s.byMAC.All()), maps.Collect(s.byUUID.All()), maps.Collect(s.bySerial.All()), maps.Collect(s.byAddr.All()), maps.Collect(s.byToken.All()), maps.Collect(s.leaseOf.All()),
		s.AllJobs(), maps.Collect(s.JobNodes.All()),
	}
}

// drawState folds random events; those that do not fit are passed over, and
// none of them may leave a trace in the state that it was forked from.
func drawState(t *rapid.T) *State {
	s := NewState()
	for range rapid.IntRange(0, 80).Draw(t, "events") {
		next := s.Fork()
		if err := next.Apply(Event{Seq: s.Seq + 1, At: clock(s.Seq + 1), Body: genBody(t)}); err == nil {
			s = next
		}
	}
	return s
}

func TestSnapshotRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back State
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(viewOf(s), viewOf(&back), sameAddr); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A published state does not change, whatever is folded into its forks.
func TestForkLeavesItsParentAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		before, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			next := s.Fork()
			for range rapid.IntRange(1, 20).Draw(t, "events") {
				step := next.Fork()
				if err := step.Apply(Event{Seq: step.Seq + 1, At: clock(step.Seq + 1), Body: genBody(t)}); err == nil {
					next = step
				}
			}
			if after, err := json.Marshal(s); err != nil || string(after) != string(before) {
				t.Fatalf("the parent changed from\n%s to\n%s, %v", before, after, err)
			}
		}
	})
}

// The laws of an install, whatever the order of events: what runs was armed
// for it, a token leads to its own node only, and no two nodes share one.
func TestLawsHoldInEveryState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		for _, m := range s.Machines() {
			if m.Running() && (m.Attempt.Number == 0 || m.Arming != (Arming{})) {
				t.Fatalf("%s runs without having used up an arming: %+v", m.Node.Name, m)
			}
			if by, ok := s.MachineByMAC(m.Node.MACs[0]); !ok || by.Node.Name != m.Node.Name {
				t.Fatalf("the MAC of %s leads to %v", m.Node.Name, by)
			}
		}
		for token, name := range s.byToken.All() {
			m, ok := s.Machine(name)
			if !ok || m.Attempt.Token != token || m.Phase == PhaseArmed || m.Phase == PhasePlanned {
				t.Fatalf("token %s leads to %s, which is %+v", token, name, m)
			}
		}
	})
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{"PXEClient:Arch:00007": "PXEClient:Arch:00007", "\x1b[31mred\x00\n": "[31mred", "你好x": "x", "": ""} {
		if got := Printable(text, 64); got != want {
			t.Errorf("%q is %q", text, got)
		}
	}
	if got := Printable(strings.Repeat("a", 99), 5); got != "aaaaa" {
		t.Errorf("got %q", got)
	}
}
