package view

import "github.com/rackseed/rackseed/pkg/site"

// NodeInventory is what a machine was found to be, beside what the plan says.
type NodeInventory struct {
	Planned Planned         `json:"planned"`
	Found   *site.Inventory `json:"found,omitempty"` // nothing while nobody has looked
}

// Planned is what the plan says of a machine's parts.
type Planned struct {
	Serial   string        `json:"serial,omitempty"`
	UUID     site.UUID     `json:"uuid,omitzero"`
	MACs     []site.MAC    `json:"macs,omitempty"`
	Hardware site.Hardware `json:"hardware,omitzero"`
}

// InventoryOf puts what was found of a machine beside its plan.
func InventoryOf(s *site.State, m *site.Machine) NodeInventory {
	n := m.Node
	both := NodeInventory{Planned: Planned{Serial: n.Serial, UUID: n.UUID, MACs: n.MACs, Hardware: s.Settings.HardwareOf(n)}}
	if len(m.Inventories) > 0 {
		found := m.Inventory()
		both.Found = &found
	}
	return both
}
