package site

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func clock(n uint64) time.Time {
	return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
}

var sameAddr = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// bodies is one of each kind, every field filled in.
func bodies() []Body {
	rotational := true
	mac, addr := MAC{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("10.20.0.1")
	disks := []DiskSelector{{WWN: "w", Serial: "s", ByPath: "p", Model: "m", MinSize: 1, MaxSize: 2, Rotational: &rotational, Count: 2}}
	nic := NIC{MAC: mac, Path: "0000:3b:00.0", Name: "ens1", Speed: 25000, Switch: "s1", Port: "1"}
	hardware := Hardware{
		Arch: "x86_64", Boot: "uefi", Sockets: 2, Cores: 16, Threads: 2, NUMA: []string{"0"}, CPULevel: 3, CPUFlags: []string{"pdpe1gb"}, Memory: 1,
		Disks: []InventoryDisk{{WWN: "w", Serial: "s", ByPath: "p", Model: "m", Size: 1, Rotational: true, Count: 2}},
	}
	node := Node{
		Name: "cs-01", Role: "compute", Rack: "A01", U: 12, MACs: []MAC{mac}, Serial: "0123", UUID: UUID{1}, Addresses: map[string]netip.Addr{"provision": addr},
		BMC:   BMC{Address: "10.21.0.1", Protocol: "ipmi", Username: "u", Password: SecretRef{Env: "E", File: "F", Sealed: "sealed:x"}, MAC: mac},
		Disks: Disks{System: disks, OSD: disks, OSDDB: disks, OSDPolicy: OSDZap}, NICs: map[string]NIC{"p1": nic}, Hardware: hardware,
		Image: "rocky9", LocalBoot: LocalExit, Adopted: true, Set: map[string]any{"n": 1.0, "b": true, "s": "x", "l": []any{1.0}, "m": map[string]any{"k": nil}},
	}
	settings := Settings{
		Site: "s", Domain: "d", Locale: Locale{"t", "l", "k"}, Access: Access{Root: "sealed:r", SSHKeys: []string{"key"}},
		Provision: Provision{Network: "provision", DHCP: DHCPServer, Pool: Range{addr, addr}, LeaseTime: time.Hour, LocalBoot: LocalSanboot, FullAnswer: true},
		Networks: map[string]Network{"provision": {Subnet: netip.MustParsePrefix("10.20.0.0/16"), VLAN: 1, MTU: 9000, Gateway: addr, DNS: []netip.Addr{addr}, NTP: []netip.Addr{addr},
			Roles: []NetworkRole{NetTenant}, Routes: []Route{{To: netip.MustParsePrefix("10.30.0.0/16"), Via: addr}}, BMCPool: Range{addr, addr}, DefaultRoute: &rotational}},
		Images: map[string]Medium{"rocky9": {File: "f", SHA256: "aa", Mirror: "http://m"}}, BMC: node.BMC,
		Roles: map[string]Role{"compute": {Profile: "p", Image: "rocky9", Set: map[string]any{"x": "y"}, Networks: map[string]string{"provision": "bond0"},
			NICs: node.NICs, Disks: node.Disks, Hardware: hardware, Bonds: map[string]Bond{"bond0": {NICs: []string{"p1"}, Mode: "802.3ad", Options: map[string]string{"miimon": "100"}, MTU: 9000, Fallback: "yes"}}}},
		OpenStack:    OpenStack{Deployer: "kolla", Release: "2024.1", InternalVIP: addr, ExternalVIP: addr, VirtualRouterID: 51, Registry: "r:4000"},
		Webhooks:     []Webhook{{URL: "https://h", Secret: SecretRef{Env: "E", File: "F", Sealed: "sealed:x"}, Events: []WebhookEvent{HookDone}, CA: "ca"}},
		Repositories: map[string]Repository{"site": {URL: "http://m", Key: "k", Images: []string{"rocky9"}, Suite: "trixie"}},
		Profiles:     map[string]string{"own": "name: own\n"},
		Discovery:    Discovery{Strangers: true, Image: "rocky9", Wiring: WiringEnforce, Rules: []DiscoveryRule{{Title: "t", Match: DiscoveryMatch{Switch: "leaf-*", Port: "*", Serial: []string{"S*"}, Model: "R*", Disks: 2}, Name: "n-{1}", Role: "compute", Rack: "A{1}"}}},
	}
	inventory := Inventory{
		Source: FromDiscovery, At: clock(3), Manufacturer: "Dell", Model: "R760", Serial: "0123", UUID: UUID{1}, Firmware: "2.1", Health: "OK", Problems: []string{"fan 3"},
		BMC: InventoryBMC{Address: addr, MAC: mac, Firmware: "7.0"}, Hardware: hardware,
		NICs:    []InventoryNIC{{Name: "ens1", MAC: mac, Path: "0000:3b:00.0", Driver: "ice", Link: "up", Speed: 25000, MTU: 9702, Neighbour: Neighbour{"s1", "1", 122, 9216}}},
		Reached: []Reached{{mac, "management", true}},
	}
	image := Image{Name: "rocky9", Digest: "aa", Size: 1 << 40, Family: "rhel", Distro: "rocky", Version: "9", Arch: "x86_64", Label: "l", Kernel: "k", Initrd: "i", Stage2: "2", Repos: []string{"r"}, Groups: []string{"core"}, Added: clock(9)}
	return []Body{
		PlanApplied{Settings: settings, Digest: "d", Nodes: 1, By: "by"},
		NodePlanned{Node: node, By: "by"}, NodeUnplanned{Name: "cs-01"},
		ImageAdded{Image: image}, ImageRemoved{Name: "rocky9"},
		BootLadderStepped{Node: "cs-01", MAC: mac, From: RungBypass, To: RungFull}, BootLadderWorked{Node: "cs-01", MAC: mac, Rung: RungFull, Model: "m"},
		StrangerSeen{MAC: mac, Arch: "x86_64", Class: "PXEClient", Hostname: "h"},
		LeaseGranted{Lease: Lease{MAC: mac, Addr: addr, Until: clock(5), Hostname: "h"}}, LeaseReleased{MAC: mac, Addr: addr}, AddressDeclined{Addr: addr, MAC: mac, Until: clock(6)},
		Armed{Node: "cs-01", By: "by", Reason: "r", Until: clock(7)}, Disarmed{Node: "cs-01", By: "by", Reason: "r"},
		InstallStarted{Node: "cs-01", Attempt: 1, Nonce: "n", Token: "t", Image: "aa", MAC: mac, Addr: addr, Deadline: clock(8)},
		InstallResumed{Node: "cs-01", Attempt: 1, Deadline: clock(8)},
		AnswerServed{Node: "cs-01", Attempt: 1, File: "f", SHA256: "aa", Addr: addr},
		InstallProgress{Node: "cs-01", Attempt: 1, Stage: "s", Detail: "d", Deadline: clock(8)},
		InstallDone{Node: "cs-01", Attempt: 1, Deadline: clock(8)},
		InstallFailed{Node: "cs-01", Attempt: 1, Stage: "s", Reason: "r", Wiped: true},
		NodeVerified{Node: "cs-01", Attempt: 1, Deviations: []string{"d"}},
		EvidenceStored{Node: "cs-01", Attempt: 1, File: "f", SHA256: "aa", Size: 5},
		NodeHeld{Node: "cs-01", Reason: "r"}, NodeSeen{Node: "cs-01", MAC: mac}, ClaimRefused{Node: "cs-01", Attempt: 1, MAC: mac, Rival: mac, Reason: "r"},
		JobQueued{ID: "j", Verb: "power", Args: []string{"cycle"}, Targets: []string{"cs-01"}, Options: JobOptions{1, 2, time.Second, 3, 4, time.Minute, true, time.Hour, "w", true}, By: "by"},
		JobStep{ID: "j", Node: "cs-01", What: "power off issued", Power: "off", Attempt: 2, Disarmed: true, Way: "redfish"},
		JobNodeDone{ID: "j", Node: "cs-01", OK: true, Message: "on"},
		JobEnded{ID: "j", Reason: "r"}, JobResumed{ID: "j", By: "by", Options: &JobOptions{Canary: 1, Why: "w"}},
		BMCLearned{Node: "cs-01", Known: BMCKnown{"redfish", 17, "aa", "Dell", "R760", "7.0"}},
		NodeInventoried{Node: "cs-01", Inventory: inventory}, StrangerInventoried{MAC: mac, Inventory: inventory},
		BMCAdopted{Node: "cs-01", Address: "10.21.0.1", Protocol: "ipmi", Username: "u", Password: "sealed:x", By: "by"},
		BMCPasswordIssued{Node: "cs-01", Username: "u", Password: "sealed:x", By: "by"}, BMCPasswordSettled{Node: "cs-01", Changed: true}, BMCForgotten{Node: "cs-01", By: "by"},
		DiscoveryAsked{Node: "cs-01", By: "by", Until: clock(9)}, StrangerForgotten{MAC: mac, By: "by"},
	}
}

// declaredBodies reads the types that have a Kind method from the source, so
// that a new body cannot be forgotten in the codec or in bodies.
func declaredBodies(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"event.go", "claim.go", "job.go", "inventory.go", "discovery.go", "access.go", "ladder.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "Kind" && f.Recv != nil {
				out = append(out, f.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestEveryBodyIsTested(t *testing.T) {
	var tested []string
	for _, b := range bodies() {
		tested = append(tested, reflect.TypeOf(b).Name())
		if field := unset(reflect.ValueOf(b)); field != "" {
			t.Errorf("%T.%s is not filled in, so nothing proves that it is kept", b, field)
		}
	}
	slices.Sort(tested)
	if diff := cmp.Diff(declaredBodies(t), tested); diff != "" {
		t.Error(diff)
	}
}

// unset names a field that has its zero value, at any depth.
func unset(v reflect.Value) string {
	if v.Kind() != reflect.Struct || v.Type().PkgPath() != reflect.TypeFor[Node]().PkgPath() {
		return ""
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("json") == "-" {
			continue
		}
		if v.Field(i).IsZero() {
			return f.Name
		}
		if inner := unset(v.Field(i)); inner != "" {
			return f.Name + "." + inner
		}
	}
	return ""
}

func TestCodecRoundTrip(t *testing.T) {
	kinds := map[string]bool{}
	for i, b := range bodies() {
		if kinds[b.Kind()] {
			t.Errorf("two bodies are called %s", b.Kind())
		}
		kinds[b.Kind()] = true
		data, err := EncodeEvent(clock(3), b)
		if err != nil {
			t.Fatal(err)
		}
		e, err := DecodeEvent(uint64(i+1), data)
		if err != nil {
			t.Errorf("%T: %v", b, err)
			continue
		}
		if diff := cmp.Diff(Event{Seq: uint64(i + 1), At: clock(3), Body: b}, e, sameAddr); diff != "" {
			t.Errorf("%T: %s", b, diff)
		}
		again, err := EncodeEvent(e.At, e.Body)
		if err != nil || string(again) != string(data) {
			t.Errorf("%T is encoded as\n%s, then as\n%s, %v", b, data, again, err)
		}
	}
}

func TestIsKind(t *testing.T) {
	for _, b := range bodies() {
		if !IsKind(b.Kind()) {
			t.Errorf("%s is none", b.Kind())
		}
	}
	if IsKind("install-begun") {
		t.Error("install-begun is one")
	}
}

func TestEventJSONRoundTrip(t *testing.T) {
	for i, b := range bodies() {
		e := Event{Seq: uint64(i + 1), At: clock(4), Body: b}
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var back Event
		if err := json.Unmarshal(data, &back); err != nil {
			t.Errorf("%T: %v", b, err)
		}
		if diff := cmp.Diff(e, back, sameAddr); diff != "" {
			t.Errorf("%T: %s", b, diff)
		}
		if s := b.Subject(); s != "" && !strings.Contains(string(data), fmt.Sprintf(`"subject":%q`, s)) {
			t.Errorf("%T: the subject %q is not in %s", b, s, data)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for data, why := range map[string]string{
		``:                                      "not a record of this log",
		`{`:                                     "not a record of this log",
		`[]`:                                    "not a record of this log",
		`{"kind":"moon-landed","body":{}}`:      `event 7 is of kind "moon-landed", which this version does not know`,
		`{"kind":"armed","body":{"node":5}}`:    "event 7 (armed)",
		`{"kind":"armed"}`:                      "event 7 (armed)",
		`{"kind":"armed","body":{"until":"x"}}`: "event 7 (armed)",
	} {
		if e, err := DecodeEvent(7, []byte(data)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s gave %v, %v; want an error that says %q", data, e, err, why)
		}
	}
}

// A snapshot may be damaged, or another program's: it is refused, or it is a
// state that goes on with events and can be written.
func FuzzSnapshot(f *testing.F) {
	s := NewState()
	for _, b := range bodies() {
		next := s.Fork()
		if err := next.Apply(Event{Seq: s.Seq + 1, At: clock(s.Seq + 1), Body: b}); err == nil {
			s = next
		}
	}
	data, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	for _, text := range []string{
		`{}`, `null`, `{"machines":[null]}`, `{"machines":[{}]}`, `{"machines":[{"node":{}}]}`, `{"machines":[{"node":{"name":"n1"}},{"node":{"name":"n1"}}]}`,
		`{"leases":[{}]}`, `{"declined":{"":"2026-03-01T08:00:00Z"}}`, `{"images":[{}]}`, `{"strangers":[{}]}`, `{"ladders":[{}]}`, `{"jobs":[{}]}`, `{"jobs":[{"job":null}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var s State
		if json.Unmarshal(data, &s) != nil {
			return
		}
		for _, b := range bodies() {
			_ = s.Fork().Apply(Event{Seq: s.Seq + 1, At: clock(1), Body: b})
		}
		_, _ = json.Marshal(&s) // times of the year 10000 are not written
	})
}

func FuzzDecodeEvent(f *testing.F) {
	for _, b := range bodies() {
		data, err := EncodeEvent(clock(1), b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := DecodeEvent(1, data)
		if err != nil {
			return
		}
		_ = NewState().Apply(e)
	})
}
