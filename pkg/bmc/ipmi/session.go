package ipmi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// role is what RAKP message 1 asks for: Administrator, looked up by name only
// (IPMI 2.0 section 13.20).
const role = uint8(types.PrivilegeLevelAdministrator) | 0x10

// suites are the cipher suites that are tried, in this order (IPMI 2.0 table
// 22-20). 17 is RAKP-HMAC-SHA256, HMAC-SHA256-128 and AES-CBC-128; 3 is the
// same with SHA1, the only one of many BMCs. The BMC is never asked for its
// list: many do not answer, and go-ipmi then waits for ten seconds.
var suites = []int{17, 3}

// account is who logs in where. The password is behind a function: printing a
// structure shows even a secret in a field that is not exported.
type account struct {
	address  string
	user     string
	password func() string
	suite    int // that worked before, or zero
}

// session is an active RMCP+ session. It is for one goroutine at a time.
type session struct {
	client *client.Client
	link   *link
	id     uint32 // of the BMC
	suite  int
	pace   pace
	used   time.Time
	raised bool // from User to Administrator
}

// pace is how patient a session is.
type pace struct {
	timeout time.Duration // of one try
	tries   int
}

// open logs in.
func open(ctx context.Context, a account, p pace) (*session, error) {
	l, err := dialLink(ctx, a.address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", a.address, bmc.ErrUnreachable, err)
	}
	s, err := login(ctx, l, a, p)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("logging in to %s: %w", a.address, err)
	}
	return s, nil
}

func login(ctx context.Context, l *link, a account, p pace) (*session, error) {
	if a.suite != 0 {
		// One that is known is spared the question. If it is silent, it is away,
		// or wants to be asked.
		s, err := handshake(ctx, l, a, a.suite, pace{timeout: p.timeout, tries: min(p.tries, 2)})
		if err == nil {
			s.pace = p
			return s, nil
		}
		if ended(ctx) != nil || !otherSuite(err) && !errors.Is(err, bmc.ErrUnreachable) {
			return nil, refused(err)
		}
	}
	if err := capabilities(ctx, l, p); err != nil {
		return nil, err
	}
	order := slices.Clone(suites)
	if a.suite != 0 {
		order = []int{a.suite}
		for _, s := range suites {
			if s != a.suite {
				order = append(order, s)
			}
		}
	}
	var last error
	for i, suite := range order {
		patience := p
		if i < len(order)-1 && suite != a.suite {
			patience.tries = min(p.tries, 2)
		}
		s, err := handshake(ctx, l, a, suite, patience)
		if err == nil {
			s.pace = p
			return s, nil
		}
		last = err
		// A BMC that is there and silent does not know the suite.
		if ended(ctx) != nil || !otherSuite(err) && !errors.Is(err, bmc.ErrUnreachable) {
			break
		}
	}
	return nil, refused(last)
}

