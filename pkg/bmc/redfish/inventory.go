package redfish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// Inventory reads what the BMC knows of its machine. A collection that it
// does not have is left out; one that it has and does not hand over is an
// error.
func (d *driver) Inventory(ctx context.Context) (bmc.Inventory, error) {
	begin := time.Now()
	s, err := d.system(ctx)
	if err != nil {
		return bmc.Inventory{}, err
	}
	out := bmc.Inventory{
		Manufacturer: strings.TrimSpace(s.Manufacturer),
		Model:        strings.TrimSpace(s.Model),
		Serial:       strings.TrimSpace(s.SerialNumber),
		UUID:         strings.ToLower(s.UUID),
		BIOS:         strings.TrimSpace(s.BiosVersion),
		Health:       s.Status.worst(),
		Memory:       int64(s.MemorySummary.TotalSystemMemoryGiB * (1 << 30)),
	}
	if strings.Contains(strings.ToLower(s.Manufacturer), "dell") && s.SKU != "" {
		// Dell's SerialNumber is the board's; the service tag on the case,
		// which asset sheets have, is the SKU.
		out.Serial = s.SKU
	}
	r := &reader{d: d, ctx: ctx, out: &out}
	r.note("system", s.Status)
	r.note("processors", s.ProcessorSummary.Status)
	r.note("memory", s.MemorySummary.Status)
	for _, read := range []func(system) error{r.manager, r.processors, r.memory, r.interfaces, r.adapters, r.storage, r.simple, r.bays} {
		if err := read(s); err != nil && !errors.Is(err, bmc.ErrUnsupported) {
			return out, err
		}
	}
	out.Took = time.Since(begin)
	return out, nil
}

// reader fills one inventory.
type reader struct {
	d   *driver
	ctx context.Context
	out *bmc.Inventory
}

// note keeps what is not well; what a BMC does not know is no problem.
func (r *reader) note(what string, h health) {
	switch w := h.worst(); strings.ToLower(w) {
	case "warning", "critical":
		r.out.Problems = append(r.out.Problems, what+": "+w)
	}
}

func (r *reader) manager(s system) error {
	m, err := r.d.manager(r.ctx, s)
	r.out.BMC = m.FirmwareVersion
	r.note("BMC", m.Status)
	return err
}

func (r *reader) processors(s system) error {
	type processor struct {
		ID            string `json:"Id"`
		Model         string
		ProcessorType string
		TotalCores    int
		TotalThreads  int
		Status        health
	}
	all, err := each[processor](r.ctx, r.d, s.Processors.String())
	for _, p := range all {
		if p.Status.State == "Absent" || p.ProcessorType != "" && p.ProcessorType != "CPU" {
			continue
		}
		r.out.CPUs = append(r.out.CPUs, bmc.CPU{Model: strings.TrimSpace(p.Model), Cores: p.TotalCores, Threads: p.TotalThreads})
		r.note("processor "+p.ID, p.Status)
	}
	if n := s.ProcessorSummary.Count; len(r.out.CPUs) == 0 && n > 0 && n <= 64 {
		for range n {
			r.out.CPUs = append(r.out.CPUs, bmc.CPU{
				Model: strings.TrimSpace(s.ProcessorSummary.Model), Cores: s.ProcessorSummary.CoreCount / n, Threads: s.ProcessorSummary.LogicalProcessorCount / n,
			})
		}
	}
	if err != nil {
		return fmt.Errorf("reading the processors: %w", err)
	}
	return nil
}

// memory adds up the modules where the summary says nothing.
func (r *reader) memory(s system) error {
	if r.out.Memory > 0 {
		return nil
	}
	type module struct {
		ID          string `json:"Id"`
		CapacityMiB int64
		Status      health
	}
	all, err := each[module](r.ctx, r.d, s.Memory.String())
	for _, m := range all {
		r.out.Memory += m.CapacityMiB << 20
		r.note("memory "+m.ID, m.Status)
	}
	if err != nil {
		return fmt.Errorf("reading the memory: %w", err)
	}
	return nil
}

func (r *reader) interfaces(s system) error {
	type ethernet struct {
		ID                  string `json:"Id"`
		MACAddress          string
		PermanentMACAddress string
		SpeedMbps           int
		LinkStatus          string
		Status              health
	}
	all, err := each[ethernet](r.ctx, r.d, s.EthernetInterfaces.String())
	for _, e := range all {
		mac := e.PermanentMACAddress
		if mac == "" {
			mac = e.MACAddress
		}
		r.nic(bmc.NIC{Name: e.ID, MAC: mac, Speed: e.SpeedMbps, Link: e.LinkStatus})
		r.note("interface "+e.ID, e.Status)
	}
	if err != nil {
		return fmt.Errorf("reading the Ethernet interfaces: %w", err)
	}
	return nil
}

// nic adds a port, or what is new of a port that is there.
func (r *reader) nic(n bmc.NIC) {
	mac, err := net.ParseMAC(n.MAC)
	if err != nil || len(mac) != 6 || slices.Equal(mac, make(net.HardwareAddr, 6)) {
		return
	}
	n.MAC = mac.String()
	switch strings.ToLower(n.Link) {
	case "linkup", "up":
		n.Link = "up"
	case "linkdown", "down", "nolink":
		n.Link = "down"
	default:
		n.Link = ""
	}
	for i := range r.out.NICs {
		if have := &r.out.NICs[i]; have.MAC == n.MAC {
			if have.Speed == 0 {
				have.Speed = n.Speed
			}
			if have.Link == "" {
				have.Link = n.Link
			}
			return
		}
	}
	r.out.NICs = append(r.out.NICs, n)
}

