package agent

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts are what the kernel's tables are read from. The kernel has begun with
// nothing but the initrd.
var mounts = []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/run"}}

// prepare does what an init must: it mounts the kernel's tables and finds the
// consoles.
func prepare() (console io.Writer, err error) {
	for _, m := range mounts {
		_ = os.MkdirAll(m.at, 0o755) // the mount says so if it is missing
		if err := unix.Mount(m.kind, m.at, m.kind, unix.MS_NOSUID, ""); err != nil && err != unix.EBUSY {
			return os.Stdout, fmt.Errorf("mounting %s: %w", m.at, err)
		}
	}
	if err := os.Setenv("PATH", "/sbin:/bin:/usr/sbin:/usr/bin"); err != nil {
		return os.Stdout, fmt.Errorf("setting the path: %w", err)
	}
	// A machine that stops at a kernel message of every port cannot be read.
	return consoles(), nil
}

// consoles is every console that the kernel speaks on: whoever stands at the
// rack and whoever watches through the BMC see the same.
func consoles() io.Writer {
	data, err := os.ReadFile("/proc/consoles")
	if err != nil {
		return os.Stdout
	}
	var all []io.Writer
	for l := range strings.Lines(string(data)) {
		f := strings.Fields(l)
		if len(f) == 0 || strings.HasPrefix(f[0], "netcon") {
			continue
		}
		if c, err := os.OpenFile("/dev/"+f[0], os.O_WRONLY|unix.O_NOCTTY, 0); err == nil {
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return os.Stdout
	}
	return eachOf(all)
}

// eachOf writes to all: a console that is unplugged must not silence the rest.
type eachOf []io.Writer

func (w eachOf) Write(p []byte) (int, error) {
	for _, one := range w {
		_, _ = one.Write(p)
	}
	return len(p), nil
}

// protect asks the kernel to refuse writes to every disk that is there, on top
// of there being nobody who would write.
func (m Machine) protect(say func(string, ...any)) {
	for _, name := range m.list("/sys/block") {
		if slices.ContainsFunc(notDisks, func(p string) bool { return strings.HasPrefix(name, p) }) || m.hidden(name) {
			continue
		}
		if err := readOnly(m.path("/dev/" + name)); err != nil {
			say("%s could not be made read-only: %v; nothing writes to it all the same", name, err)
		}
	}
}

// readOnly sets the flag that `blockdev --setro` sets. It is the kernel's own:
// the disk does not know of it, and it ends with this boot.
func readOnly(device string) error {
	f, err := os.Open(device)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.BLKROSET, 1)
}

// random waits for the kernel's random numbers: whoever waits in getrandom has
// the kernel collect them, and DHCP needs one. Processors without RDRAND have
// none for minutes otherwise.
func random() {
	var b [1]byte
	_, _ = unix.Getrandom(b[:], 0) // a kernel too old to have it needs nobody to wait
}

// reboot does not come back.
func reboot() error {
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

// reap takes the ends of programs whose parents have gone: an init must.
func reap() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
	}
}
