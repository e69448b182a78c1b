package bmcsim

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/site"
)

// identity is that of machine i of sim.Rack, so that both are one machine.
func identity(i int) Hardware {
	mac := site.MAC{0x52, 0x54, 0x00, byte(i >> 16), byte(i >> 8), byte(i)}
	var uuid site.UUID
	copy(uuid[:], "rackseed-demo")
	binary.BigEndian.PutUint16(uuid[14:], uint16(i+1)) //nolint:gosec // a rack has fewer machines
	return Server(fmt.Sprintf("RS24DEMO%05d", i+1), uuid, mac)
}

// Rack makes n BMCs with the identities of sim.Rack's machines, and nothing
// behind them. common is what they share; the first of them get the faults,
// in order, one each.
func Rack(n int, common Config, faults ...sim.Fault) []*BMC {
	rack := make([]*BMC, n)
	for i := range rack {
		c := common
		c.Hardware = identity(i)
		if i < len(faults) {
			c.Faults = append([]sim.Fault{faults[i]}, common.Faults...)
		}
		rack[i] = New(c)
	}
	return rack
}

// Behind makes the BMCs of machines, which then have power when their BMCs
// say so. A machine's faults that are those of BMCs are its BMC's.
func Behind(machines []*sim.Machine, common Config) []*BMC {
	rack := make([]*BMC, len(machines))
	for i, m := range machines {
		c := common
		c.Hardware, c.Machine = Server(m.Serial, m.UUID, m.MAC), Attach(m)
		c.Faults = slices.Clone(common.Faults)
		for _, f := range m.Faults() {
			if slices.Contains(Faults(), f) {
				c.Faults = append(c.Faults, f)
			}
		}
		rack[i] = New(c)
	}
	return rack
}

// Front serves BMCs on loopback addresses, each with a certificate of its own.
type Front struct {
	Addresses []netip.AddrPort // of the BMCs, in order

	server  *http.Server
	serving sync.WaitGroup
	bmcs    []*BMC

	mu       sync.Mutex
	closed   bool
	requests sync.WaitGroup
}

type ownerKey struct{}

// Serve opens BMC i at address at+i, over TLS with self-signed certificates.
// Port 0 is one that is free at the first address, and is used for all.
func Serve(at netip.AddrPort, bmcs ...*BMC) (*Front, error) {
	if !at.Addr().IsLoopback() {
		return nil, fmt.Errorf("serving simulated BMCs: %s is not a loopback address", at.Addr())
	}
	f := &Front{bmcs: bmcs, server: &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       30 * time.Second,
		ErrorLog:          log.New(discard{}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, ownerKey{}, c.(*tls.Conn).NetConn().(owned).bmc)
		},
	}}
	f.server.Handler = f
	var listeners []net.Listener
	for i, b := range bmcs {
		l, err := listen(at, b)
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, fmt.Errorf("serving simulated BMC %d: %w", i, err)
		}
		listeners = append(listeners, l)
		bound := netip.MustParseAddrPort(l.Addr().String())
		f.Addresses = append(f.Addresses, bound)
		at = netip.AddrPortFrom(bound.Addr().Next(), bound.Port())
	}
	for _, l := range listeners {
		f.serving.Go(func() {
			if err := f.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				panic(fmt.Sprintf("serving a simulated BMC: %v", err))
			}
		})
	}
	return f, nil
}

// URL is where BMC i is.
func (f *Front) URL(i int) string { return "https://" + f.Addresses[i].String() }

// ServeHTTP hands a request to the BMC that the connection is to.
func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	f.requests.Add(1)
	f.mu.Unlock()
	defer f.requests.Done()
	r.Context().Value(ownerKey{}).(*BMC).ServeHTTP(w, r)
}

// Close hangs up on everybody, and closes the BMCs.
func (f *Front) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	_ = f.server.Close()
	for _, b := range f.bmcs {
		b.Close()
	}
	f.requests.Wait()
	f.serving.Wait()
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// owned is a connection that knows whose it is.
type owned struct {
	net.Conn
	bmc *BMC
}

type ownedListener struct {
	net.Listener
	bmc *BMC
}

func (l ownedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return owned{c, l.bmc}, nil
}

func listen(at netip.AddrPort, b *BMC) (net.Listener, error) {
	certificate, err := selfSigned(at.Addr(), b.config.Hardware.Serial)
	if err != nil {
		return nil, err
	}
	plain, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	// HTTP/1.1 alone, as BMCs speak: NextProtos is empty.
	return tls.NewListener(ownedListener{plain, b}, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}), nil
}

func selfSigned(at netip.Addr, serial string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a key: %w", err)
	}
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: "bmc-" + serial},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IPAddresses: []net.IP{at.AsSlice()}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
