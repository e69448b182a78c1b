package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/site"
)

// The interface of the kernel's IPMI driver (linux/ipmi.h), on 64-bit machines.
const (
	ipmiSend        = 0x8028690d // IPMICTL_SEND_COMMAND
	ipmiReceive     = 0xc030690b // IPMICTL_RECEIVE_MSG_TRUNC
	ipmiSystemAddr  = 0x0c
	ipmiBMCChannel  = 0x0f
	ipmiAnswerLimit = 5 * time.Second
)

type ipmiAddr struct {
	kind    int32
	channel int16
	lun     uint8
	_       [32]byte
}

type ipmiMsg struct {
	netfn, cmd uint8
	length     uint16
	data       unsafe.Pointer
}

type ipmiRequest struct {
	addr    unsafe.Pointer
	addrLen uint32
	id      int64
	msg     ipmiMsg
}

type ipmiAnswer struct {
	kind    int32
	addr    unsafe.Pointer
	addrLen uint32
	id      int64
	msg     ipmiMsg
}

// bmc is what the machine's BMC says of itself over the bus inside the
// machine. It is asked, never told.
func (m Machine) bmc() (site.InventoryBMC, error) {
	var b site.InventoryBMC
	f, err := os.OpenFile(m.path("/dev/ipmi0"), os.O_RDWR, 0)
	if err != nil {
		return b, fmt.Errorf("opening the BMC's driver: %w", err)
	}
	defer f.Close()
	ask := func(netfn, cmd uint8, data ...byte) ([]byte, error) { return ipmi(int(f.Fd()), netfn, cmd, data) }
	// Get Device ID, IPMI 2.0 section 20.1.
	if id, err := ask(0x06, 0x01); err == nil && len(id) >= 4 {
		b.Firmware = fmt.Sprintf("%d.%02x", id[2]&0x7f, id[3])
	}
	// Get LAN Configuration Parameters, section 23.2: 5 is the MAC, 3 the address.
	for channel := byte(1); channel < 12; channel++ {
		mac, err := ask(0x0c, 0x02, channel, 5, 0, 0)
		if err != nil || len(mac) < 7 {
			continue
		}
		hw, ok := site.MACFrom(mac[1:7])
		if !ok {
			continue
		}
		b.MAC = hw
		if a, err := ask(0x0c, 0x02, channel, 3, 0, 0); err == nil && len(a) >= 5 {
			if addr := netip.AddrFrom4([4]byte(a[1:5])); !addr.IsUnspecified() {
				b.Address = addr
			}
		}
		return b, nil
	}
	if b.Firmware == "" {
		return b, errors.New("the BMC answers nothing")
	}
	return b, nil // one that names no LAN channel
}

// ipmi sends one command and gives the data of its answer, behind the
// completion code.
func ipmi(fd int, netfn, cmd uint8, data []byte) ([]byte, error) {
	addr := ipmiAddr{kind: ipmiSystemAddr, channel: ipmiBMCChannel}
	req := ipmiRequest{addr: unsafe.Pointer(&addr), addrLen: 8, id: 1, msg: ipmiMsg{netfn: netfn, cmd: cmd, length: uint16(len(data))}}
	if len(data) > 0 {
		req.msg.data = unsafe.Pointer(&data[0])
	}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ipmiSend, uintptr(unsafe.Pointer(&req))); e != 0 {
		return nil, fmt.Errorf("sending to the BMC: %w", e)
	}
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(ready, int(ipmiAnswerLimit.Milliseconds())); err != nil || n == 0 {
		return nil, fmt.Errorf("the BMC does not answer command %#x (%w)", cmd, errors.Join(err, os.ErrDeadlineExceeded))
	}
	buffer, from := make([]byte, 272), ipmiAddr{}
	answer := ipmiAnswer{addr: unsafe.Pointer(&from), addrLen: uint32(unsafe.Sizeof(from)), msg: ipmiMsg{data: unsafe.Pointer(&buffer[0]), length: uint16(len(buffer))}}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ipmiReceive, uintptr(unsafe.Pointer(&answer))); e != 0 {
		return nil, fmt.Errorf("hearing the BMC: %w", e)
	}
	n := int(answer.msg.length)
	if n < 1 || n > len(buffer) {
		return nil, errors.New("the BMC's answer is empty")
	}
	if buffer[0] != 0 {
		return nil, fmt.Errorf("the BMC refuses command %#x with code %#02x", cmd, buffer[0])
	}
	return buffer[1:n], nil
}
