package storm

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// truncate drops received octets of a TCP connection in the kernel, len(scratch)
// at most, and returns how many; zero at the end of the stream.
func truncate(raw syscall.RawConn, scratch []byte) (int, error) {
	var n int
	var readErr error
	err := raw.Read(func(fd uintptr) bool {
		for {
			n, _, readErr = unix.Recvfrom(int(fd), scratch, unix.MSG_TRUNC)
			if !errors.Is(readErr, unix.EINTR) {
				return !errors.Is(readErr, unix.EAGAIN)
			}
		}
	})
	if err == nil {
		err = os.NewSyscallError("recvfrom", readErr)
	}
	return n, err
}
