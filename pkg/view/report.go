package view

import (
	"net/netip"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Report is the hand-over document: what stands in the racks, how it came to
// be, and where it differs from what was planned.
type Report struct {
	Site       string             `json:"site"`
	Domain     string             `json:"domain,omitempty"`
	Made       time.Time          `json:"made"`
	Version    string             `json:"version"` // of Rackseed
	PlanDigest string             `json:"plan_digest,omitempty"`
	Seq        uint64             `json:"seq"` // of the log that it was made from
	Selector   string             `json:"selector,omitempty"`
	Counts     map[site.Phase]int `json:"counts"`
	Images     []ReportImage      `json:"images"`
	Nodes      []ReportNode       `json:"nodes"`
}

// ReportImage is a medium that nodes were installed from.
type ReportImage struct {
	Name    string `json:"name"`
	Distro  string `json:"distro,omitempty"`
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256"`
	Size    int64  `json:"size,omitempty"` // bytes
}

// ReportNode is one machine.
type ReportNode struct {
	Name         string                `json:"name"`
	Role         string                `json:"role,omitempty"`
	Rack         string                `json:"rack,omitempty"`
	U            int                   `json:"u,omitempty"`
	State        site.Phase            `json:"state"`
	Reason       string                `json:"reason,omitempty"`
	Manufacturer string                `json:"manufacturer,omitempty"`
	Model        string                `json:"model,omitempty"`
	Serial       string                `json:"serial,omitempty"`
	UUID         site.UUID             `json:"uuid,omitzero"`
	Firmware     string                `json:"firmware,omitempty"`     // BIOS or UEFI
	BMC          string                `json:"bmc,omitempty"`          // address
	BMCFirmware  string                `json:"bmc_firmware,omitempty"` //
	CPUs         int                   `json:"cpus,omitempty"`         // logical
	Memory       int64                 `json:"memory,omitempty"`       // bytes
	Disks        []site.InventoryDisk  `json:"disks,omitempty"`
	NICs         []site.InventoryNIC   `json:"nics,omitempty"`
	Addresses    map[string]netip.Addr `json:"addresses,omitempty"` // by network
	Image        string                `json:"image,omitempty"`
	Deviations   []string              `json:"deviations,omitempty"` // from the Intent, as the first boot found them
	Attempts     []ReportAttempt       `json:"attempts,omitempty"`
}

// ReportAttempt is one install.
type ReportAttempt struct {
	Number  int             `json:"number"`
	ArmedBy string          `json:"armed_by,omitempty"`
	ArmedAt time.Time       `json:"armed_at,omitzero"`
	Why     string          `json:"why,omitempty"` // that the operator gave
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended,omitzero"`
	Result  string          `json:"result"`          // running, installed, ready, failed, given up
	Stage   string          `json:"stage,omitempty"` // where it failed
	Reason  string          `json:"reason,omitempty"`
	Image   string          `json:"image_sha256"`
	Answers []ReportAnswer  `json:"answers,omitempty"`
	Phases  []ReportPhase   `json:"phases,omitempty"`
	Kept    []site.Evidence `json:"evidence,omitempty"`
}

// ReportAnswer is an answer file as it was handed out.
type ReportAnswer struct {
	File   string     `json:"file"`
	SHA256 string     `json:"sha256"`
	At     time.Time  `json:"at"`
	Addr   netip.Addr `json:"addr"`
}

// ReportPhase is a stretch of an attempt that time is accounted to.
type ReportPhase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Note    string  `json:"note,omitempty"`
}
