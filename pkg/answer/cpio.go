package answer

import (
	"bytes"
	"fmt"
	"path"
)

// cpio is an initial ramdisk being written, in the format that the kernel's
// documentation calls newc (driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	b     bytes.Buffer
	inode int
}

const (
	cpioFolder  = 0o040000
	cpioRegular = 0o100000
	// Archives are padded, so that another may follow.
	cpioBlock = 512
)

func (c *cpio) file(name string, mode uint32, text string) { c.entry(name, cpioRegular|mode, text) }

func (c *cpio) folder(name string, mode uint32) { c.entry(name, cpioFolder|mode, "") }

// parents adds the folders above a file that are not made yet.
func (c *cpio) parents(made map[string]bool, name string) {
	dir := path.Dir(name)
	if dir == "." || dir == "rackseed" || made[dir] {
		return
	}
	c.parents(made, dir)
	c.folder(dir, 0o755)
	made[dir] = true
}

// entry writes a header, a name and contents, each padded to 4 bytes. Owner
// and time are zero: root, and the same in every build.
func (c *cpio) entry(name string, mode uint32, text string) {
	c.inode++
	fmt.Fprintf(&c.b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.inode, mode, 0, 0, 1, 0, len(text), 0, 0, 0, 0, len(name)+1, 0, name)
	c.pad(4)
	c.b.WriteString(text)
	c.pad(4)
}

func (c *cpio) pad(to int) {
	for c.b.Len()%to != 0 {
		c.b.WriteByte(0)
	}
}

func (c *cpio) bytes() []byte {
	c.inode = -1
	c.entry("TRAILER!!!", 0, "")
	c.pad(cpioBlock)
	return c.b.Bytes()
}
