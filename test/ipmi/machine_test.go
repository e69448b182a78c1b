package ipmi_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rackseed/rackseed/internal/lab"
)

// What a machine says on its serial port, by what it booted from.
const (
	fromNetwork = "booted from the network"
	fromDisk    = "booted from the disk"
)

// saying is a boot sector, or a network boot program, that says text on the
// first serial port and halts. Firmware starts both at 0:7C00.
func saying(text string) []byte {
	code := []byte{
		0xe8, 0x00, 0x00, // call the next instruction
		0x5e,             // pop si
		0x83, 0xc6, 0x13, // add si, text - 3
		0x2e, 0xac, // next: cs lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x06, // jz halt
		0xba, 0xf8, 0x03, // mov dx, 3f8h
		0xee,       // out dx, al
		0xeb, 0xf4, // jmp next
		0xf4,       // halt: hlt
		0xeb, 0xfd, // jmp halt
	}
	return append(append(code, text+"\r\n"...), 0)
}

// machine is a QEMU machine that a BMC's chassis program drives. Its network
// is QEMU's own, with a DHCP and a TFTP server that no other machine sees.
type machine struct {
	dir    string
	serial *text

	mu     sync.Mutex
	boot   string // as ipmi_sim says it
	cmd    *exec.Cmd
	starts int
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	lab.Need(t, "qemu-system-x86_64")
	dir, err := os.MkdirTemp("", "machine") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{dir: dir, serial: &text{}, boot: "none"}
	sector := make([]byte, 512)
	copy(sector, saying(fromDisk))
	sector[510], sector[511] = 0x55, 0xaa
	if err := os.Mkdir(filepath.Join(dir, "tftp"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"disk": append(sector, make([]byte, 1<<20)...), "tftp/boot": saying(fromNetwork)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.off()
		_ = os.RemoveAll(dir)
	})
	return m
}

// order is the firmware's boot order, disk first unless the BMC says
// otherwise. An override is for one boot: it is used up here.
func (m *machine) order() (network, disk int) {
	network, disk = 2, 1
	if m.boot == "pxe" {
		network, disk = 1, 2
	}
	m.boot = "none"
	return network, disk
}

func (m *machine) on() error {
	if m.cmd != nil {
		return nil
	}
	network, disk := m.order()
	cmd := exec.Command("qemu-system-x86_64", "-accel", "tcg", "-machine", "q35,graphics=off", "-m", "64", "-nodefaults", "-display", "none", "-monitor", "none",
		"-serial", "stdio", "-qmp", "unix:"+m.dir+"/qmp,server=on,wait=off",
		"-netdev", "user,id=n0,restrict=on,tftp="+m.dir+"/tftp,bootfile=boot",
		"-object", fmt.Sprintf("filter-dump,id=wire,netdev=n0,file=%s/wire-%d", m.dir, m.starts),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=n0,id=net0,bootindex=%d", network),
		"-drive", "if=none,id=d0,format=raw,file="+m.dir+"/disk",
		"-device", fmt.Sprintf("virtio-blk-pci,drive=d0,id=disk0,bootindex=%d", disk))
	cmd.Stdout, cmd.Stderr = m.serial, m.serial
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	m.cmd = cmd
	m.starts++
	return nil
}

func (m *machine) off() {
	if m.cmd == nil {
		return
	}
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
	m.cmd = nil
}

// reset has the firmware look at the boot order again.
func (m *machine) reset() error {
	if m.cmd == nil {
		return nil
	}
	network, disk := m.order()
	conn, err := net.Dial("unix", m.dir+"/qmp")
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	reader := bufio.NewReader(conn)
	if _, err := reader.ReadString('\n'); err != nil {
		return err
	}
	index := func(device string, n int) map[string]any {
		return map[string]any{"execute": "qom-set", "arguments": map[string]any{"path": "/machine/peripheral/" + device, "property": "bootindex", "value": n}}
	}
	for _, request := range []map[string]any{
		// No two devices may have the same index at any time.
		{"execute": "qmp_capabilities"}, index("net0", 3), index("disk0", disk), index("net0", network), {"execute": "system_reset"},
	} {
		if err := json.NewEncoder(conn).Encode(request); err != nil {
			return err
		}
		for {
			line, err := reader.ReadString('\n')
			if err != nil {
				return err
			}
			if strings.Contains(line, `"error"`) {
				return fmt.Errorf("QEMU: %s", line)
			}
			if strings.Contains(line, `"return"`) {
				break
			}
		}
	}
	return nil
}

// chassis answers the program that ipmi_sim calls.
func (m *machine) chassis(args []string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(args) < 2 {
		return "", fmt.Errorf("arguments %q", args)
	}
	var out strings.Builder
	switch parameters := args[2:]; args[1] {
	case "get":
		for _, p := range parameters {
			fmt.Fprintf(&out, "%s:%s\n", p, m.get(p))
		}
	case "set":
		for pair := range slices.Chunk(parameters, 2) {
			if err := m.set(pair[0], pair[1]); err != nil {
				return "", err
			}
		}
	}
	return out.String(), nil
}

func (m *machine) get(parameter string) string {
	switch {
	case parameter == "boot":
		return m.boot
	case parameter == "power" && m.cmd != nil:
		return "1"
	}
	return "0"
}

func (m *machine) set(parameter, value string) error {
	switch parameter {
	case "boot":
		m.boot = value
	case "power":
		if value != "0" {
			return m.on()
		}
		m.off()
	case "reset":
		return m.reset()
	}
	return nil
}

// asked is how often PXE firmware has asked the wire for an address so far, as
// the machine's packets show.
func (m *machine) asked() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for i := range m.starts {
		data, err := os.ReadFile(fmt.Sprintf("%s/wire-%d", m.dir, i))
		if err != nil {
			return 0, err
		}
		for frame := range frames(data) {
			if isPXEDiscover(frame) {
				n++
			}
		}
	}
	return n, nil
}

// frames are the packets of a capture file in the format of libpcap, as this
// computer writes it. The last one may be half written.
func frames(data []byte) iter.Seq[[]byte] {
	const header, record = 24, 16
	return func(yield func([]byte) bool) {
		for rest := data[min(header, len(data)):]; len(rest) >= record; {
			length := int(binary.NativeEndian.Uint32(rest[8:]))
			if len(rest) < record+length || !yield(rest[record:record+length]) {
				return
			}
			rest = rest[record+length:]
		}
	}
}

// isPXEDiscover looks for a DHCPDISCOVER (RFC 2132, option 53) of the vendor
// class PXEClient in an Ethernet frame with an IPv4 header of 20 bytes.
func isPXEDiscover(frame []byte) bool {
	const ethernet, ip = 14, 20
	return len(frame) > ethernet+ip+8 && frame[ethernet] == 0x45 && frame[ethernet+9] == 17 &&
		binary.BigEndian.Uint16(frame[ethernet+ip+2:]) == 67 &&
		bytes.Contains(frame, []byte("PXEClient")) && bytes.Contains(frame, []byte{53, 1, 1})
}

// text is what the machine says.
type text struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *text) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *text) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// boots is what the machine has booted from so far, in order.
func (s *text) boots() []string {
	var boots []string
	for line := range strings.Lines(s.String()) {
		for _, from := range []string{fromNetwork, fromDisk} {
			if strings.Contains(line, from) {
				boots = append(boots, from)
			}
		}
	}
	return boots
}
