package site

import (
	"fmt"
	"slices"
	"strings"
)

// diskGroup is one list of selectors, with its key in the plan.
type diskGroup struct {
	key, what string
	selectors []DiskSelector
}

func (d Disks) groups() []diskGroup {
	return []diskGroup{{"system", "a system disk", d.System}, {"osd", "an OSD disk", d.OSD}, {"osd_db", "a DB disk", d.OSDDB}}
}

// checkDisks looks at each selector by itself.
func (c *checker) checkDisks(path, whose string, d Disks) {
	for _, g := range d.groups() {
		for i, s := range g.selectors {
			c.checkSelector(fmt.Sprintf("%s.%s[%d]", path, g.key, i), g.what, whose, s)
		}
	}
	switch d.OSDPolicy {
	case "", OSDKeep, OSDZap, OSDFailIfDirty:
	default:
		c.fail("osd-policy-unknown", path+".osd_policy", suggestion(string(d.OSDPolicy), []string{string(OSDKeep), string(OSDZap), string(OSDFailIfDirty)}), "%q is not a policy for OSD disks", d.OSDPolicy)
	}
}

func (c *checker) checkSelector(at, what, whose string, d DiskSelector) {
	if id, fix, why := d.fault(); id != "" {
		c.fail(id, at, fix, "%s of %s %s", what, whose, why)
	}
}

// fault says what is wrong with a selector by itself.
func (d DiskSelector) fault() (id, fix, why string) {
	fix = "choose by wwn, serial, by_path, or model with size"
	switch {
	case d.IsZero():
		return "disk-selector-empty", fix, "is chosen by nothing: it would match any disk"
	case kernelDiskName(d.WWN) || kernelDiskName(d.Serial) || kernelDiskName(d.ByPath) || kernelDiskName(d.Model):
		return "disk-kernel-name", fix, "is chosen by a kernel name: sda is another disk after the next reboot"
	case !onlyOf(d.WWN, ".:-") || !onlyOf(d.ByPath, ".:-_+@") || !printable(d.Serial) || !printable(d.Model):
		return "disk-selector-malformed", "by_path is a name below /dev/disk/by-path; wwn is as lsblk -o WWN prints it", "is chosen by characters that no disk reports"
	case d.MinSize < 0 || d.MaxSize < 0 || (d.MaxSize > 0 && d.MinSize > d.MaxSize):
		return "disk-size-order", "min_size must not be above max_size", fmt.Sprintf("has min_size %d and max_size %d", d.MinSize, d.MaxSize)
	case d.Count < 0 || d.Count > 128:
		return "disk-count-out-of-range", "count the disks that must match", fmt.Sprintf("must match %d disks", d.Count)
	case d.Count > 1 && d.identity() != "":
		return "disk-count-out-of-range", "give each disk an item of its own, or choose by model and size", fmt.Sprintf("is named, and must match %d disks", d.Count)
	default:
		return "", "", ""
	}
}

// identity is what names one disk; empty if the selector describes several.
func (d DiskSelector) identity() string {
	switch {
	case d.WWN != "":
		return "wwn " + plainWWN(d.WWN)
	case d.Serial != "":
		return "serial " + upper(d.Serial)
	case d.ByPath != "":
		return "path " + d.ByPath
	default:
		return ""
	}
}

func plainWWN(s string) string {
	return strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "0x")
}

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }

// Matches follows the script that chooses the disk on the machine.
func (d DiskSelector) Matches(v InventoryDisk) bool {
	return (d.WWN == "" || plainWWN(d.WWN) == plainWWN(v.WWN)) &&
		(d.Serial == "" || upper(d.Serial) == upper(v.Serial)) &&
		(d.ByPath == "" || d.ByPath == v.ByPath) &&
		(d.Model == "" || strings.ReplaceAll(upper(d.Model), " ", "_") == strings.ReplaceAll(upper(v.Model), " ", "_")) &&
		(d.Rotational == nil || *d.Rotational == v.Rotational) &&
		(d.MinSize == 0 || v.Size >= d.MinSize) && (d.MaxSize == 0 || v.Size <= d.MaxSize)
}

// wholeDisks looks at all disks of a node together, against its inventory.
// Nodes that add nothing to what their role says are looked at once.
func (c *checker) wholeDisks(path string, n *Node) {
	own := len(n.Disks.System) > 0 || len(n.Disks.OSD) > 0 || len(n.Disks.OSDDB) > 0 || n.Disks.OSDPolicy != ""
	if !own && len(n.Hardware.Disks) == 0 {
		if c.disks[n.Role] {
			return
		}
		c.disks[n.Role] = true
	}
	d := c.plan.DisksOf(n)
	place := func(key string, given bool) string {
		if given {
			return path + ".disks." + key
		}
		return "roles." + n.Role + ".disks." + key
	}
	system := place("system", len(n.Disks.System) > 0)
	osd := place("osd", len(n.Disks.OSD) > 0)
	db := place("osd_db", len(n.Disks.OSDDB) > 0)
	if !c.distinct(n, d, system, osd, db) {
		return
	}
	c.checkMirror(n, d.System, system)
	c.checkZap(n, d, place("osd_policy", n.Disks.OSDPolicy != ""))
	inventory := c.plan.HardwareOf(n).disks()
	if len(inventory) == 0 {
		c.checkSharedDB(n, d, nil, db)
		return
	}
	taken := make([]bool, len(inventory))
	c.checkRaidMembers(n, c.match(n, d.System, inventory, taken, system), system)
	osds := c.match(n, d.OSD, inventory, taken, osd)
	c.match(n, d.OSDDB, inventory, taken, db)
	c.checkSharedDB(n, d, osds, db)
}

