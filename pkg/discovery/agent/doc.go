// Package agent looks at a machine from inside: as the init of an image's own
// kernel and initrd, or as a check inside an installer. It reads the kernel's
// tables, listens at the network ports and asks the daemon what to do. It
// opens no disk for writing; a test reads its source for that.
package agent
