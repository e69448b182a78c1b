package site

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBMCAccess follows the passwords of one BMC; a state that was written and
// read again must agree at each step.
func TestBMCAccess(t *testing.T) {
	plan := SecretRef{File: "plan"}
	type want struct {
		address, user, password string // the password is sealed:… of the log, or plan
		next                    string
	}
	planned := Node{Name: "a", BMC: BMC{Address: "10.0.0.1"}}
	steps := []struct {
		name string
		body Body
		want want
		fail bool
	}{
		{"the plan", NodePlanned{Node: planned}, want{"10.0.0.1", "admin", "plan", ""}, false},
		{"on record before it is sent", BMCPasswordIssued{Node: "a", Username: "admin", Password: "sealed:1"}, want{"10.0.0.1", "admin", "plan", "sealed:1"}, false},
		{"the BMC kept the old one", BMCPasswordSettled{Node: "a"}, want{"10.0.0.1", "admin", "plan", ""}, false},
		{"what was never issued cannot be in force", BMCPasswordSettled{Node: "a", Changed: true}, want{"10.0.0.1", "admin", "plan", ""}, true},
		{"another one", BMCPasswordIssued{Node: "a", Username: "admin", Password: "sealed:2"}, want{"10.0.0.1", "admin", "plan", "sealed:2"}, false},
		{"took", BMCPasswordSettled{Node: "a", Changed: true}, want{"10.0.0.1", "admin", "sealed:2", ""}, false},
		{"the BMC moves", NodePlanned{Node: Node{Name: "a", BMC: BMC{Address: "10.0.0.2"}}}, want{"10.0.0.2", "admin", "sealed:2", ""}, false},
		{"the plan names another user", NodePlanned{Node: Node{Name: "a", BMC: BMC{Address: "10.0.0.2", Username: "root"}}}, want{"10.0.0.2", "root", "plan", ""}, false},
		{"and takes it back", NodePlanned{Node: Node{Name: "a"}}, want{"", "admin", "sealed:2", ""}, false},
		{"an address is found", BMCAdopted{Node: "a", Address: "10.0.0.3"}, want{"10.0.0.3", "admin", "sealed:2", ""}, false},
		{"the node leaves", NodeUnplanned{Name: "a"}, want{}, false},
		{"and is back: its password is not lost", NodePlanned{Node: planned}, want{"10.0.0.1", "admin", "sealed:2", ""}, false},
		{"forgotten", BMCForgotten{Node: "a"}, want{"10.0.0.1", "admin", "plan", ""}, false},
	}
	s := NewState()
	s.Settings.BMC = BMC{Username: "admin", Password: plan}
	for _, step := range steps {
		next := s.Fork()
		err := next.Apply(Event{Seq: s.Seq + 1, At: clock(s.Seq), Body: step.body})
		if (err != nil) != step.fail {
			t.Fatalf("%s: %v", step.name, err)
		}
		if err == nil {
			s = next
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		restored := NewState()
		if err := json.Unmarshal(data, restored); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*State{"live": s, "restored": restored} {
			m, ok := s.Machine("a")
			if !ok {
				continue
			}
			b := s.BMCOf(m)
			_, pending := s.NextBMCPassword(m)
			got := want{b.Address, b.Username, b.Password.Sealed.Reveal(), pending.Reveal()}
			if b.Password == plan {
				got.password = "plan"
			}
			if got != step.want {
				t.Errorf("%s: the %s state has %+v, want %+v", step.name, name, got, step.want)
			}
		}
	}
}

func TestAdoptBMC(t *testing.T) {
	mac := func(n byte) MAC { return MAC{2, 0, 0, 0, 0, n} }
	s := NewState()
	for _, n := range []Node{
		{Name: "a", Serial: "SN-A"},
		{Name: "b", Serial: "SN-B", BMC: BMC{Address: "10.0.0.2"}},
		{Name: "c", MACs: []MAC{mac(3)}},
		{Name: "d", UUID: UUID{1, 2, 3, 4, 5}},
	} {
		if err := s.Apply(Event{Seq: s.Seq + 1, At: clock(1), Body: NodePlanned{Node: n}}); err != nil {
			t.Fatal(err)
		}
	}
	nics := func(macs ...MAC) (out []InventoryNIC) {
		for _, m := range macs {
			out = append(out, InventoryNIC{MAC: m})
		}
		return out
	}
	for _, c := range []struct {
		name  string
		found FoundBMC
		node  string
		kinds []string // of what is to be recorded
		err   string
	}{
		{"by serial, whatever the case", FoundBMC{Address: "10.0.0.1", Inventory: Inventory{Serial: " sn-a ", NICs: nics(mac(1))}}, "a", []string{"bmc-adopted", "node-inventoried"}, ""},
		{"what the plan says need not be adopted", FoundBMC{Address: "https://10.0.0.2:443/", Inventory: Inventory{Serial: "SN-B"}}, "b", []string{"node-inventoried"}, ""},
		{"with the password it was opened with", FoundBMC{Address: "10.0.0.2", Username: "u", Password: "sealed:x", Known: BMCKnown{Protocol: "ipmi"}, Inventory: Inventory{Serial: "SN-B"}}, "b", []string{"bmc-adopted", "bmc-learned", "node-inventoried"}, ""},
		{"by MAC", FoundBMC{Address: "10.0.0.3", Inventory: Inventory{Serial: "other", NICs: nics(mac(3))}}, "c", []string{"bmc-adopted", "node-inventoried"}, ""},
		{"by UUID", FoundBMC{Address: "10.0.0.4", Inventory: Inventory{UUID: UUID{1, 2, 3, 4, 5}}}, "d", []string{"bmc-adopted", "node-inventoried"}, ""},
		{"nobody's", FoundBMC{Address: "10.0.0.5", Inventory: Inventory{Serial: "X"}}, "", nil, ErrNotPlanned.Error()},
		{"a placeholder is no serial", FoundBMC{Address: "10.0.0.5", Inventory: Inventory{Serial: "To be filled by O.E.M."}}, "", nil, ErrNotPlanned.Error()},
		{"the plan has another address", FoundBMC{Address: "10.0.0.9", Inventory: Inventory{Serial: "SN-B"}}, "b", nil, "the plan gives b the BMC 10.0.0.2"},
		{"the address is another node's", FoundBMC{Address: "10.0.0.2", Inventory: Inventory{Serial: "SN-A"}}, "a", nil, "10.0.0.2 is the BMC of b"},
		{"serial and MAC disagree", FoundBMC{Address: "10.0.0.1", Inventory: Inventory{Serial: "SN-A", NICs: nics(mac(3))}}, "a", nil, "it is another machine, or two share a port: its MAC 02:00:00:00:00:03 is c"},
	} {
		m, bodies, err := s.AdoptBMC(c.found, "ops", clock(2))
		node := ""
		if m != nil {
			node = m.Node.Name
		}
		var kinds []string
		for _, b := range bodies {
			kinds = append(kinds, b.Kind())
		}
		if node != c.node || !cmp.Equal(kinds, c.kinds) || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %q, %v", c.name, node, kinds, err)
		}
	}
}

