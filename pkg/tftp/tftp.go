// Package tftp hands boot files to firmware: a name goes in, bytes come out.
//
// It is a read-only server for RFC 1350 with the options that boot firmware
// sends: blksize (RFC 2348), tsize and timeout (RFC 2349) and windowsize
// (RFC 7440). Requests are parsed once, named files are opened through [Open],
// and the transfer is then carried by one of two senders behind the same seam:
//
//   - a client that negotiates options, which all boot firmware does, gets the
//     sender of this package: one connected socket per transfer, a few event
//     loops for all of them, an adaptive retransmission timer and windows;
//   - a client that negotiates nothing gets github.com/pin/tftp.
//
// Nothing here knows what a loader is or who may have one: that is Open's answer.
package tftp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"time"
)

// Errors that an [Open] returns to say what the client should be told. Any other
// error reaches the client as a generic text, never as its own words.
var (
	// ErrNotFound answers ERROR 1, file not found.
	ErrNotFound = errors.New("file not found")
	// ErrRefused answers ERROR 2, access violation.
	ErrRefused = errors.New("access refused")
)

// Request is a read request that passed the checks which need no knowledge of files.
type Request struct {
	// Name is clean: forward slashes, no leading slash, no empty, "." or ".."
	// element, no control or percent character, valid UTF-8, 1 to 255 bytes.
	Name string
	// Client is where the request came from.
	Client netip.AddrPort
	// Local is the address that the client asked; every reply leaves from it.
	Local netip.Addr
}

// File is what a name stands for. Content is read from the event loop that
// serves many clients, so it should be in memory.
type File struct {
	Content io.ReaderAt
	Size    int64
}

// Open turns a request into a file. It is called from many goroutines; ctx ends
// with [Server.Serve].
type Open func(ctx context.Context, r Request) (File, error)

// Packet is one datagram of a transfer.
type Packet struct {
	At       time.Time
	From, To netip.AddrPort
	Sent     bool // by the server
	Data     []byte
}

// Outcome is how a transfer ended.
type Outcome int

// The outcomes.
const (
	// Done: the last block was acknowledged.
	Done Outcome = iota
	// SizeProbe: the client asked for the size and stopped when it had it. PXE
	// firmware does so before every download.
	SizeProbe
	// Aborted: the client stopped, or vanished, in the middle.
	Aborted
	// TimedOut: the client stopped answering.
	TimedOut
	// Refused: there was nothing for this client under this name.
	Refused
)

// String returns the outcome as one lower-case word.
func (o Outcome) String() string {
	switch o {
	case Done:
		return "done"
	case SizeProbe:
		return "size-probe"
	case Aborted:
		return "aborted"
	case TimedOut:
		return "timed-out"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// Transfer is the account of one request, given to [Server.Observe] when it ended.
// A request whose name was not acceptable carries the name as it was sent, cut to
// 255 bytes.
type Transfer struct {
	Request
	// Bytes counts what the client acknowledged.
	Bytes int64
	// Took is the time from the request to its end.
	Took time.Duration
	// Asked is what the client asked for: the options of its request as it sent
	// them, such as "tsize 0, blksize 1468".
	Asked string
	// Blksize and Windowsize are the negotiated values; 512 and 1 without options.
	Blksize, Windowsize int
	// Resent counts DATA and OACK packets that were sent again.
	Resent  int
	Outcome Outcome
	// Why says in a few words what led to an outcome other than Done.
	Why string
}

// Server serves files by TFTP. Open must be set; the zero value of every other
// field is a sensible default. Do not change fields while Serve runs.
type Server struct {
	Open Open
	// Observe, when set, hears of every request that ended. It runs in a
	// goroutine of its own: when it falls a thousand behind, reports are dropped
	// rather than transfers held up.
	Observe func(Transfer)
	Log     *slog.Logger
	// Tap, when set, is shown the packets that tell how a transfer went: the request,
	// the first few of either side, errors, and the last block. It is called from the
	// event loops, so it must not wait, and must copy what it keeps. Transfers without
	// options show their request alone.
	Tap func(Packet)
	// MaxTransfers bounds all transfers at once. Default 2048.
	MaxTransfers int
	// MaxPerClient bounds the transfers of one address. Default 64, which leaves
	// room for a hypervisor whose machines share its address.
	MaxPerClient int
	// Patience is how long a client that has begun to answer may stay silent.
	// Default 15 s.
	Patience time.Duration
	// Grace is how long running transfers may go on after ctx ended. Default 2 s.
	Grace time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time

	// force makes one sender carry everything it can, for tests and benchmarks.
	force carrier
	// noSegment keeps the sender off UDP_SEGMENT, for tests.
	noSegment bool
}

func (s *Server) withDefaults() *Server {
	c := *s
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxTransfers <= 0 {
		c.MaxTransfers = 2048
	}
	if c.MaxPerClient <= 0 {
		c.MaxPerClient = 64
	}
	if c.Patience <= 0 {
		c.Patience = 15 * time.Second
	}
	if c.Grace <= 0 {
		c.Grace = 2 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &c
}
