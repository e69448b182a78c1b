package redfish

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/bmc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestASessionIsClosedWhateverHappens(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name   string
		change func(*board)
		want   error
	}{
		{"it works", func(*board) {}, nil},
		{"no system", func(b *board) { b.docs["/redfish/v1/Nodes"] = collection() }, bmc.ErrUnsupported},
		{"the system is not readable", func(b *board) { delete(b.docs, pathSystem) }, bmc.ErrUnsupported},
		{"no manager", func(b *board) { delete(b.docs, pathManager) }, nil},
		{"the system is none of JSON's", func(b *board) {
			b.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == pathSystem {
					_, _ = w.Write([]byte("<html>"))
				}
				return r.URL.Path == pathSystem
			}
		}, errAny},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			tt.change(b)
			d, err := Dial(ctx, target(serve(t, b)), quick)
			if err == nil {
				if b.open() != 1 {
					t.Errorf("%d sessions are open", b.open())
				}
				if err := d.Close(ctx); err != nil {
					t.Error(err)
				}
				if err := d.Close(ctx); err != nil {
					t.Errorf("closing it twice: %v", err)
				}
			}
			if errors.Is(tt.want, errAny) && err != nil {
				err, tt.want = nil, nil
			}
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if b.logins != 1 || b.open() != 0 {
				t.Errorf("%d logins, %d sessions left", b.logins, b.open())
			}
		})
	}
}

var errAny = errors.New("any error")

func TestCloseLogsOutThoughTheContextIsDone(t *testing.T) {
	b := newBoard()
	ctx, cancel := context.WithCancel(context.Background())
	d, err := Dial(ctx, target(serve(t, b)), quick)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := d.Power(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled call says %v", err)
	}
	if err := d.Close(ctx); err != nil || b.open() != 0 {
		t.Errorf("%v, %d sessions left", err, b.open())
	}
}

// A session that the BMC names in the body only is closed, too.
func TestASessionWithoutLocation(t *testing.T) {
	b := newBoard()
	b.nowhere = true
	if _, err := dial(t, b).Power(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestALostSessionIsOpenedAgain(t *testing.T) {
	b := newBoard()
	d := dial(t, b)
	b.with(func() { clear(b.sessions) })
	if err := d.SetPower(context.Background(), bmc.ActionOff); err != nil {
		t.Fatal(err)
	}
	// A session that is lost between the look and the order, too.
	b.with(func() {
		dropped := false
		b.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost && r.URL.Path == pathReset && !dropped {
				dropped = true
				clear(b.sessions)
			}
			return false
		}
	})
	if err := d.SetPower(context.Background(), bmc.ActionOn); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(b.changes(), " "); strings.Count(got, pathReset) != 2 || b.logins != 3 {
		t.Errorf("it was told %s with %d logins", got, b.logins)
	}
}

func TestErrorsAreWhatTheyAre(t *testing.T) {
	blackhole, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer blackhole.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	garbage, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer garbage.Close()
	go func() {
		for {
			c, err := garbage.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024)) // what is said unasked is dropped with the connection
			_, _ = c.Write([]byte("SSH-2.0-x\r\n"))
			c.Close()
		}
	}()
	wrong := newBoard()
	wrong.password = "another"
	full := newBoard()
	for _, token := range []string{"a", "b", "c", "d"} {
		full.sessions[token] = "/x"
	}
	for _, tt := range []struct {
		name    string
		address string
		want    error
		text    string
	}{
		{"nobody listens", closed.URL, bmc.ErrUnreachable, "refused"},
		{"nobody answers", "http://" + blackhole.Addr().String(), bmc.ErrUnreachable, "in time"},
		{"nobody does TLS", "https://" + blackhole.Addr().String(), bmc.ErrUnreachable, ""},
		{"no web server", "http://" + garbage.Addr().String(), bmc.ErrUnreachable, ""},
		{"no such name", "http://no-such..host", bmc.ErrUnreachable, "no such host"}, // which no resolver is asked for
		{"no Redfish", serve(t, http.NotFoundHandler()), bmc.ErrUnsupported, "404"},
		{"a web page", serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })), bmc.ErrUnsupported, ""},
		{"another root", serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })), bmc.ErrUnsupported, "Systems"},
		{"HTTP in place of TLS", strings.Replace(serve(t, newBoard()), "http:", "https:", 1), bmc.ErrNoTLS, "without TLS"},
		{"no web server in place of TLS", "https://" + garbage.Addr().String(), bmc.ErrUnreachable, ""},
		{"a wrong password", serve(t, wrong), bmc.ErrLogin, "logging in"},
		{"four sessions", serve(t, full), bmc.ErrBusy, "simultaneous sessions"},
		{"four sessions, said loosely", says(t, http.StatusBadRequest, `{"error":{"@Message.ExtendedInfo":[{"MessageId":"X.1.0.SessionLimitExceeded","MessageArgs":[4],"Message":"no more"}]}}`), bmc.ErrBusy, "no more"},
		{"one message, no list", says(t, http.StatusServiceUnavailable, `{"error":{"@Message.ExtendedInfo":{"MessageId":"X.1.0.Later","Message":"not yet"}}}`), bmc.ErrBusy, "not yet"},
		{"no error object", says(t, http.StatusServiceUnavailable, `{"@Message.ExtendedInfo":[{"MessageId":"X.1.0.Later","Message":"come back"}]}`), bmc.ErrBusy, "come back"},
		{"a page of an error", says(t, http.StatusServiceUnavailable, "<html><h1>Busy</h1>"), bmc.ErrBusy, "503"},
		{"redirected to TLS", serve(t, http.RedirectHandler("https://127.0.0.1/redfish/v1/", http.StatusMovedPermanently)), errWantsTLS, "give its address as https://127.0.0.1"},
		{"redirected elsewhere", serve(t, http.RedirectHandler("http://127.0.0.1:1/redfish/v1/", http.StatusFound)), bmc.ErrUnsupported, "redirected to http://127.0.0.1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			d, err := Dial(ctx, target(tt.address), quick)
			if err == nil {
				d.Close(ctx)
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v", err)
			}
			for _, form := range forms(oddPassword) {
				if strings.Contains(err.Error(), form) {
					t.Errorf("the error tells the password: %v", err)
				}
			}
		})
	}
}