// capabilities asks for the authentication capabilities outside of a session:
// it finds out quickly whether a BMC is there, and some want to be asked
// first (IPMI 2.0 section 13.15).
func capabilities(ctx context.Context, l *link, p pace) error {
	const name = "Get Channel Authentication Capabilities"
	request := preSession(0x06, 0x38, 0x8e, byte(types.PrivilegeLevelAdministrator))
	buffer := make([]byte, 1024)
	stop := context.AfterFunc(ctx, func() { _ = l.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var err error
	for range p.tries {
		if ended(ctx) != nil {
			break
		}
		if _, err = l.Write(request); err == nil {
			err = l.SetReadDeadline(time.Now().Add(p.timeout))
		}
		var n int
		if err == nil {
			n, err = l.Read(buffer)
		}
		switch {
		case err == nil && !speaks20(buffer[:n]):
			return fmt.Errorf("%s: %w: it speaks IPMI 1.5 only, which has no encryption", name, bmc.ErrUnsupported)
		case err == nil:
			return nil
		case gone(err):
			return unreachable(ctx, name, err)
		}
	}
	return unreachable(ctx, name, err)
}

// preSession frames a request of IPMI 1.5 outside of a session (section 13.8).
func preSession(netfn, command byte, data ...byte) []byte {
	const bmcAddress, console = 0x20, 0x81
	message := []byte{bmcAddress, netfn << 2, 0, console, 0, command}
	message[2] = checksum(message[:2])
	message = append(message, data...)
	message = append(message, checksum(message[3:]))
	packet := []byte{0x06, 0, 0xff, 0x07, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(message))}
	return append(packet, message...)
}

func checksum(p []byte) byte {
	var sum byte
	for _, b := range p {
		sum += b
	}
	return -sum
}

// speaks20 reads the answer to Get Channel Authentication Capabilities: bit 1
// of the extended capabilities says IPMI 2.0 (table 22-15). What cannot be
// read is left to the login to find out.
func speaks20(p []byte) bool {
	const code, extended = 14 + 6, 14 + 6 + 4
	if len(p) <= extended || p[code] != 0 || p[code+2]&0x80 == 0 {
		return true
	}
	return p[extended]&0x02 != 0
}

func handshake(ctx context.Context, l *link, a account, suite int, p pace) (*session, error) {
	c, err := client.NewClient("", 0, a.user, a.password())
	if err != nil {
		return nil, fmt.Errorf("%w: its user names have 16 bytes at most", bmc.ErrUnsupported)
	}
	c.WithUDPProxy(l).WithTimeout(p.timeout).WithRetry(p.tries - 1).
		WithCipherSuiteID(types.CipherSuiteID(suite)).
		WithMaxPrivilegeLevel(types.PrivilegeLevelAdministrator)
	s := &session{client: c, link: l, suite: suite, pace: p}
	if err := s.setUp(ctx, a); err != nil {
		if s.id != 0 {
			s.abandon()
		}
		return nil, err
	}
	s.used = time.Now()
	return s, nil
}

// setUp runs the exchange of IPMI 2.0 section 13.15.
func (s *session) setUp(ctx context.Context, a account) error {
	opened, err := s.client.OpenSession(ctx)
	if err != nil {
		return s.silence(ctx, "Open Session", err)
	}
	s.id = opened.ManagedSystemSessionID
	auth, integrity, crypt, _ := types.GetCipherSuiteAlgorithms(types.CipherSuiteID(s.suite))
	if types.AuthAlg(opened.AuthAlg) != auth || types.IntegrityAlg(opened.IntegrityAlg) != integrity || types.CryptAlg(opened.CryptAlg) != crypt {
		// It would be a weaker session than the one that was asked for.
		return types.NewRmcpStatusError(types.RmcpStatusCodeNoCipherSuiteMatch)
	}
	rakp2, err := s.client.RAKPMessage1(ctx)
	if err != nil {
		return s.silence(ctx, "RAKP message 1", err)
	}
	if _, err := s.client.RAKPMessage3(ctx); err != nil {
		return s.silence(ctx, "RAKP message 3", err)
	}
	k, err := derive(a.user, a.password(), s.suite, s.link.seed(), rakp2.ManagedSystemRandomNumber[:], opened.RemoteConsoleSessionID)
	if err != nil {
		return err
	}
	s.link.arm(k)
	return nil
}

// raise makes the session an administrator's. It begins as a user's (section
// 13.15), which is enough for what asks and changes nothing: a rack that is
// asked for its power is spared a message in six.
func (s *session) raise(ctx context.Context) error {
	if s.raised {
		return nil
	}
	request := &app.SetSessionPrivilegeLevelRequest{PrivilegeLevel: types.PrivilegeLevelAdministrator}
	err := s.repeat(ctx, request, &app.SetSessionPrivilegeLevelResponse{})
	if _, ok := completion(err); ok && !errors.Is(err, bmc.ErrLogin) {
		return fmt.Errorf("%w: the user is not an administrator of the BMC: %w", bmc.ErrLogin, err)
	}
	s.raised = err == nil
	return err
}

// openToUsers are commands that any login may send (appendix G).
func openToUsers(c types.Command) bool {
	return c == types.CommandGetDeviceID || c == types.CommandGetChassisStatus
}

// abandon tells the BMC that a login goes no further, so that it need not
// keep the slot until it times out: RAKP message 3 with a status (IPMI 2.0
// section 13.22), which has no answer.
func (s *session) abandon() {
	message := []byte{0, byte(types.RmcpStatusCodeInvalidIntegrityCheckValue), 0, 0}
	message = binary.LittleEndian.AppendUint32(message, s.id)
	packet := []byte{0x06, 0, 0xff, 0x07, byte(types.AuthTypeRMCPPlus), byte(types.PayloadTypeRAKPMessage3)}
	packet = append(packet, make([]byte, 8)...)
	packet = binary.LittleEndian.AppendUint16(packet, uint16(len(message)))
	_, _ = s.link.Write(append(packet, message...))
}

// silence tells a BMC that did not answer from one that answered no.
func (s *session) silence(ctx context.Context, name string, err error) error {
	_, coded := completion(err)
	_, refusal := status(err)
	switch {
	case coded, refusal, errors.Is(err, client.ErrRAKPAuthentication):
		return err
	case ended(ctx) != nil, gone(err), !s.link.heard.Load():
		return unreachable(ctx, name, err)
	case s.link.refusal() != types.RmcpStatusCodeNoErrors:
		return types.NewRmcpStatusError(s.link.refusal())
	}
	return fmt.Errorf("%s: %w", name, err)
}

// do sends a request until it is answered, as an administrator's where it
// takes one, or where the BMC thinks so.
func (s *session) do(ctx context.Context, request types.Request, response types.Response) error {
	if !s.raised && openToUsers(request.Command()) {
		err := s.repeat(ctx, request, response)
		if code, ok := completion(err); !ok || code != types.CodeInsufficientPrivilege {
			return err
		}
	}
	if err := s.raise(ctx); err != nil {
		return err
	}
	return s.repeat(ctx, request, response)
}

// repeat sends a request until it is answered. Every try has sequence numbers
// of its own, because a BMC drops what it has seen: a request whose answer was
// lost would never be answered.
func (s *session) repeat(ctx context.Context, request types.Request, response types.Response) error {
	s.client.WithRetry(0)
	name := request.Command().Name
	var err error
	for range s.pace.tries {
		err = s.exchange(ctx, request, response)
		if err == nil {
			s.used = time.Now()
			return nil
		}
		_, coded := completion(err)
		if ended(ctx) != nil || gone(err) || coded && !transient(err) {
			break
		}
		if coded && !sleep(ctx, s.pace.timeout/4) {
			break
		}
	}
	if _, coded := completion(err); coded {
		return explain(name, err)
	}
	return s.silence(ctx, name, err)
}

// once sends a request that must not be carried out twice: one packet, and as
// long a wait as for all tries. Copies would have to be dropped by the BMC
// (section 6.12.13), and not every one does.
func (s *session) once(ctx context.Context, request types.Request, response types.Response) error {
	if err := s.raise(ctx); err != nil {
		return err
	}
	s.client.WithRetry(0).WithTimeout(s.pace.timeout * time.Duration(s.pace.tries))
	err := s.exchange(ctx, request, response)
	s.client.WithTimeout(s.pace.timeout)
	if err == nil {
		s.used = time.Now()
		return nil
	}
	name := request.Command().Name
	if _, coded := completion(err); coded {
		return explain(name, err)
	}
	return fmt.Errorf("%w; whether it was done is not known", s.silence(ctx, name, err))
}

// exchange turns a panic over what a BMC sent into an error.
func (s *session) exchange(ctx context.Context, request types.Request, response types.Response) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading the answer to %s: %v", request.Command().Name, r)
		}
	}()
	if err := ended(ctx); err != nil {
		return err
	}
	err = s.client.Exchange(ctx, request, response)
	if ended(ctx) != nil {
		// go-ipmi still reads, and would hold the socket until the try is over.
		_ = s.link.SetReadDeadline(time.Unix(1, 0))
	}
	return err
}

// goodbye is how long a BMC may take to close a session.
const goodbye = time.Second

// close logs out, also when ctx has ended, and frees the socket.
func (s *session) close(ctx context.Context) {
	defer func() { _ = s.link.Close() }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*goodbye)
	defer cancel()
	s.client.WithTimeout(goodbye).WithRetry(1)
	_ = s.exchange(ctx, &app.CloseSessionRequest{SessionID: s.id}, &app.CloseSessionResponse{})
}

// sleep reports whether the time has passed.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
