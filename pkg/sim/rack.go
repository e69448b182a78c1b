package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/rackseed/rackseed/pkg/site"
)

// Rack makes n machines with distinct identities and mixed firmware. The
// first of them get the faults, in order.
func Rack(at *Site, n int, faults []Fault) []*Machine {
	machines := make([]*Machine, n)
	for i := range machines {
		m := &Machine{Site: at, Firmware: []Firmware{UEFI, BIOS, UEFIHTTP}[i%3], Serial: fmt.Sprintf("RS24DEMO%05d", i+1)}
		// 52:54:00 is what virtual machines use; no vendor's NIC has it.
		m.MAC = site.MAC{0x52, 0x54, 0x00, byte(i >> 16), byte(i >> 8), byte(i)}
		copy(m.UUID[:], "rackseed-demo")
		binary.BigEndian.PutUint16(m.UUID[14:], uint16(i+1))
		m.Label = m.Serial
		if i < len(faults) {
			m.Fault = faults[i]
		}
		m.mislabel(i)
		machines[i] = m
	}
	return machines
}

// Curse adds faults to machine i of a rack that has no power yet.
func Curse(machines []*Machine, i int, faults ...Fault) {
	machines[i].More = append(machines[i].More, faults...)
	machines[i].mislabel(i)
}

func (m *Machine) mislabel(i int) {
	if m.has(WrongSerial) {
		m.Serial = fmt.Sprintf("RS24STRAY%04d", i+1)
	}
}

// Twins makes the second claimants of the machines that have TwoClaims. No
// plan knows them, and no BMC switches them.
func Twins(machines []*Machine) []*Machine {
	var twins []*Machine
	for _, m := range machines {
		if !m.has(TwoClaims) {
			continue
		}
		twin := &Machine{Site: m.Site, MAC: m.MAC, UUID: m.UUID, Serial: m.Serial, Label: m.Label, Firmware: m.Firmware}
		twin.MAC[3] |= 0x40
		twins = append(twins, twin)
	}
	return twins
}

// PowerOn runs machines until ctx ends.
func PowerOn(ctx context.Context, machines []*Machine) {
	var running sync.WaitGroup
	for _, m := range machines {
		running.Go(func() { m.Run(ctx) })
	}
	running.Wait()
}