// says has a BMC refuse every login in these words.
func says(t *testing.T, code int, body string) string {
	b := newBoard()
	b.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != pathSessions {
			return false
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
		return true
	}
	return serve(t, b)
}

func TestNoSecretIsInAnError(t *testing.T) {
	const next = `n€w;"\secret`
	b := newBoard()
	d := dial(t, b)
	b.with(func() {
		b.patch = func(string, object) (int, string) { return http.StatusBadRequest, "Base.1.12.PropertyValueFormatError" }
	})
	err := d.SetPassword(context.Background(), "admin", next)
	if err == nil || !strings.Contains(err.Error(), "is refused") || !strings.Contains(err.Error(), redacted) {
		t.Fatalf("got %v", err)
	}
	for _, secret := range append(forms(next), "token-1") {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in: %v", secret, err)
		}
	}
	var answer interface{ Error() string }
	for e := err; e != nil; e = errors.Unwrap(e) {
		if errors.As(e, &answer) && strings.Contains(answer.Error(), next) {
			t.Errorf("underneath: %v", answer)
		}
	}
}

func TestSetPassword(t *testing.T) {
	b := newBoard()
	d := dial(t, b)
	ctx := context.Background()
	if err := d.SetPassword(ctx, "nobody", "x"); err == nil || !strings.Contains(err.Error(), "no account nobody") {
		t.Errorf("got %v", err)
	}
	if err := d.SetPassword(ctx, "admin", "Fr3sh!pass"); err != nil {
		t.Fatal(err)
	}
	if b.said()["Password"] != "Fr3sh!pass" {
		t.Errorf("it was told %v", b.said())
	}
	// The session may end with the old password; the driver knows the new.
	b.with(func() { b.password = "Fr3sh!pass"; clear(b.sessions) })
	if _, err := d.Power(ctx); err != nil {
		t.Errorf("after the change: %v", err)
	}
}

func TestServicesWithoutSessions(t *testing.T) {
	for name, change := range map[string]func(*board){
		"no link": func(b *board) { delete(b.docs["/redfish/v1"], "Links") },
		"nor a root for everybody": func(b *board) {
			delete(b.docs["/redfish/v1"], "Links")
			b.before = func(w http.ResponseWriter, r *http.Request) bool {
				_, password, _ := r.BasicAuth()
				if password != oddPassword {
					w.WriteHeader(http.StatusUnauthorized)
				}
				return password != oddPassword
			}
		},
		"a link to nothing": func(b *board) {
			b.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == pathSessions {
					w.WriteHeader(http.StatusNotFound)
				}
				return r.URL.Path == pathSessions
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBoard()
			change(b)
			d := dial(t, b)
			if state, err := d.Power(context.Background()); err != nil || state != bmc.PowerOn {
				t.Errorf("%s, %v", state, err)
			}
			if b.logins != 0 {
				t.Errorf("%d logins", b.logins)
			}
		})
	}
}

func TestTheSystemIsNotGuessedAt(t *testing.T) {
	b := newBoard()
	b.docs["/redfish/v1/Nodes"] = collection(pathSystem, "/redfish/v1/Nodes/b8", "/redfish/v1/Nodes/dpu")
	b.docs["/redfish/v1/Nodes/b8"] = object{"SystemType": "Physical", "PowerState": "Off"}
	b.docs["/redfish/v1/Nodes/dpu"] = object{"SystemType": "DPU", "PowerState": "On"}
	address := serve(t, b)
	_, err := Dial(context.Background(), target(address), quick)
	if err == nil || !strings.Contains(err.Error(), "2 systems") || !strings.Contains(err.Error(), address+pathSystem) {
		t.Errorf("got %v", err)
	}
	d, err := Dial(context.Background(), target(address+"/redfish/v1/Nodes/b8/"), quick)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	if state, err := d.Power(context.Background()); err != nil || state != bmc.PowerOff {
		t.Errorf("%s, %v", state, err)
	}
	b.with(func() { b.docs["/redfish/v1/Nodes"] = collection(pathSystem, "/redfish/v1/Nodes/dpu") })
	alone, err := Dial(context.Background(), target(address), quick)
	if err != nil {
		t.Fatal(err)
	}
	alone.Close(context.Background())
}

