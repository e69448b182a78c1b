package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// diskSize is large enough for a partition table and small enough to hash in a test.
const diskSize = 8 << 20

// BIOSDisk makes a disk whose boot sector prints word on the first serial line and halts: a machine that
// says word has booted from its disk. The rest of the disk is a pattern, so that a write to it shows.
func (l *Lab) BIOSDisk(name, word string) (path string) {
	l.t.Helper()
	disk := bytes.Repeat([]byte("customer's data "), diskSize/16)
	copy(disk, bootSector(word))
	path = filepath.Join(l.dir, name)
	if err := os.WriteFile(path, disk, 0o644); err != nil {
		l.t.Fatalf("making the disk: %v", err)
	}
	return path
}

// UEFIDisk makes a disk with an EFI system partition whose default loader, an iPXE program, prints word on
// the console and stops: a machine that says word has booted from its disk.
func (l *Lab) UEFIDisk(name, word string, loader []byte) (path string) {
	l.t.Helper()
	Need(l.t, "mformat", "mcopy")
	path = filepath.Join(l.dir, name)
	script := "#!ipxe\necho " + word + "\nshell\n"
	files := l.t.TempDir()
	for file, data := range map[string][]byte{"BOOTX64.EFI": loader, "autoexec.ipxe": []byte(script)} {
		if err := os.WriteFile(filepath.Join(files, file), data, 0o644); err != nil {
			l.t.Fatalf("making the disk: %v", err)
		}
	}
	for _, command := range [][]string{
		{"mformat", "-C", "-i", path, "-T", strconv.Itoa(2 * diskSize / 512), "-h", "16", "-s", "63", "::"},
		{"mmd", "-i", path, "::/EFI", "::/EFI/BOOT"},
		{"mcopy", "-i", path, files + "/BOOTX64.EFI", files + "/autoexec.ipxe", "::/EFI/BOOT/"},
		{"mcopy", "-i", path, files + "/autoexec.ipxe", "::/"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			l.t.Fatalf("making the disk: %s: %v: %s", command[0], err, out)
		}
	}
	return path
}

// bootSector is loaded to 0000:7c00 and runs in real mode.
func bootSector(word string) []byte {
	code := []byte{
		0xfa,       // cli
		0x31, 0xc0, // xor ax, ax
		0x8e, 0xd8, // mov ds, ax
		0xfc,             // cld
		0xbe, 0x1e, 0x7c, // mov si, text
		// next:
		0xac,       // lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x0c, // jz halt
		0x88, 0xc3, // mov bl, al
		0xba, 0xf8, 0x03, // mov dx, 0x3f8
		0x88, 0xd8, // mov al, bl
		0xee,                   // out dx, al
		0xeb, 0xf1, 0x90, 0x90, // jmp next
		// halt:
		0xf4,       // hlt
		0xeb, 0xfd, // jmp halt
		0x90, // text begins at 0x1e
	}
	sector := make([]byte, 512)
	copy(sector[copy(sector, code):], "\r\n"+word+"\r\n\x00")
	sector[510], sector[511] = 0x55, 0xaa
	return sector
}
