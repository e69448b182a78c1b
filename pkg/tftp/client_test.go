package tftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// errServer is an ERROR packet from the server.
type errServer struct {
	code uint16
	text string
}

func (e errServer) Error() string { return fmt.Sprintf("server error %d: %s", e.code, e.text) }

// fetch is a client as firmware has it: it asks, acknowledges, and asks again
// after a quiet second.
type fetch struct {
	name, mode, options string // options as name=value pairs
	retries             int    // default 10
	wait                time.Duration
}

type fetched struct {
	data   []byte
	oack   string
	server netip.AddrPort // of the transfer
}

func (f fetch) request() []byte {
	mode := f.mode
	if mode == "" {
		mode = "octet"
	}
	p := "\x00\x01" + f.name + "\x00" + mode + "\x00"
	for _, o := range pairs(f.options) {
		p += o.name + "\x00" + o.value + "\x00"
	}
	return []byte(p)
}

func (f fetch) from(server netip.AddrPort) (got fetched, err error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		return got, err
	}
	defer c.Close()
	if f.retries == 0 {
		f.retries = 10
	}
	if f.wait == 0 {
		f.wait = time.Second
	}
	x := exchange{conn: c, to: server, last: f.request(), wait: f.wait, retries: f.retries}
	blksize, window, since := defaultBlksize, 1, 0
	buf := make([]byte, 1<<16)
	if err := x.send(x.last); err != nil {
		return got, err
	}
	for expected := uint64(1); ; {
		p, err := x.receive(buf)
		if err != nil {
			return got, fmt.Errorf("at block %d: %w", expected, err)
		}
		got.server = x.to
		switch op := binary.BigEndian.Uint16(p); {
		case op == opERROR:
			return got, errServer{binary.BigEndian.Uint16(p[2:]), errorText(p)}
		case op == opOACK && expected == 1:
			if got.oack = oackText(p); strings.Contains(got.oack, "windowsize") {
				window = oackNumber(got.oack, "windowsize", window)
			}
			blksize = oackNumber(got.oack, "blksize", blksize)
			err = x.acknowledge(0)
		case op == opDATA && binary.BigEndian.Uint16(p[2:]) == uint16(expected):
			got.data = append(got.data, p[4:]...)
			since++
			if len(p)-4 < blksize {
				return got, x.acknowledge(expected)
			}
			if since == window {
				since = 0
				err = x.acknowledge(expected)
			}
			expected++
		case op == opDATA:
			since = 0
			err = x.acknowledge(expected - 1)
		}
		if err != nil {
			return got, err
		}
	}
}

// exchange is the client's socket and what it said last.
type exchange struct {
	conn      *net.UDPConn
	to        netip.AddrPort
	connected bool
	last      []byte
	wait      time.Duration
	retries   int
}

func (x *exchange) send(p []byte) error {
	x.last = p
	_, err := x.conn.WriteToUDPAddrPort(p, x.to)
	return err
}

func (x *exchange) acknowledge(block uint64) error {
	return x.send(binary.BigEndian.AppendUint16([]byte{0, opACK}, uint16(block)))
}

func (x *exchange) receive(buf []byte) ([]byte, error) {
	for tries := 0; ; {
		if err := x.conn.SetReadDeadline(time.Now().Add(x.wait)); err != nil {
			return nil, err
		}
		n, from, err := x.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if tries++; tries > x.retries {
				return nil, err
			}
			err = x.send(x.last)
		}
		if err != nil {
			return nil, err
		}
		if n < 4 {
			continue
		}
		from = plainAddrPort(from)
		if !x.connected {
			x.to, x.connected = from, true
		}
		if from == x.to {
			return buf[:n], nil
		}
	}
}

func oackText(p []byte) string {
	f := strings.Split(strings.TrimSuffix(string(p[2:]), "\x00"), "\x00")
	var out []string
	for i := 0; i+1 < len(f); i += 2 {
		out = append(out, f[i]+"="+f[i+1])
	}
	return strings.Join(out, " ")
}

func oackNumber(oack, name string, otherwise int) int {
	for _, o := range pairs(oack) {
		if n, err := strconv.Atoi(o.value); o.name == name && err == nil {
			return n
		}
	}
	return otherwise
}