// distinct reports that no disk is named twice.
func (c *checker) distinct(n *Node, d Disks, places ...string) bool {
	seen := map[string]string{}
	ok := true
	for g, group := range d.groups() {
		for i, s := range group.selectors {
			id, at := s.identity(), fmt.Sprintf("%s[%d]", places[g], i)
			other, twice := seen[id]
			switch {
			case id == "":
			case twice && other == group.key && group.key == "system":
				c.fail("raid-too-few-disks", at, "name the second disk of the mirror", "%s has one disk for both halves of a RAID1: %s", n.Name, id)
				ok = false
			case twice:
				c.fail("disk-in-two-groups", at, "keep it in one place", "%s uses one disk for %s and for %s: %s", n.Name, other, group.key, id)
				ok = false
			default:
				seen[id] = group.key
			}
		}
	}
	return ok
}

func (c *checker) checkMirror(n *Node, system []DiskSelector, at string) {
	total := 0
	for _, s := range system {
		total += s.Wanted()
	}
	if total > 2 {
		c.fail("raid-too-many-disks", at, "choose one disk, or two for a mirror", "%s has %d system disks", n.Name, total)
	}
}

// checkZap wants each disk that is wiped to be named.
func (c *checker) checkZap(n *Node, d Disks, at string) {
	if d.OSDPolicy != OSDZap {
		return
	}
	for _, s := range slices.Concat(d.OSD, d.OSDDB) {
		if s.Serial == "" && s.WWN == "" {
			c.fail("zap-without-serial", at, "name every OSD and DB disk by serial or wwn, or use keep or fail-if-dirty", "%s is to wipe disks that are not named by serial or wwn", n.Name)
			return
		}
	}
}

// disks lists an inventory disk by disk; nothing of one that cannot be.
func (h Hardware) disks() []InventoryDisk {
	var out []InventoryDisk
	for _, d := range h.Disks {
		if d.malformed() {
			return nil
		}
		for range max(d.Count, 1) {
			out = append(out, d)
		}
	}
	return out
}

// match takes the disks that selectors match out of the inventory.
func (c *checker) match(n *Node, selectors []DiskSelector, inventory []InventoryDisk, taken []bool, path string) []InventoryDisk {
	var out []InventoryDisk
	for i, s := range selectors {
		at := fmt.Sprintf("%s[%d]", path, i)
		if id, _, _ := s.fault(); id != "" {
			continue
		}
		var free, used []int
		for k, v := range inventory {
			switch {
			case !s.Matches(v):
			case taken[k]:
				used = append(used, k)
			default:
				free = append(free, k)
			}
		}
		switch {
		case len(free) == s.Wanted():
		case len(used) > 0 && len(free)+len(used) == s.Wanted():
			c.fail("disk-in-two-groups", at, "narrow it by model or size", "the disks of %s that this selects are partly chosen for something else already", n.Name)
		default:
			c.fail("disk-count-mismatch", at, fmt.Sprintf("narrow the selector, or set count: %d", len(free)), "%s has %d disks that match, and %d must", n.Name, len(free), s.Wanted())
		}
		for _, k := range free {
			taken[k] = true
			out = append(out, inventory[k])
		}
	}
	return out
}

func (c *checker) checkRaidMembers(n *Node, disks []InventoryDisk, at string) {
	if len(disks) != 2 {
		return
	}
	a, b := disks[0], disks[1]
	small, large := min(a.Size, b.Size), max(a.Size, b.Size)
	if a.Rotational != b.Rotational || small > 0 && large-small > small/10 {
		c.warn("raid-members-differ", at, "mirror two disks of one kind and size", "the system disks of %s differ: %s and %s", n.Name, kindOf(a), kindOf(b))
	}
}

func kindOf(d InventoryDisk) string {
	kind := "SSD"
	if d.Rotational {
		kind = "HDD"
	}
	return fmt.Sprintf("%d GB %s", d.Size/1e9, kind)
}

// How many spinning OSDs one device may hold the DB of: more, and it is their
// bottleneck and their common end.
const (
	maxPerSSD  = 6
	maxPerNVMe = 15
)

func (c *checker) checkSharedDB(n *Node, d Disks, osds []InventoryDisk, at string) {
	spinning, devices, limit := 0, 0, maxPerSSD
	for _, v := range osds {
		if v.Rotational {
			spinning++
		}
	}
	for _, s := range d.OSD {
		if len(osds) == 0 && s.Rotational != nil && *s.Rotational {
			spinning += s.Wanted()
		}
	}
	for _, s := range d.OSDDB {
		devices += s.Wanted()
		if strings.Contains(strings.ToLower(s.Model+s.ByPath), "nvme") {
			limit = maxPerNVMe
		}
	}
	if devices > 0 && spinning > limit*devices {
		c.warn("osd-db-crowded", at, fmt.Sprintf("plan a DB disk for each %d spinning OSDs", limit), "%s keeps the DB of %d OSDs on %d disks", n.Name, spinning, devices)
	}
}
