package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// InstallTarget is what an install would do to one machine: the data of each
// result of an install's dry run.
type InstallTarget struct {
	State   site.Phase `json:"state"`
	Role    string     `json:"role,omitempty"`
	Image   string     `json:"image,omitempty"`
	Serial  string     `json:"serial,omitempty"`
	BMC     string     `json:"bmc,omitempty"` // address; empty if the plan has none
	Wipes   []string   `json:"wipes"`         // the disks that lose what is on them, in words
	Warning string     `json:"warning,omitempty"`
}

// InstallTargetOf says what an install would do to m.
func InstallTargetOf(s *site.State, m *site.Machine) InstallTarget {
	t := InstallTarget{
		State: m.Phase, Role: m.Node.Role, Image: s.Settings.ImageOf(m.Node), Serial: m.Node.Serial,
		BMC: s.BMCOf(m).Address, Wipes: wipes(s, m),
	}
	if m.Installed {
		t.Warning = fmt.Sprintf("it is %s: the system that attempt %d installed is lost", m.Phase, m.Attempt.Number)
	}
	return t
}

func wipes(s *site.State, m *site.Machine) []string {
	disks, found := s.Settings.DisksOf(m.Node), m.Inventory().Hardware.Disks
	if len(found) == 0 {
		found = s.Settings.HardwareOf(m.Node).Disks
	}
	words := chosen(disks.System, found, "its only fixed disk (more than one stops the install)")
	if disks.OSDPolicy == site.OSDZap {
		for _, w := range chosen(append(slices.Clone(disks.OSD), disks.OSDDB...), found, "") {
			words = append(words, "OSD "+w)
		}
	}
	return words
}

// chosen are the disks that selectors pick: those of an inventory, where it
// has any that match, and else the selectors in words.
func chosen(selectors []site.DiskSelector, found []site.InventoryDisk, none string) []string {
	if len(selectors) == 0 && none == "" {
		return nil
	}
	if len(selectors) == 0 {
		if len(found) == 1 && found[0].Count <= 1 {
			return []string{diskWords(found[0])}
		}
		return []string{none}
	}
	var words []string
	for _, sel := range selectors {
		before := len(words)
		for _, d := range found {
			if sel.Matches(d) {
				words = append(words, diskWords(d))
			}
		}
		if len(words) == before {
			words = append(words, selectorWords(sel))
		}
	}
	return words
}

func diskWords(d site.InventoryDisk) string {
	parts := present(d.Model, d.Serial, d.WWN)
	if d.Size > 0 {
		parts = append(parts, decimal(d.Size))
	}
	if d.Count > 1 {
		parts = append(parts, fmt.Sprintf("×%d", d.Count))
	}
	return strings.Join(parts, " ")
}

func selectorWords(d site.DiskSelector) string {
	parts := present(d.WWN, d.Serial, d.ByPath, d.Model)
	if d.MinSize > 0 {
		parts = append(parts, "from "+decimal(d.MinSize))
	}
	if d.MaxSize > 0 {
		parts = append(parts, "to "+decimal(d.MaxSize))
	}
	if d.Rotational != nil {
		parts = append(parts, map[bool]string{true: "rotating", false: "not rotating"}[*d.Rotational])
	}
	if d.Wanted() > 1 {
		parts = append(parts, fmt.Sprintf("×%d", d.Wanted()))
	}
	return strings.Join(parts, " ")
}

func present(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

// decimal is a size as disks are sold: powers of 1000.
func decimal(n int64) string {
	if n >= 1e12 {
		return fmt.Sprintf("%.1f TB", float64(n)/1e12)
	}
	return fmt.Sprintf("%.0f GB", float64(n)/1e9)
}