func TestTheCertificateIsPinned(t *testing.T) {
	ctx := context.Background()
	b := newBoard()
	server := httptest.NewTLSServer(b)
	defer server.Close()
	d, err := Dial(ctx, target(server.URL), quick)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Media(ctx); err != nil { // which reads the manager
		t.Error(err)
	}
	known := d.Known()
	d.Close(ctx)
	if len(known.Certificate) != 64 || known.Protocol != bmc.Redfish || known.Manufacturer != "Contoso" || known.Model != "3500" || known.Firmware != "1.45.455b66-rev4" {
		t.Errorf("it knows %+v", known)
	}

	again := target(server.URL)
	again.Known = known
	requests := len(b.requests)
	d, err = Dial(ctx, again, quick)
	if err != nil {
		t.Fatal(err)
	}
	d.Close(ctx)
	if n := len(b.requests) - requests; n != 2 {
		t.Errorf("with what is known, %d requests to the root and the systems: %v", n, b.requests[requests:])
	}

	other := strings.Repeat("ab", 32)
	again.Known.Certificate = other
	logins := b.logins
	_, err = Dial(ctx, again, quick)
	if !errors.Is(err, bmc.ErrCertificate) || !strings.Contains(err.Error(), other) || !strings.Contains(err.Error(), known.Certificate) {
		t.Errorf("another certificate: %v", err)
	}
	if b.logins != logins {
		t.Error("it was told the password")
	}
}

func TestTheCertificateIsVerifiedByCA(t *testing.T) {
	ctx := context.Background()
	b := newBoard()
	server := httptest.NewTLSServer(b)
	defer server.Close()
	o := quick
	o.CA = x509.NewCertPool()
	_, err := Dial(ctx, target(server.URL), o)
	if !errors.Is(err, bmc.ErrUntrusted) || b.logins != 0 {
		t.Errorf("a CA that does not vouch for it: %v, %d logins", err, b.logins)
	}
	o.CA.AddCert(server.Certificate())
	// A renewed certificate is no other one when a CA vouches for it.
	tt := target(server.URL)
	tt.Known.Certificate = strings.Repeat("ab", 32)
	d, err := Dial(ctx, tt, o)
	if err != nil {
		t.Fatal(err)
	}
	d.Close(ctx)
}

func TestEndpoint(t *testing.T) {
	for _, tt := range []struct{ in, base, system string }{
		{"10.21.0.11", "https://10.21.0.11", ""},
		{"10.21.0.11:8443", "https://10.21.0.11:8443", ""},
		{"bmc.example", "https://bmc.example", ""},
		{"fd00::1", "https://[fd00::1]", ""},
		{"[fd00::1]:443", "https://[fd00::1]:443", ""},
		{"fe80::1%enp3s0", "https://[fe80::1%25enp3s0]", ""},
		{"[fe80::1%enp3s0]:443", "https://[fe80::1%25enp3s0]:443", ""},
		{"https://[fe80::1%25enp3s0]/redfish/v1", "https://[fe80::1%25enp3s0]", ""},
		{"http://127.0.0.1:8000", "http://127.0.0.1:8000", ""},
		{"https://h/redfish/v1/", "https://h", ""},
		{"https://h/redfish/v1/Systems/1", "https://h", "/redfish/v1/Systems/1"},
		{"https://admin:secret@h", "", ""},
		{"ftp://h", "", ""},
		{"", "", ""},
		{"%zz", "", ""},
	} {
		base, system, err := endpoint(tt.in)
		if base != tt.base || system != tt.system || (err == nil) != (tt.base != "") {
			t.Errorf("%s: %q %q %v", tt.in, base, system, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestTheConnectionIsKept(t *testing.T) {
	b := newBoard()
	server := httptest.NewUnstartedServer(b)
	connections := make(chan struct{}, 64)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections <- struct{}{}
		}
	}
	server.StartTLS()
	defer server.Close()
	d, err := Dial(context.Background(), target(server.URL), quick)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := d.Power(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	d.Close(context.Background())
	if n := len(connections); n != 1 {
		t.Errorf("%d TLS handshakes for one session", n)
	}
}

func TestAStumbleIsNotAFall(t *testing.T) {
	b := newBoard()
	d := dial(t, b)
	n := 0
	b.with(func() {
		b.before = func(w http.ResponseWriter, r *http.Request) bool {
			if n++; n%3 == 1 && r.Method == http.MethodGet {
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return false
		}
	})
	for range 5 {
		if _, err := d.Boot(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	// An order may have been carried out before the BMC stumbled.
	posts := 0
	b.with(func() {
		b.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			posts++
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	})
	if err := d.SetPower(context.Background(), bmc.ActionReset); err == nil || posts != 1 {
		t.Errorf("%v after %d orders", err, posts)
	}
	b.with(func() { b.before = nil })
}
