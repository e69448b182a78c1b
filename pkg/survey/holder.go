package survey

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Holder is a program that has a port.
type Holder struct {
	PID  int    `json:"pid"`  // zero when the process is not ours to see
	Name string `json:"name"` // empty likewise
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "a process of another user"
	}
	return fmt.Sprintf("%s (process %d)", h.Name, h.PID)
}

// PortHolder names the program that has a local port, if there is one; proto
// is udp or tcp. It reads /proc: without root it sees only its own user's
// programs, and says of the others that they are there.
func PortHolder(proto string, port int) (Holder, bool, error) {
	inodes := map[string]bool{}
	for _, table := range []string{proto, proto + "6"} {
		f, err := os.Open(filepath.Join("/proc/thread-self/net", table))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Holder{}, false, fmt.Errorf("looking for the holder of %s port %d: %w", proto, port, err)
		}
		err = socketInodes(f, proto, port, inodes)
		f.Close()
		if err != nil {
			return Holder{}, false, fmt.Errorf("looking for the holder of %s port %d: %w", proto, port, err)
		}
	}
	if len(inodes) == 0 {
		return Holder{}, false, nil
	}
	return processWith(inodes), true, nil
}

// tcpListen is TCP_LISTEN as /proc/net/tcp writes it.
const tcpListen = "0A"

// socketInodes reads a table of /proc/net (proc(5)): the local address is the
// second column, the inode the tenth.
func socketInodes(r io.Reader, proto string, port int, found map[string]bool) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		_, hex, ok := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(hex, 16, 16)
		if !ok || err != nil || int(n) != port || proto == "tcp" && f[3] != tcpListen {
			continue
		}
		found[f[9]] = true
	}
	return lines.Err()
}

func processWith(inodes map[string]bool) Holder {
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil {
			continue
		}
		inode, ok := strings.CutPrefix(target, "socket:[")
		if !ok || !inodes[strings.TrimSuffix(inode, "]")] {
			continue
		}
		process := filepath.Dir(filepath.Dir(fd))
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(process, "comm"))
		return Holder{PID: pid, Name: strings.TrimSpace(string(name))}
	}
	return Holder{}
}
