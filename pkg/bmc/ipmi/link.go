package ipmi

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/types"
)

// The offsets of an RMCP+ packet (IPMI 2.0 section 13.6): RMCP header,
// authentication type, payload type, session id, sequence, payload length.
const (
	rmcpHeader  = 4
	plusPayload = 5
	plusSession = 6
	plusLength  = 14
	plusHeader  = 16
)

const (
	flagEncrypted     = 0x80
	flagAuthenticated = 0x40
	payloadMask       = 0x3f
)

// link is the UDP socket to one BMC. What comes in is handed on only if it is
// well formed and, once a session is active, carries the session's integrity
// code: go-ipmi checks neither, and a short packet makes it panic in a
// goroutine of its own.
type link struct {
	net.Conn

	heard  atomic.Bool // something was handed on since the last write
	closed sync.Once

	mu      sync.Mutex
	random  []byte // of the console, from RAKP message 1
	expect  byte   // payload type of the set-up message that is due
	status  byte   // of the last one that came
	session *keys
}

// keys are what packets of an active session are checked with.
type keys struct {
	console   uint32 // session id
	integrity types.IntegrityAlg
	length    int // of the code
	k1        []byte
}

func dialLink(ctx context.Context, address string) (*link, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return &link{Conn: conn}, nil
}

// Dial hands the socket to go-ipmi, which asks for it as of a proxy.
func (l *link) Dial(string, string) (net.Conn, error) { return l, nil }

// Close may be called again.
func (l *link) Close() error {
	var err error
	l.closed.Do(func() { err = l.Conn.Close() })
	return err
}

// Write notes what the answer is checked with.
func (l *link) Write(p []byte) (int, error) {
	l.note(p)
	l.heard.Store(false)
	return l.Conn.Write(p)
}

func (l *link) note(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expect, l.status = 0, 0
	if len(p) < plusHeader || p[rmcpHeader] != byte(types.AuthTypeRMCPPlus) {
		return
	}
	switch t := types.PayloadType(p[plusPayload] & payloadMask); t {
	case types.PayloadTypeRAKPMessage1:
		if len(p) >= plusHeader+24 {
			l.random = append([]byte(nil), p[plusHeader+8:plusHeader+24]...)
		}
		l.expect = byte(t) + 1
	case types.PayloadTypeRmcpOpenSessionRequest, types.PayloadTypeRAKPMessage3:
		l.expect = byte(t) + 1
	}
}

// Read returns the next packet that may be believed.
func (l *link) Read(p []byte) (int, error) {
	for {
		n, err := l.Conn.Read(p)
		if err != nil {
			return n, err
		}
		if l.believe(p[:n]) {
			l.heard.Store(true)
			return n, nil
		}
	}
}

// arm makes the link take only packets of the session from here on.
func (l *link) arm(k *keys) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = k
}

// seed is the console's random number of the last RAKP message 1.
func (l *link) seed() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random
}

func (l *link) believe(p []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session != nil {
		return l.session.sign(p)
	}
	if len(p) <= rmcpHeader || p[3]&0x1f != byte(types.MessageClassIPMI) {
		return false
	}
	if p[rmcpHeader] != byte(types.AuthTypeRMCPPlus) {
		return l.expect == 0
	}
	if len(p) < plusHeader+2 || p[plusPayload] != l.expect || len(p) < plusHeader+int(binary.LittleEndian.Uint16(p[plusLength:])) {
		return false
	}
	l.status = p[plusHeader+1]
	return true
}

// refusal is the RMCP+ status of the last set-up message that came. A BMC may
// refuse in fewer bytes than the standard has, which go-ipmi cannot read.
func (l *link) refusal() types.RmcpStatusCode {
	l.mu.Lock()
	defer l.mu.Unlock()
	return types.RmcpStatusCode(l.status)
}

// sign reports whether a packet is of the session, whole, encrypted and bears
// the right integrity code (IPMI 2.0 sections 13.28.4 and 13.29).
func (k *keys) sign(p []byte) bool {
	if len(p) < plusHeader || p[rmcpHeader] != byte(types.AuthTypeRMCPPlus) ||
		p[plusPayload]&(flagEncrypted|flagAuthenticated) != flagEncrypted|flagAuthenticated ||
		binary.LittleEndian.Uint32(p[plusSession:]) != k.console {
		return false
	}
	// AES-CBC-128: an initialization vector and at least one block.
	length := int(binary.LittleEndian.Uint16(p[plusLength:]))
	if length < 32 || length%16 != 0 {
		return false
	}
	code := len(p) - k.length
	// Before the code stand a pad length and a next header.
	if code < plusHeader+length+2 {
		return false
	}
	want, err := crypto.SessionIntegrityAuthCode(k.integrity, p[rmcpHeader:code], k.k1, "")
	return err == nil && crypto.Equal(want, p[code:])
}

// derive computes the keys of a session after the RAKP exchange.
func derive(user, password string, suite int, random, bmcRandom []byte, console uint32) (*keys, error) {
	auth, integrity, _, ok := types.GetCipherSuiteAlgorithms(types.CipherSuiteID(suite))
	if !ok {
		return nil, fmt.Errorf("cipher suite %d is not known", suite)
	}
	length, ok := crypto.IntegrityAuthCodeLen(integrity)
	if !ok {
		return nil, fmt.Errorf("cipher suite %d has no integrity", suite)
	}
	_, k1, _, err := crypto.DeriveSessionKeys(auth, random, bmcRandom, role, user, crypto.PadPassword20([]byte(password)))
	if err != nil {
		return nil, fmt.Errorf("deriving the session's keys: %w", err)
	}
	return &keys{console: console, integrity: integrity, length: length, k1: k1}, nil
}
