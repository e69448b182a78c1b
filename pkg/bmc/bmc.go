// Package bmc speaks with baseboard management controllers: power, boot
// device, firmware settings, virtual media, inventory, console. A driver says
// what a BMC answered; this package compares it with what was asked, because
// a BMC that answers 200 may have stored nothing.
package bmc

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Protocol is how a BMC is spoken to.
type Protocol string

// The protocols. Auto finds out which one answers, Redfish first.
const (
	Auto    Protocol = "auto"
	Redfish Protocol = "redfish"
	IPMI    Protocol = "ipmi"
)

// Target is one BMC and how to reach it.
type Target struct {
	Name     string // of the node; in direct mode the address
	Rack     string
	Address  string // HOST, HOST:PORT, or an http(s) URL
	Protocol Protocol
	Username string
	Password site.Secret
	Known    Known

	// PasswordOnly asks for a session that can do no more than SetPassword,
	// which a BMC gives that wants its password changed first.
	PasswordOnly bool

	// Serial and UUID are the machine's, where a plan says them: of a BMC that
	// has several systems they tell which is meant.
	Serial string
	UUID   string
}

// Known is what earlier conversations found out about a BMC. It saves the
// probes, and a certificate that is not the pinned one is refused.
type Known struct {
	Protocol     Protocol `json:"protocol,omitempty"`
	CipherSuite  int      `json:"cipher_suite,omitempty"` // IPMI 2.0 table 22-20; zero means not known
	Certificate  string   `json:"certificate,omitempty"`  // SHA-256 of the TLS leaf, hex
	Manufacturer string   `json:"manufacturer,omitempty"`
	Model        string   `json:"model,omitempty"`
	Firmware     string   `json:"firmware,omitempty"` // of the BMC
}

// Driver is a session with one BMC. It is for one goroutine at a time, and
// Close logs out: a BMC has four sessions or so.
//
// What a BMC cannot do is an error that wraps ErrUnsupported.
type Driver interface {
	Known() Known
	Power(ctx context.Context) (PowerState, error)
	SetPower(ctx context.Context, action PowerAction) error
	Boot(ctx context.Context) (Boot, error)
	// Ways are the ways in which this BMC may be told a boot device, best first.
	Ways() []Way
	SetBoot(ctx context.Context, want Boot, way Way) error
	Inventory(ctx context.Context) (Inventory, error)
	Firmware(ctx context.Context) (FirmwareSettings, error)
	SetFirmware(ctx context.Context, want map[string]any) error
	Media(ctx context.Context) (Media, error)
	InsertMedia(ctx context.Context, url string) error
	EjectMedia(ctx context.Context) error
	Console(ctx context.Context) (io.ReadWriteCloser, error)
	SetPassword(ctx context.Context, user string, password site.Secret) error
	Close(ctx context.Context) error
}

// Way is one way to say the same thing to a BMC: the standard's, or one that
// a recipe knows for its make.
type Way struct {
	Name   string `json:"name"`
	Source string `json:"source,omitempty"` // of the recipe
}

// Dialer opens a session.
type Dialer func(ctx context.Context, t Target) (Driver, error)

// What goes wrong with a BMC. Drivers wrap these, with what was attempted.
var (
	ErrUnsupported = errors.New("the BMC cannot do that")
	ErrLogin       = errors.New("the BMC refuses user name or password")
	ErrChangeFirst = errors.New("the BMC wants its password changed before anything else")
	ErrLocked      = errors.New("the BMC has locked the account, or lets nobody log in for a while")
	ErrUnreachable = errors.New("the BMC does not answer")
	ErrCertificate = errors.New("the BMC shows another certificate than before")
	ErrUntrusted   = errors.New("the BMC's certificate is not one that the given CA vouches for")
	ErrNotStored   = errors.New("the BMC accepted the setting and did not keep it")
	ErrBusy        = errors.New("the BMC has no free session")
	ErrNoTLS       = errors.New("the BMC answers without TLS")

	ErrOtherMachine = errors.New("this is not the BMC of that machine")
)

// noDrive is ErrUnsupported, and no other protocol helps.
type noDrive struct{}