// adapters reads the ports of the network adapters: under the chassis, with
// Ports in newer schemas and NetworkPorts in older ones.
func (r *reader) adapters(s system) error {
	for _, link := range s.Links.Chassis {
		var chassis struct{ NetworkAdapters common.Link }
		if _, err := r.d.get(r.ctx, link, &chassis); err != nil {
			return fmt.Errorf("reading the chassis: %w", err)
		}
		type adapter struct {
			ID           string `json:"Id"`
			NetworkPorts common.Link
			Ports        common.Link
			Status       health
		}
		all, err := each[adapter](r.ctx, r.d, chassis.NetworkAdapters.String())
		if err != nil {
			return fmt.Errorf("reading the network adapters: %w", err)
		}
		for _, a := range all {
			r.note("network adapter "+a.ID, a.Status)
			ports := a.Ports.String()
			if ports == "" {
				ports = a.NetworkPorts.String()
			}
			if err := r.ports(a.ID, ports); err != nil && !errors.Is(err, bmc.ErrUnsupported) {
				return err
			}
		}
	}
	return nil
}

func (r *reader) ports(adapter, path string) error {
	type port struct {
		ID                         string `json:"Id"`
		AssociatedNetworkAddresses []string
		CurrentLinkSpeedMbps       int
		CurrentSpeedGbps           float64
		LinkStatus                 string
		Ethernet                   struct{ AssociatedMACAddresses []string }
	}
	all, err := each[port](r.ctx, r.d, path)
	for _, p := range all {
		macs := slices.Concat(p.AssociatedNetworkAddresses, p.Ethernet.AssociatedMACAddresses)
		speed := p.CurrentLinkSpeedMbps
		if speed == 0 {
			speed = int(p.CurrentSpeedGbps * 1000)
		}
		if len(macs) > 0 {
			r.nic(bmc.NIC{Name: adapter + " " + p.ID, MAC: macs[0], Speed: speed, Link: p.LinkStatus})
		}
	}
	if err != nil {
		return fmt.Errorf("reading the ports of adapter %s: %w", adapter, err)
	}
	return nil
}

func (r *reader) storage(s system) error {
	type controller struct {
		ID     string `json:"Id"`
		Status health
		Drives []common.Link
	}
	all, err := each[controller](r.ctx, r.d, s.Storage.String())
	for _, c := range all {
		r.note("storage "+c.ID, c.Status)
		for _, link := range c.Drives {
			if err := r.disk(link.String()); err != nil {
				return err
			}
		}
	}
	if err != nil {
		return fmt.Errorf("reading the storage: %w", err)
	}
	return nil
}

func (r *reader) disk(path string) error {
	var drive struct {
		ID            string `json:"Id"`
		Name          string
		Model         string
		SerialNumber  string
		CapacityBytes int64
		MediaType     string
		Protocol      string
		Status        health
	}
	_, err := r.d.get(r.ctx, path, &drive)
	if errors.Is(err, bmc.ErrUnsupported) {
		return nil // linked and gone
	}
	if err != nil {
		return fmt.Errorf("reading a drive: %w", err)
	}
	if drive.Status.State == "Absent" {
		return nil
	}
	name := drive.Name
	if name == "" {
		name = drive.ID
	}
	r.out.Disks = append(r.out.Disks, bmc.Disk{
		Name: name, Model: strings.TrimSpace(drive.Model), Serial: strings.TrimSpace(drive.SerialNumber),
		Size: drive.CapacityBytes, Media: drive.MediaType,
	})
	r.note("drive "+name, drive.Status)
	return nil
}

// bays are the drives of the chassis, where a storage controller lists none
// of them (Huawei iBMC 6.41).
func (r *reader) bays(s system) error {
	if len(r.out.Disks) > 0 {
		return nil
	}
	for _, path := range s.Links.Chassis {
		var chassis struct{ Links struct{ Drives pointers } }
		if _, err := r.d.get(r.ctx, path, &chassis); err != nil {
			return fmt.Errorf("reading the chassis: %w", err)
		}
		for _, drive := range chassis.Links.Drives {
			if err := r.disk(drive); err != nil {
				return err
			}
		}
	}
	return nil
}

// simple is where BMCs without Storage have their drives.
func (r *reader) simple(s system) error {
	if len(r.out.Disks) > 0 {
		return nil
	}
	type device struct {
		Name          string
		Model         string
		CapacityBytes int64
		Status        health
	}
	type controller struct{ Devices []device }
	all, err := each[controller](r.ctx, r.d, s.SimpleStorage.String())
	for _, c := range all {
		for _, dev := range c.Devices {
			if dev.Status.State == "Absent" {
				continue
			}
			r.out.Disks = append(r.out.Disks, bmc.Disk{Name: dev.Name, Model: strings.TrimSpace(dev.Model), Size: dev.CapacityBytes})
			r.note("drive "+dev.Name, dev.Status)
		}
	}
	if err != nil {
		return fmt.Errorf("reading the simple storage: %w", err)
	}
	return nil
}
