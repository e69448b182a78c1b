package redfish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// maxReply is more than the largest resource met (a BIOS attribute registry
// has 2 MB), and little enough to have from 512 BMCs at once.
const maxReply = 8 << 20

// carrier gives every request the context of the call it is for: gofish has
// one context per client. It keeps the connection open between requests,
// signs them, and has read the whole reply before it hands it on.
type carrier struct {
	next    http.RoundTripper
	timeout time.Duration

	mu  sync.Mutex
	ctx context.Context // of the call under way
	key authorization
}

// authorization is what proves who asks. At most one of the two is set.
type authorization struct {
	token    string
	username string
	password string
}

// during runs f with ctx for its requests.
func (c *carrier) during(ctx context.Context, f func() error) error {
	c.mu.Lock()
	before := c.ctx
	c.ctx = ctx
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.ctx = before
		c.mu.Unlock()
	}()
	return f()
}

func (c *carrier) authorize(key authorization) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = key
}

func (c *carrier) RoundTrip(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	ctx, key := c.ctx, c.key
	c.mu.Unlock()
	if ctx == nil {
		ctx = req.Context()
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	out := req.Clone(ctx)
	out.Close = false
	out.Header.Set("OData-Version", "4.0")
	switch {
	case key.token != "":
		out.Header.Set("X-Auth-Token", key.token)
	case key.username != "":
		out.SetBasicAuth(key.username, key.password)
	}
	resp, err := c.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if len(body) > maxReply {
		return nil, fmt.Errorf("the reply is longer than %d bytes", maxReply)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// errWantsTLS is a BMC that answers in clear text only to send people on.
var errWantsTLS = errors.New("the BMC speaks TLS only")

// notElsewhere follows a BMC that adds or drops a slash, and nothing else: a
// token or a password is for one host, and an order that became a GET is not
// carried out.
func notElsewhere(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case len(via) > 4:
		return errors.New("redirected in a circle")
	case req.URL.Scheme == "https" && first.URL.Scheme == "http" && req.URL.Hostname() == first.URL.Hostname():
		return fmt.Errorf("%w: give its address as https://%s", errWantsTLS, req.URL.Host)
	case req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("redirected to %s://%s", req.URL.Scheme, req.URL.Host)
	case req.Method != first.Method:
		return fmt.Errorf("the order was redirected to %s", req.URL.Path)
	}
	return nil
}

// trust decides which certificate is the BMC's.
type trust struct {
	options Options
	pin     string // lower case hex; empty takes the first one shown

	mu   sync.Mutex
	seen string
}

// fingerprint is the SHA-256 of the leaf that was shown, in hex.
func (t *trust) fingerprint() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen
}

func (t *trust) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the BMC shows no certificate")
	}
	sum := sha256.Sum256(state.PeerCertificates[0].Raw)
	seen := hex.EncodeToString(sum[:])
	t.mu.Lock()
	defer t.mu.Unlock()
	want := t.pin
	if want == "" && t.options.CA == nil {
		// What was taken on trust a moment ago is the pin for the rest of
		// the session.
		want = t.seen
	}
	if want != "" && t.options.CA == nil && seen != want {
		return fmt.Errorf("%w: SHA-256 %s was pinned, it now shows %s; if it was replaced on purpose, forget the pin",
			bmc.ErrCertificate, want, seen)
	}
	t.seen = seen
	return nil
}

func (t *trust) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		CipherSuites:       suites(),
		RootCAs:            t.options.CA,
		InsecureSkipVerify: t.options.CA == nil, // then verify compares the fingerprint
		VerifyConnection:   t.verify,
	}
}

// suites are Go's own and the two with RSA key exchange that BMCs from before
// 2016 are left with.
func suites() []uint16 {
	var ids []uint16
	for _, s := range tls.CipherSuites() {
		ids = append(ids, s.ID)
	}
	return append(ids, tls.TLS_RSA_WITH_AES_256_GCM_SHA384, tls.TLS_RSA_WITH_AES_128_GCM_SHA256)
}

func newTransport(t *trust, o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: o.Connect}
	return &http.Transport{
		// No proxy: BMCs are on the management network.
		DialContext:         dialer.DialContext,
		TLSClientConfig:     t.config(),
		TLSHandshakeTimeout: o.Timeout,
		MaxIdleConns:        2,
		MaxConnsPerHost:     2,
		IdleConnTimeout:     30 * time.Second,
	}
}

// endpoint splits an address into the URL of the host and the path of the
// system that is meant, if it names one.
func endpoint(address string) (base, system string, err error) {
	text := address
	if !strings.Contains(text, "://") {
		if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() {
			text = "[" + text + "]"
		}
		if strings.HasPrefix(text, "[") {
			text = strings.Replace(text, "%", "%25", 1) // a zone, as URLs have it (RFC 6874)
		}
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return "", "", errors.New("the BMC's address is not HOST, HOST:PORT or an http(s) URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", "", fmt.Errorf("the BMC's address has scheme %s, not http or https", u.Scheme)
	case u.User != nil:
		return "", "", errors.New("the BMC's address has a user name or a password in it: give them by --user and --password-file")
	}
	path := strings.TrimRight(u.Path, "/")
	if path == "/redfish/v1" {
		path = ""
	}
	host := url.URL{Scheme: u.Scheme, Host: u.Host}
	return host.String(), path, nil
}
