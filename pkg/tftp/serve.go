package tftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pin/tftp/v3/netascii"
)

// maxNetascii bounds a file that is translated in memory because the library
// cannot answer from the address that was asked. Nobody reads a loader as text.
const maxNetascii = 1 << 20

// maxLoops bounds the event loops: beyond that the network card is the limit.
const maxLoops = 4

// backlog is the number of reports that may wait for Observe.
const backlog = 1024

type carrier int

const (
	carryBest carrier = iota
	carryOwn
	carryPin
)

// service is one run of a server.
type service struct {
	*Server
	listener *Listener
	desk     *desk
	loops    []*loop
	turn     atomic.Uint32
	pin      *pinCarrier
	reports  chan Transfer
	dropped  atomic.Int64
	requests sync.WaitGroup
}

// Serve answers requests until ctx ends, then lets running transfers finish within
// Grace, and returns when all of them are done. It closes the listener. The error
// is nil when ctx ended it.
func (s *Server) Serve(ctx context.Context, l *Listener) error {
	defer l.Close()
	if s.Open == nil {
		return errors.New("serving TFTP: Server.Open is not set")
	}
	v, err := newService(s.withDefaults(), l)
	if err != nil {
		return fmt.Errorf("serving TFTP: %w", err)
	}
	return v.run(ctx)
}

func newService(s *Server, l *Listener) (*service, error) {
	v := &service{
		Server: s, listener: l,
		desk:    newDesk(s.MaxTransfers, s.MaxPerClient),
		reports: make(chan Transfer, backlog),
	}
	for range min(runtime.GOMAXPROCS(0), maxLoops) {
		lp, err := newLoop(s.Now, v.desk, v.report)
		if err != nil {
			v.closeLoops()
			return nil, err
		}
		lp.tap = s.Tap
		v.loops = append(v.loops, lp)
	}
	// A quarter, because the library's transfers cannot make room for others.
	v.pin = newPinCarrier(s.MaxTransfers/4, v.desk, s.Now, v.report)
	return v, nil
}

func (v *service) closeLoops() {
	for _, lp := range v.loops {
		lp.close()
	}
}

func (v *service) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var carriers, observer sync.WaitGroup
	for _, lp := range v.loops {
		carriers.Go(func() {
			if err := lp.run(); err != nil {
				cancel(err)
			}
		})
	}
	carriers.Go(func() {
		if err := v.pin.run(); err != nil {
			cancel(err)
		}
	})
	observer.Go(v.observe)

	stop := context.AfterFunc(ctx, func() { _ = v.listener.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := v.listen(ctx)
	cancel(err)

	v.requests.Wait()
	for _, lp := range v.loops {
		lp.stop(v.Now().Add(v.Grace))
	}
	grace := time.NewTimer(v.Grace)
	defer grace.Stop()
	v.pin.close(grace.C)
	carriers.Wait()
	v.closeLoops()
	close(v.reports)
	observer.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return fmt.Errorf("serving TFTP: %w", cause)
	}
	return nil
}

