package image

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	// atOnce is how many downloads are fed at one moment, each a chunk at a
	// time. 512 machines that are all fed at once keep 512 half-empty windows
	// going; measured over a veth beside nginx, feeding 16 in turn moves the
	// same bytes in two thirds of the time and of the CPU.
	atOnce = 16
	// longestTurn frees the turn of a reader that does not keep up: it goes on
	// with its chunk, and no longer holds up the others.
	longestTurn = 50 * time.Millisecond
)

// turns lets few downloads be fed at once, and every one in its turn.
type turns chan struct{}

func newTurns() turns { return make(turns, atOnce) }

// take waits for a turn. The function that it gives ends it, as longestTurn
// does.
func (t turns) take() (end func()) {
	t <- struct{}{}
	leave := sync.OnceFunc(func() { <-t })
	late := time.AfterFunc(longestTurn, leave)
	return func() {
		late.Stop()
		leave()
	}
}

// Listen opens a listener for Handler. Its connections do without pacing,
// which arms a timer for each segment and suits long ways, not a rack: with
// BBR (tcp_bbr(4), where an administrator chose it) the same download costs
// half as much CPU again.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			// A kernel without cubic keeps what it has.
			_ = syscall.SetsockoptString(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CONGESTION, "cubic")
		})
	}}
	return lc.Listen(ctx, "tcp", addr)
}