func TestContradiction(t *testing.T) {
	s := NewState()
	for _, n := range []Node{{Name: "a", Serial: "SN-A"}, {Name: "b", Serial: "SN-B"}, {Name: "c", UUID: UUID{1, 2, 3, 4, 5}}} {
		if err := s.Apply(Event{Seq: s.Seq + 1, At: clock(1), Body: NodePlanned{Node: n}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		node string
		i    Inventory
		err  string
	}{
		{"a", Inventory{Serial: "SN-A"}, ""},
		{"a", Inventory{}, ""},
		{"a", Inventory{Serial: "Default string"}, ""},
		{"a", Inventory{Serial: "SN-B"}, "serial SN-B is b in the plan, not a"},
		{"a", Inventory{Serial: "SN-X"}, "its serial is SN-X, and the plan says SN-A for a"},
		{"c", Inventory{Serial: "SN-X", UUID: UUID{4, 3, 2, 1, 0, 5}}, ""},
		{"c", Inventory{UUID: UUID{9}}, "its UUID is"},
	} {
		m, _ := s.Machine(c.node)
		err := s.Contradiction(m, c.i)
		if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s with serial %q: %v", c.node, c.i.Serial, err)
		}
	}
	if _, _, err := s.Claim(Inventory{Serial: "X"}); err != nil || errors.Is(err, ErrNotPlanned) {
		t.Errorf("a machine that nobody planned: %v", err)
	}
}

func TestRecogniseBMC(t *testing.T) {
	super, other := MAC{0x3c, 0xec, 0xef, 1, 2, 3}, MAC{2, 0, 0, 0, 0, 1}
	for _, c := range []struct {
		class, host string
		mac         MAC
		want        Controller
		ok          bool
	}{
		{"iDRAC", "idrac-8J4XK63", other, Controller{Maker: "Dell iDRAC", Serial: "8J4XK63", Why: "host name idrac-8J4XK63"}, true},
		{"iDRAC", "r760-bmc", other, Controller{Maker: "Dell iDRAC", Why: "vendor class iDRAC"}, true},
		{"CPQRIB3 (HP Proliant DL360 G6 iLO)", "", other, Controller{Maker: "HPE iLO", Why: "vendor class CPQRIB3 (HP Proliant DL360 G6 iLO)"}, true},
		{"CPQRIB3", "ILOCZ2311004G", other, Controller{Maker: "HPE iLO", Serial: "CZ2311004G", Why: "host name ILOCZ2311004G"}, true},
		{"", "XCC-7Z73-J30AF7LC", other, Controller{Maker: "Lenovo XCC", Serial: "J30AF7LC", Why: "host name XCC-7Z73-J30AF7LC"}, true},
		{"", "IMM2-5cf3fc5eaad0", other, Controller{Maker: "Lenovo IMM", Why: "host name IMM2-5cf3fc5eaad0"}, true},
		{"", "HDM210235A3T0H204000007", other, Controller{Maker: "H3C HDM", Serial: "210235A3T0H204000007", Why: "host name HDM210235A3T0H204000007"}, true},
		{"NVIDIA/BF/BMC", "", other, Controller{Maker: "NVIDIA BlueField", Why: "vendor class NVIDIA/BF/BMC"}, true},
		{"NVIDIA/BF/OOB", "", other, Controller{}, false},
		{"udhcp 1.23.1", "", super, Controller{Maker: "Supermicro", Why: "vendor class udhcp 1.23.1 from a port of Supermicro", Likely: true}, true},
		{"udhcp 1.23.1", "", other, Controller{}, false},
		{"PXEClient:Arch:00007:UNDI:003000", "", super, Controller{}, false},
		{"MSFT 5.0", "ilo-was-here", other, Controller{}, false},
		{"", "illogical", other, Controller{}, false},
	} {
		got, ok := RecogniseBMC(c.class, c.host, c.mac)
		if got != c.want || ok != c.ok {
			t.Errorf("%q %q: %+v, %v", c.class, c.host, got, ok)
		}
	}
	if _, ok := (Stranger{Class: "iDRAC", Arch: "x86_64"}).BMC(); ok {
		t.Error("who asks for a boot file is no BMC")
	}
}
