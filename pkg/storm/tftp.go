package storm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// TFTPConfig says which file how many clients fetch at once.
type TFTPConfig struct {
	Server     netip.AddrPort // port 0 means 69
	File       string
	Clients    int           // default 1
	BlockSize  int           // RFC 2348; default 1468, which fills an Ethernet frame
	WindowSize int           // RFC 7440; default 1, and then not asked for
	Probe      bool          // ask for tsize first and abort, as PXE firmware does
	Loss       float64       // share of datagrams the client throws away, each way; 0 to 0.9
	Seed       uint64        // of the loss
	Timeout    time.Duration // before the client asks again; default 3 s, as EDK2 firmware has it
	Tries      int           // without progress, default 6
	Limit      time.Duration // of the whole rehearsal, default 120 s

	// Sources gives each client a source address of its own, since a server may
	// bound what one address gets. All of it must be local to this host:
	// ip route add local PREFIX dev lo.
	Sources netip.Prefix

	PIDs        []int
	AllowPublic bool
	Progress    func(Progress) `json:"-"`
}

// TFTPResult is what one TFTP rehearsal found.
type TFTPResult struct {
	Server        netip.AddrPort `json:"server"`
	Clients       int            `json:"clients"`
	Finished      int            `json:"finished"`
	Failed        int            `json:"failed"`
	Errors        map[string]int `json:"errors,omitempty"` // reason to count
	Different     int            `json:"different"`        // finished with other bytes than the first client
	Size          int64          `json:"size"`             // of the file
	Bytes         int64          `json:"bytes"`            // of all clients
	BlockSize     int            `json:"block_size"`       // what the server agreed to
	WindowSize    int            `json:"window_size"`
	Retransmitted int            `json:"retransmitted"` // by the clients
	Duplicates    int            `json:"duplicates"`    // blocks received twice
	Elapsed       time.Duration  `json:"elapsed_ns"`
	MBPerSecond   float64        `json:"mb_per_second"` // 10^6 octets
	Latency       Latency        `json:"latency"`       // of whole downloads: Max is the slowest client
	Process       *Process       `json:"process,omitempty"`
}

// OK tells whether every client got the same whole file.
func (r TFTPResult) OK() bool { return r.Finished == r.Clients && r.Different == 0 }

func (c TFTPConfig) withDefaults() (TFTPConfig, error) {
	if c.Server.Port() == 0 {
		c.Server = netip.AddrPortFrom(c.Server.Addr(), 69)
	}
	if err := checkTarget(c.Server.Addr(), c.AllowPublic); err != nil {
		return c, err
	}
	c.Clients = orDefault(c.Clients, 1)
	c.BlockSize = orDefault(c.BlockSize, 1468)
	c.WindowSize = orDefault(c.WindowSize, 1)
	c.Timeout = orDefault(c.Timeout, 3*time.Second)
	c.Tries = orDefault(c.Tries, 6)
	c.Limit = orDefault(c.Limit, 2*time.Minute)
	switch {
	case c.File == "":
		return c, errors.New("no file to download")
	case c.Clients < 1 || c.Clients > maxDownloads:
		return c, fmt.Errorf("clients: %d, want 1 to %d", c.Clients, maxDownloads)
	case c.BlockSize < 8 || c.BlockSize > 65464:
		return c, fmt.Errorf("block size: %d, want 8 to 65464 (RFC 2348)", c.BlockSize)
	case c.WindowSize < 1 || c.WindowSize > 65535:
		return c, fmt.Errorf("window size: %d, want 1 to 65535 (RFC 7440)", c.WindowSize)
	case c.Loss < 0 || c.Loss > 0.9:
		return c, fmt.Errorf("loss: %v, want 0 to 0.9", c.Loss)
	}
	return c, checkSources(c.Sources, c.Clients)
}

// maxDownloads bounds the clients that download at once, each of which has a
// socket and a goroutine.
const maxDownloads = 20_000

// TFTP downloads the file with every client at once and returns what it
// counted. An error means that the rehearsal could not be run.
func TFTP(ctx context.Context, c TFTPConfig) (TFTPResult, error) {
	c, err := c.withDefaults()
	if err != nil {
		return TFTPResult{}, err
	}
	m, err := newMeter(c.PIDs)
	if err != nil {
		return TFTPResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	r := TFTPResult{Server: c.Server, Clients: c.Clients}
	var counts tally
	stop := counts.watch(ctx, "tftp", c.Clients, c.Progress)
	d, err := openDownloads()
	if err != nil {
		stop()
		return r, err
	}
	results := make([]*tftpTransfer, c.Clients)
	start := time.Now()
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = d.get(ctx, c, i, sourceAddr(c.Sources, i), &counts) })
	}
	all.Wait()
	stop()
	if err := d.close(); err != nil {
		return r, err
	}
	r.Elapsed = time.Since(start)
	r.add(results)
	r.MBPerSecond = float64(r.Bytes) / 1e6 / r.Elapsed.Seconds()
	r.Process, err = m.stop()
	return r, err
}

func (r *TFTPResult) add(transfers []*tftpTransfer) {
	var latency Histogram
	var first *tftpTransfer
	for _, t := range transfers {
		r.Bytes += t.bytes
		r.Retransmitted += t.retransmitted
		r.Duplicates += t.duplicates
		if t.err != nil {
			r.Failed++
			countError(&r.Errors, t.err)
			continue
		}
		r.Finished++
		latency.Record(t.elapsed)
		if first == nil {
			first = t
			r.Size, r.BlockSize, r.WindowSize = t.bytes, t.blockSize, t.windowSize
		}
		if t.bytes != first.bytes || t.sum != first.sum {
			r.Different++
		}
	}
	r.Latency = latency.Summary()
}

// countError keeps reasons, not addresses and ports: a thousand clients fail
// for a handful of reasons.
func countError(errs *map[string]int, err error) {
	if *errs == nil {
		*errs = map[string]int{}
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	reason := err.Error()
	if _, known := (*errs)[reason]; !known && len(*errs) >= maxReasons {
		reason = "other reasons"
	}
	(*errs)[reason]++
}

const maxReasons = 16
