package survey

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestFilter: what a parser would read passes the kernel, what is served to
// machines does not.
func TestFilter(t *testing.T) {
	program, ok := bpf.Disassemble(dhcpFilter())
	if !ok || len(program) == 0 {
		t.Fatalf("the filter has %d instructions, not all known", len(program))
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(src, dst uint16, edit func([]byte)) []byte {
		f := discoverFrame(site.MAC{2}, make([]byte, 300))
		binary.BigEndian.PutUint16(f[34:], src)
		binary.BigEndian.PutUint16(f[36:], dst)
		if edit != nil {
			edit(f)
		}
		return f
	}
	options := frame(67, 68, nil)
	options = append(append(append([]byte{}, options[:34]...), make([]byte, 4)...), options[34:]...)
	options[14] = 0x46
	for _, c := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"a client asks", frame(68, 67, nil), true},
		{"a server answers", frame(67, 68, nil), true},
		{"a server answers, with IP options", options, true},
		{"a PXE boot server answers", frame(4011, 68, nil), true},
		{"TFTP", frame(69, 2070, nil), false},
		{"a port that ends alike", frame(2067, 6768, nil), false},
		{"TCP from port 67", frame(67, 80, func(f []byte) { f[23] = 6 }), false},
		{"a later fragment", frame(67, 68, func(f []byte) { f[21] = 9 }), false},
		{"cut short", frame(67, 68, nil)[:30], false},
	} {
		if n, err := vm.Run(c.frame); err != nil || (n > 0) != c.want {
			t.Errorf("%s: %d bytes pass (%v), want any: %v", c.name, n, err, c.want)
		}
	}
}