func (noDrive) Error() string        { return "the BMC shows no virtual CD as Redfish has it" }
func (noDrive) Is(target error) bool { return target == ErrUnsupported }

// ErrNoDrive is a BMC without virtual media, or with a maker's own.
var ErrNoDrive error = noDrive{}

// PowerState is what the chassis is.
type PowerState string

// The power states.
const (
	PowerUnknown PowerState = "unknown"
	PowerOn      PowerState = "on"
	PowerOff     PowerState = "off"
)

// PowerAction is what is done to the chassis.
type PowerAction string

// The power actions, as on the command line.
const (
	ActionOn    PowerAction = "on"
	ActionOff   PowerAction = "off"   // at once
	ActionSoft  PowerAction = "soft"  // ACPI button: the system shuts down, or ignores it
	ActionCycle PowerAction = "cycle" // off, then on; a machine that is off is switched on
	ActionReset PowerAction = "reset" // without taking power away
)

// Device is what a machine boots from.
type Device string

// The boot devices, as on the command line. DeviceNone is no override.
const (
	DeviceNone Device = "none"
	DevicePXE  Device = "pxe"
	DeviceHTTP Device = "http" // UEFI HTTP boot
	DeviceDisk Device = "disk"
	DeviceCD   Device = "cd" // virtual media included
	DeviceBIOS Device = "bios"
)

// BootMode is the firmware interface that a boot override is for.
type BootMode string

// The boot modes. ModeKeep leaves what the machine has.
const (
	ModeKeep BootMode = ""
	ModeUEFI BootMode = "uefi"
	ModeBIOS BootMode = "bios"
)

// Boot is a boot override, or the lack of one.
type Boot struct {
	Device     Device   `json:"device"`
	Persistent bool     `json:"persistent,omitempty"` // until it is set again; else for the next boot only
	Mode       BootMode `json:"mode,omitempty"`
	URL        string   `json:"url,omitempty"`   // of DeviceHTTP, where the BMC takes one
	Order      []string `json:"order,omitempty"` // the firmware's own list, as the BMC names the entries; read only
	Note       string   `json:"note,omitempty"`  // what the BMC leaves in doubt; read only
}

// FirmwareSettings are the BIOS attributes of a machine, under the vendor's
// names.
type FirmwareSettings struct {
	Current map[string]any `json:"current"`
	Pending map[string]any `json:"pending,omitempty"` // take effect at the next reset
}

// Media is the state of virtual media.
type Media struct {
	Inserted bool   `json:"inserted"`
	URL      string `json:"url,omitempty"`
}

// Inventory is what a BMC knows of its machine. Zero means that it does not
// say.
type Inventory struct {
	Manufacturer string        `json:"manufacturer,omitempty"`
	Model        string        `json:"model,omitempty"`
	Serial       string        `json:"serial,omitempty"`
	UUID         string        `json:"uuid,omitempty"`
	BIOS         string        `json:"bios,omitempty"` // version
	BMC          string        `json:"bmc,omitempty"`  // firmware version
	Health       string        `json:"health,omitempty"`
	Memory       int64         `json:"memory,omitempty"` // bytes
	CPUs         []CPU         `json:"cpus,omitempty"`
	NICs         []NIC         `json:"nics,omitempty"`
	Disks        []Disk        `json:"disks,omitempty"`
	Problems     []string      `json:"problems,omitempty"` // sensors and parts that are not well
	Took         time.Duration `json:"-"`
}

// CPU is a processor package.
type CPU struct {
	Model   string `json:"model,omitempty"`
	Cores   int    `json:"cores,omitempty"`
	Threads int    `json:"threads,omitempty"` // of the package
}

// NIC is a network port of the host.
type NIC struct {
	Name  string `json:"name,omitempty"`
	MAC   string `json:"mac,omitempty"`
	Speed int    `json:"speed,omitempty"` // Mbit/s
	Link  string `json:"link,omitempty"`  // up or down
}

// Disk is a drive.
type Disk struct {
	Name   string `json:"name,omitempty"`
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
	Size   int64  `json:"size,omitempty"`  // bytes
	Media  string `json:"media,omitempty"` // HDD or SSD
}
