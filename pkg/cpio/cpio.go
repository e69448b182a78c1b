// Package cpio writes initial ramdisks, in the format that the kernel's
// documentation calls newc (driver-api/early-userspace/buffer-format.rst). The
// same entries give the same bytes.
package cpio

import (
	"bytes"
	"fmt"
)

// Archive is an initial ramdisk being written. The zero Archive is empty.
type Archive struct {
	b     bytes.Buffer
	inode int
}

const (
	folder  = 0o040000
	regular = 0o100000
)

// Block is what archives are padded to, so that another may follow,
// in bytes.
const Block = 512

// File adds a file of root's.
func (a *Archive) File(name string, mode uint32, data []byte) { a.entry(name, regular|mode, data) }

// Folder adds a folder of root's.
func (a *Archive) Folder(name string, mode uint32) { a.entry(name, folder|mode, nil) }

// entry writes a header, a name and contents, each padded to 4 bytes. Owner
// and time are zero: root, and the same in every build.
func (a *Archive) entry(name string, mode uint32, data []byte) {
	a.inode++
	fmt.Fprintf(&a.b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad(4)
	a.b.Write(data)
	a.pad(4)
}

func (a *Archive) pad(to int) {
	for a.b.Len()%to != 0 {
		a.b.WriteByte(0)
	}
}

// Bytes ends the archive.
func (a *Archive) Bytes() []byte {
	a.inode = -1
	a.entry("TRAILER!!!", 0, nil)
	a.pad(Block)
	return a.b.Bytes()
}
