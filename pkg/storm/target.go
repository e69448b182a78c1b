package storm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
)

// ErrRefused marks a target that no rehearsal may load without being told so in
// so many words.
var ErrRefused = errors.New("refused")

// checkTarget refuses an address that is not loopback, private (RFC 1918, RFC
// 4193) or link-local: a load test of a stranger's server is an attack.
func checkTarget(a netip.Addr, allowPublic bool) error {
	a = a.Unmap()
	if allowPublic || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() {
		return nil
	}
	return fmt.Errorf("%w: %s is not a loopback, private or link-local address; if that network is yours to load, say --yes-this-is-my-network", ErrRefused, a)
}

// resolveHTTP turns a http URL into the one address that all clients will use,
// so that what was checked is what is loaded.
func resolveHTTP(ctx context.Context, raw string, allowPublic bool) (*url.URL, netip.AddrPort, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("reading the URL: %w", err)
	}
	if u.Scheme != "http" || u.Host == "" {
		return nil, netip.AddrPort{}, fmt.Errorf("URL %q: want http://HOST[:PORT]/PATH (machines boot over plain HTTP)", raw)
	}
	port := uint64(80)
	if p := u.Port(); p != "" {
		if port, err = strconv.ParseUint(p, 10, 16); err != nil {
			return nil, netip.AddrPort{}, fmt.Errorf("URL %q: port: %w", raw, err)
		}
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
	if err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("looking up %s: %w", u.Hostname(), err)
	}
	target := netip.AddrPortFrom(addrs[0].Unmap(), uint16(port))
	return u, target, checkTarget(target.Addr(), allowPublic)
}

// sourceAddr is the n-th address of sources, or the zero Addr without sources.
func sourceAddr(sources netip.Prefix, n int) netip.Addr {
	if !sources.IsValid() {
		return netip.Addr{}
	}
	b := sources.Masked().Addr().As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
	return netip.AddrFrom4(b)
}

// checkSources tells whether every client can have an address of its own.
func checkSources(sources netip.Prefix, clients int) error {
	switch {
	case !sources.IsValid():
		return nil
	case !sources.Addr().Is4():
		return fmt.Errorf("sources %s: want IPv4", sources)
	case clients > 1<<(32-sources.Bits()):
		return fmt.Errorf("sources %s: fewer addresses than the %d clients", sources, clients)
	}
	return nil
}
