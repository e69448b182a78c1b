package tftp

import (
	"strconv"
	"time"
)

const (
	defaultBlksize = 512
	minBlksize     = 8     // RFC 2348
	maxBlksize     = 65464 // RFC 2348
	// maxWindow is the most blocks we keep in flight: UEFI firmware asks for 4,
	// and past 64 a burst only fills somebody's queue.
	maxWindow = 64
)

// terms are what server and client agreed on.
type terms struct {
	blksize int
	window  int
	timeout time.Duration // RFC 2349; 0 when not asked
	tsize   bool          // the client asked for the size
	oack    []byte        // nil when nothing was agreed
}

// negotiate answers the options that are known and valid and passes over the rest,
// as RFC 2347 wants. maxBlock is the largest block that crosses the path in one
// packet. Whatever appears twice counts once.
func negotiate(asked []option, size int64, maxBlock int) terms {
	t := terms{blksize: defaultBlksize, window: 1}
	var agreed []option
	seen := make(map[string]bool, len(asked))
	for _, o := range asked {
		if seen[o.name] {
			continue
		}
		seen[o.name] = true
		n, err := strconv.ParseUint(o.value, 10, 63)
		if err != nil {
			continue
		}
		switch o.name {
		case "blksize":
			if n < minBlksize {
				continue
			}
			t.blksize = int(min(n, maxBlksize, uint64(max(maxBlock, minBlksize))))
			o.value = strconv.Itoa(t.blksize)
		case "windowsize":
			if n < 1 || n > 65535 {
				continue
			}
			t.window = int(min(n, maxWindow))
			o.value = strconv.Itoa(t.window)
		case "timeout":
			if n < 1 || n > 255 {
				continue
			}
			// RFC 2349: the answer must be the value asked.
			t.timeout = time.Duration(n) * time.Second
		case "tsize":
			t.tsize = true
			o.value = strconv.FormatInt(size, 10)
		default:
			continue
		}
		agreed = append(agreed, o)
	}
	if agreed != nil {
		t.oack = oackPacket(agreed)
	}
	return t
}
