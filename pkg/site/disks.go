package site

// Disks says which disks of a node may be written, and for what.
type Disks struct {
	System    []DiskSelector `json:"system,omitempty"` // two make a RAID1
	OSD       []DiskSelector `json:"osd,omitempty"`
	OSDDB     []DiskSelector `json:"osd_db,omitempty"` // DB and WAL of the OSDs
	OSDPolicy OSDPolicy      `json:"osd_policy,omitempty"`
}

// OSDPolicy is what an install does to the disks of Ceph OSDs.
type OSDPolicy string

// The policies. Keep is the default: a redeployed node keeps its data.
const (
	OSDKeep        OSDPolicy = "keep"
	OSDZap         OSDPolicy = "zap"           // wipe; every disk must be named by serial or wwn
	OSDFailIfDirty OSDPolicy = "fail-if-dirty" // stop the install if one is not empty
)

// DiskSelector picks disks by what identifies them; every given field must
// match. There is no field for sda or nvme0n1: those names move.
type DiskSelector struct {
	WWN        string `json:"wwn,omitempty"`
	Serial     string `json:"serial,omitempty"`
	ByPath     string `json:"by_path,omitempty"` // a name below /dev/disk/by-path
	Model      string `json:"model,omitempty"`
	MinSize    int64  `json:"min_size,omitempty"` // bytes
	MaxSize    int64  `json:"max_size,omitempty"` // bytes
	Rotational *bool  `json:"rotational,omitempty"`
	Count      int    `json:"count,omitempty"` // disks that must match, exactly; zero means one
}

// IsZero reports whether the selector would match any disk.
func (d DiskSelector) IsZero() bool {
	d.Count = 0
	return d == DiskSelector{}
}

// Wanted is how many disks must match.
func (d DiskSelector) Wanted() int { return max(d.Count, 1) }

// DisksOf is the node's choice of disks, and for what it leaves out, its
// role's.
func (s *Settings) DisksOf(n *Node) Disks {
	d, role := n.Disks, s.Roles[n.Role].Disks
	if len(d.System) == 0 {
		d.System = role.System
	}
	if len(d.OSD) == 0 && len(d.OSDDB) == 0 {
		d.OSD, d.OSDDB = role.OSD, role.OSDDB
	}
	if d.OSDPolicy == "" {
		d.OSDPolicy = role.OSDPolicy
	}
	return d
}
