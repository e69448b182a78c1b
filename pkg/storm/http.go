package storm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"
)

// HTTPConfig says which URL how many clients fetch at once.
type HTTPConfig struct {
	URL     string // http only
	Clients int    // default 1
	Range   string // value of the Range header, "bytes=0-1023"; empty asks for all
	Check   bool   // compare all clients' bytes; without it they are counted and thrown away in the kernel
	Limit   time.Duration

	// Sources gives each client a source address of its own, since a server may
	// bound what one address gets. All of it must be local to this host:
	// ip route add local PREFIX dev lo.
	Sources netip.Prefix

	PIDs        []int
	AllowPublic bool
	Progress    func(Progress) `json:"-"`
}

// HTTPResult is what one HTTP rehearsal found.
type HTTPResult struct {
	URL         string         `json:"url"`
	Clients     int            `json:"clients"`
	Finished    int            `json:"finished"`
	Failed      int            `json:"failed"`
	Errors      map[string]int `json:"errors,omitempty"`
	Different   int            `json:"different"` // finished with another length (or, with Check, other bytes) than the first
	Size        int64          `json:"size"`
	Bytes       int64          `json:"bytes"`
	Elapsed     time.Duration  `json:"elapsed_ns"`
	MBPerSecond float64        `json:"mb_per_second"` // 10^6 octets
	FirstByte   Latency        `json:"first_byte"`    // from the start of connecting to the end of the header
	Latency     Latency        `json:"latency"`       // of whole downloads
	Process     *Process       `json:"process,omitempty"`
}

// OK tells whether every client got the same whole answer.
func (r HTTPResult) OK() bool { return r.Finished == r.Clients && r.Different == 0 }

// HTTP downloads the URL with every client at once and returns what it counted.
// An error means that the rehearsal could not be run.
func HTTP(ctx context.Context, c HTTPConfig) (HTTPResult, error) {
	c.Clients = orDefault(c.Clients, 1)
	c.Limit = orDefault(c.Limit, 2*time.Minute)
	if c.Clients < 1 || c.Clients > maxDownloads {
		return HTTPResult{}, fmt.Errorf("clients: %d, want 1 to %d", c.Clients, maxDownloads)
	}
	if err := checkSources(c.Sources, c.Clients); err != nil {
		return HTTPResult{}, err
	}
	u, target, err := resolveHTTP(ctx, c.URL, c.AllowPublic)
	if err != nil {
		return HTTPResult{}, err
	}
	m, err := newMeter(c.PIDs)
	if err != nil {
		return HTTPResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	r := HTTPResult{URL: c.URL, Clients: c.Clients}
	var counts tally
	stop := counts.watch(ctx, "http", c.Clients, c.Progress)
	downloads := make([]download, c.Clients)
	scratch := make([]byte, scratchSize)
	start := time.Now()
	var all sync.WaitGroup
	for i := range downloads {
		all.Go(func() {
			d := &downloads[i]
			*d = download{url: u, target: target, from: sourceAddr(c.Sources, i), rangeHeader: c.Range, scratch: scratch, counts: &counts}
			if c.Check {
				d.keep = func(b []byte) { d.sum = crc32.Update(d.sum, castagnoli(), b) }
			}
			d.run(ctx)
		})
	}
	all.Wait()
	stop()
	r.Elapsed = time.Since(start)
	r.add(downloads)
	r.MBPerSecond = float64(r.Bytes) / 1e6 / r.Elapsed.Seconds()
	r.Process, err = m.stop()
	return r, err
}

func (r *HTTPResult) add(downloads []download) {
	var first *download
	var whole, header Histogram
	for i := range downloads {
		d := &downloads[i]
		r.Bytes += d.bytes
		if d.err != nil {
			r.Failed++
			countError(&r.Errors, d.err)
			continue
		}
		r.Finished++
		whole.Record(d.elapsed)
		header.Record(d.firstByte)
		if first == nil {
			first = d
			r.Size = d.bytes
		}
		if d.bytes != first.bytes || d.sum != first.sum {
			r.Different++
		}
	}
	r.Latency, r.FirstByte = whole.Summary(), header.Summary()
}

// download is one GET on a connection of its own, as a machine makes it.
type download struct {
	url         *url.URL
	target      netip.AddrPort
	from        netip.Addr // source address; the zero Addr lets the kernel choose
	rangeHeader string
	keep        func([]byte) // sees the body; nil discards it without copying
	scratch     []byte       // shared by all downloads: the kernel is told of it but never writes to it
	counts      *tally

	bytes     int64
	sum       uint32
	firstByte time.Duration
	elapsed   time.Duration
	err       error
}

func (d *download) run(ctx context.Context) {
	start := time.Now()
	d.err = d.get(ctx, start)
	d.elapsed = time.Since(start)
	if d.err != nil {
		d.counts.failed.Add(1)
	} else {
		d.counts.done.Add(1)
	}
}

func (d *download) get(ctx context.Context, start time.Time) error {
	var dialer net.Dialer
	if d.from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.from, 0))
	}
	conn, err := dialer.DialContext(ctx, "tcp4", d.target.String())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	request := http.Request{
		Method: http.MethodGet, URL: d.url, Host: d.url.Host, Close: true,
		Header: http.Header{"User-Agent": {"rackseed-storm"}},
	}
	if d.rangeHeader != "" {
		request.Header.Set("Range", d.rangeHeader)
	}
	if err := request.Write(conn); err != nil {
		return fmt.Errorf("asking: %w", err)
	}
	br := bufio.NewReader(conn)
	response, err := http.ReadResponse(br, &request)
	if err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	defer response.Body.Close()
	d.firstByte = time.Since(start)
	want := http.StatusOK
	if d.rangeHeader != "" {
		want = http.StatusPartialContent
	}
	if response.StatusCode != want {
		return fmt.Errorf("server answers %s", response.Status)
	}
	return d.body(response, br, conn.(*net.TCPConn))
}

func (d *download) body(response *http.Response, br *bufio.Reader, conn *net.TCPConn) error {
	if d.keep == nil && response.ContentLength >= 0 {
		return d.discard(response.ContentLength, br, conn)
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := response.Body.Read(buf)
		d.count(n)
		if d.keep != nil {
			d.keep(buf[:n])
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the body: %w", err)
		}
	}
}

func (d *download) count(n int) {
	d.bytes += int64(n)
	d.counts.bytes.Add(int64(n))
}

// discard counts the body but leaves the copying out: MSG_TRUNC on a TCP socket
// drops what it counts (tcp(7)), which halves the price of a client.
func (d *download) discard(length int64, br *bufio.Reader, conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	d.count(int(min(length, int64(br.Buffered()))))
	for d.bytes < length {
		n, err := truncate(raw, d.scratch[:min(length-d.bytes, int64(len(d.scratch)))])
		if err != nil {
			return fmt.Errorf("reading the body: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("reading the body: %w", io.ErrUnexpectedEOF)
		}
		d.count(n)
	}
	return nil
}

const scratchSize = 4 << 20