// listen takes requests until ctx ends.
func (v *service) listen(ctx context.Context) error {
	buf := make([]byte, maxRequest)
	for {
		n, from, err := v.listener.read(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("reading requests: %w", err)
		case err != nil:
			v.Log.Warn("TFTP: reading requests", "err", err)
			if !pause(ctx, 100*time.Millisecond) {
				return nil
			}
		case n > 0:
			v.take(ctx, buf[:n], from)
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// take decides on one packet to the listening port. Anything that is not a request
// gets no answer, so that two servers can never talk to each other.
func (v *service) take(ctx context.Context, p []byte, from arrival) {
	started := v.Now()
	account := Transfer{
		Request: Request{Client: from.client, Local: from.local},
		Blksize: defaultBlksize, Windowsize: 1, Outcome: Refused,
	}
	r, err := parseRequest(p)
	if v.Tap != nil && !errors.Is(err, errNotRequest) {
		v.Tap(Packet{At: started, From: from.client, To: v.listener.at(from), Data: p})
	}
	account.Asked = r.asked()
	switch {
	case errors.Is(err, errNotRequest):
		return
	case errors.Is(err, errWrite):
		v.refuse(from, account, codeAccess, "this server is read-only")
		return
	case err != nil:
		v.refuse(from, account, codeIllegal, err.Error())
		return
	}
	name, ok := cleanName(r.name)
	if !ok {
		account.Name = r.name[:min(len(r.name), maxName)]
		v.refuse(from, account, codeAccess, "no such name")
		return
	}
	account.Name = name
	place, verdict := v.desk.admit(from.client)
	if verdict != admitted {
		// Silence: the client asks again, and an error would end its boot.
		v.turnedAway(account, verdict)
		return
	}
	v.requests.Go(func() {
		if !v.begin(ctx, r, from, account, place, started) {
			v.desk.leave(place)
		}
	})
}

func (v *service) turnedAway(account Transfer, verdict admission) {
	switch verdict {
	case duplicate:
		return
	case clientFull:
		account.Why = "too many transfers from this client"
	case full:
		account.Why = "too many transfers"
	}
	v.report(account)
}

// begin opens the file and hands the transfer to a sender. False: it went nowhere.
func (v *service) begin(ctx context.Context, r readRequest, from arrival, account Transfer, place *seat, started time.Time) bool {
	file, err := v.open(ctx, account.Request)
	switch {
	case errors.Is(err, ErrNotFound):
		v.refuse(from, account, codeNotFound, "file not found")
		return false
	case errors.Is(err, ErrRefused):
		v.refuse(from, account, codeAccess, "access refused")
		return false
	case err != nil:
		v.Log.Warn("TFTP: opening a file", "name", account.Name, "client", from.client, "err", err)
		v.refuse(from, account, codeUndefined, "file cannot be read")
		return false
	}
	if v.usePin(r, from) {
		v.pin.add(&pinned{file: file, netascii: r.netascii, seat: place, account: account, started: started})
		return true
	}
	if r.netascii {
		// RFC 2349 counts tsize in bytes on the wire, which few would expect here.
		r.options = nil
		if file, err = translate(file); err != nil {
			v.refuse(from, account, codeUndefined, "file is too large for netascii")
			return false
		}
	}
	fd, maxBlock, err := v.listener.dial(from)
	if err != nil {
		v.Log.Warn("TFTP: opening a socket", "client", from.client, "err", err)
		account.Why = "no socket for the transfer"
		v.report(account)
		return false
	}
	local := netip.AddrPort{}
	if v.Tap != nil {
		local = localOf(fd, from.local)
	}
	t := negotiate(r.options, file.Size, maxBlock)
	account.Blksize, account.Windowsize = t.blksize, t.window
	v.loops[v.turn.Add(1)%uint32(len(v.loops))].add(&session{
		sender: newSender(t, file.Size, v.Patience),
		fd:     fd, file: file, seat: place, account: account, started: started, local: local,
		segmented: t.window > 1 && !v.noSegment && segment(fd, t.blksize+4) == nil,
	})
	return true
}

// open contains a fault in the caller's Open to the one request.
func (v *service) open(ctx context.Context, r Request) (f File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f, err = v.Open(ctx, r)
	if err == nil && (f.Content == nil || f.Size < 0) {
		err = errors.New("no content")
	}
	return f, err
}

// usePin leaves the library what it does well: transfers without options.
func (v *service) usePin(r readRequest, from arrival) bool {
	switch v.force {
	case carryOwn:
		return false
	case carryPin:
		return v.pin.fits(from)
	}
	return (len(r.options) == 0 || r.netascii) && v.pin.fits(from)
}

func translate(f File) (File, error) {
	if f.Size > maxNetascii {
		return File{}, errors.New("too large")
	}
	text, err := io.ReadAll(netascii.ToReader(io.NewSectionReader(f.Content, 0, f.Size)))
	if err != nil {
		return File{}, fmt.Errorf("translating to netascii: %w", err)
	}
	return File{Content: bytes.NewReader(text), Size: int64(len(text))}, nil
}

func (v *service) refuse(from arrival, account Transfer, code uint16, why string) {
	p := errorPacket(code, why)
	if err := v.listener.reply(from, p); err != nil {
		v.Log.Debug("TFTP: sending an error", "client", from.client, "err", err)
	} else if v.Tap != nil {
		v.Tap(Packet{At: v.Now(), From: v.listener.at(from), To: from.client, Sent: true, Data: p})
	}
	account.Why = why
	v.report(account)
}

func (v *service) report(t Transfer) {
	v.Log.Debug("TFTP transfer", "name", t.Name, "client", t.Client, "outcome", t.Outcome.String(),
		"bytes", t.Bytes, "took", t.Took, "blksize", t.Blksize, "windowsize", t.Windowsize, "resent", t.Resent, "why", t.Why)
	if v.Observe == nil {
		return
	}
	select {
	case v.reports <- t:
	default:
		v.dropped.Add(1)
	}
}

// observe runs the caller's Observe, away from the transfers.
func (v *service) observe() {
	for t := range v.reports {
		v.Observe(t)
		if n := v.dropped.Swap(0); n > 0 {
			v.Log.Warn("TFTP: reports dropped: Observe is too slow", "count", n)
		}
	}
}
