package site

import (
	"encoding/json"
	"testing"
)

// TestLearnedMACs follows the ports that BMCs name through the life of a
// site; a state that was written and read again must agree at each step.
func TestLearnedMACs(t *testing.T) {
	x, y, z := MAC{2, 0, 0, 0, 0, 0x11}, MAC{2, 0, 0, 0, 0, 0x12}, MAC{2, 0, 0, 0, 0, 0x13}
	found := func(node string, source InventorySource, macs ...MAC) Body {
		i := Inventory{Source: source}
		for _, m := range macs {
			i.NICs = append(i.NICs, InventoryNIC{MAC: m})
		}
		return NodeInventoried{Node: node, Inventory: i}
	}
	steps := []struct {
		name string
		body Body
		want map[MAC]string
	}{
		{"a node", NodePlanned{Node: Node{Name: "a", Serial: "A", BMC: BMC{Address: "10.0.0.1"}}}, map[MAC]string{x: ""}},
		{"another", NodePlanned{Node: Node{Name: "b", Serial: "B", BMC: BMC{Address: "10.0.0.2"}}}, map[MAC]string{x: ""}},
		{"what a system on the wire claims is not believed", found("a", FromDiscovery, x), map[MAC]string{x: ""}},
		{"what a BMC says is", found("a", FromBMC, x, y), map[MAC]string{x: "a", y: "a"}},
		{"a port that two BMCs name is nobody's", found("b", FromBMC, y, z), map[MAC]string{x: "a", y: "", z: "b"}},
		{"until one takes it back", found("b", FromBMC, z), map[MAC]string{x: "a", y: "a", z: "b"}},
		{"the plan comes first", NodePlanned{Node: Node{Name: "c", MACs: []MAC{y}}}, map[MAC]string{x: "a", y: "c"}},
		{"and its word can be taken back", NodeUnplanned{Name: "c"}, map[MAC]string{y: "a"}},
		{"another BMC has other ports", NodePlanned{Node: Node{Name: "a", Serial: "A", BMC: BMC{Address: "10.0.0.9"}}}, map[MAC]string{x: "", y: "", z: "b"}},
		{"a node that leaves takes its ports along", NodeUnplanned{Name: "b"}, map[MAC]string{z: ""}},
	}
	s := NewState()
	for _, step := range steps {
		if err := s.Apply(Event{Seq: s.Seq + 1, At: clock(s.Seq), Body: step.body}); err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		restored := NewState()
		if err := json.Unmarshal(data, restored); err != nil {
			t.Fatal(err)
		}
		for mac, want := range step.want {
			for name, s := range map[string]*State{"live": s, "restored": restored} {
				got := ""
				if m, ok := s.MachineByMAC(mac); ok {
					got = m.Node.Name
				}
				if got != want {
					t.Errorf("%s: %s belongs to %q in the %s state, want %q", step.name, mac, got, name, want)
				}
			}
		}
	}
}
