package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"encoding/pem"

	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/ledger"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store"
	"github.com/rackseed/rackseed/pkg/store/mem"
	"github.com/rackseed/rackseed/pkg/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	canary = "CANARY-secret-of-the-webhook"
	inPath = "CANARY-in-the-path"
)

var epoch = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)

// receiver is who is told. It refuses as long as refuse is not zero.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	refuse int // status to answer with
	tries  int
	got    chan webhook.Message
	last   uint64 // that next gave
}

func newReceiver(t *testing.T, open func(http.Handler) *httptest.Server) *receiver {
	t.Helper()
	r := &receiver{t: t, got: make(chan webhook.Message, 64)}
	r.server = open(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		r.t.Error(err)
	}
	if want := webhook.Sign(canary, q.Header.Get(webhook.HeaderTimestamp), body); q.Header.Get(webhook.HeaderSignature) != want {
		r.t.Errorf("signature %q, want %q", q.Header.Get(webhook.HeaderSignature), want)
	}
	var m webhook.Message
	if err := json.Unmarshal(body, &m); err != nil {
		r.t.Errorf("%s: %v", body, err)
	}
	if q.Header.Get(webhook.HeaderID) != m.ID || q.Header.Get(webhook.HeaderEvent) != string(m.Event) {
		r.t.Errorf("the headers %v do not fit %+v", q.Header, m)
	}
	r.mu.Lock()
	refuse := r.refuse
	r.tries++
	r.mu.Unlock()
	if refuse != 0 {
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(refuse)
		return
	}
	r.got <- m
}

func (r *receiver) setRefuse(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = status
}

func (r *receiver) next() webhook.Message {
	r.t.Helper()
	select {
	case m := <-r.got:
		if m.Seq == r.last {
			return r.next() // it was confirmed in the moment that the daemon ended
		}
		r.last = m.Seq
		return m
	case <-time.After(10 * time.Second):
		r.t.Fatal("nothing came")
		return webhook.Message{}
	}
}

// nothing fails if anything was sent that nobody read.
func (r *receiver) nothing() {
	r.t.Helper()
	select {
	case m := <-r.got:
		r.t.Errorf("unexpected: %+v", m)
	default:
	}
}

// site1 is a log with a sender.
type site1 struct {
	t      *testing.T
	store  store.Log
	dir    string
	logs   *book
	ledger *ledger.Ledger
	pauses chan time.Duration
	stop   func()
}

type book struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newSite(t *testing.T) *site1 {
	s := &site1{t: t, store: mem.New(), dir: t.TempDir(), logs: &book{}, pauses: make(chan time.Duration, 1024)}
	t.Cleanup(func() {
		for _, secret := range []string{canary, inPath} {
			if strings.Contains(s.logs.String(), secret) {
				t.Errorf("%q is in the log:\n%s", secret, s.logs)
			}
			if data, err := os.ReadFile(filepath.Join(s.dir, "webhooks.json")); err == nil && strings.Contains(string(data), secret) {
				t.Errorf("%q is in webhooks.json", secret)
			}
		}
	})
	return s
}

// start opens the log and runs the sender until stop.
func (s *site1) start() {
	s.t.Helper()
	log := slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l, err := ledger.Open(s.t.Context(), s.store, ledger.Options{Clock: func() time.Time { return epoch }})
	if err != nil {
		s.t.Fatal(err)
	}
	positions, err := webhook.OpenPositions(filepath.Join(s.dir, "webhooks.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.ledger = l
	sender := &webhook.Sender{
		Ledger: l, Positions: positions, Log: log, Clock: func() time.Time { return epoch },
		Secret: func(ref site.SecretRef) (site.Secret, error) {
			if ref.Env != "HOOK" {
				return "", errors.New("no such secret")
			}
			return canary, nil
		},
		Wait: func(ctx context.Context, d time.Duration) bool {
			select {
			case s.pauses <- d:
			default:
			}
			select {
			case <-ctx.Done():
				return false
			case <-time.After(time.Millisecond):
				return true
			}
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = l.Run(ctx) })
	running.Go(func() {
		if err := sender.Run(ctx); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	var once sync.Once
	s.stop = func() { once.Do(func() { cancel(); running.Wait() }) }
	s.t.Cleanup(s.stop)
}

func (s *site1) do(bodies ...site.Body) uint64 {
	s.t.Helper()
	st, err := s.ledger.Do(s.t.Context(), func(*site.State, time.Time) ([]site.Body, error) { return bodies, nil })
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Seq
}

// pause is how long the sender next waits before it tries again.
func (s *site1) pause() time.Duration {
	s.t.Helper()
	select {
	case d := <-s.pauses:
		return d
	case <-time.After(10 * time.Second):
		s.t.Fatalf("nothing is tried again:\n%s", s.logs)
		return 0
	}
}

func hook(r *receiver, events ...site.WebhookEvent) site.Webhook {
	return site.Webhook{URL: r.server.URL + "/" + inPath, Secret: site.SecretRef{Env: "HOOK"}, Events: events}
}

func (s *site1) plan(hooks ...site.Webhook) {
	s.t.Helper()
	bodies := []site.Body{site.PlanApplied{Settings: site.Settings{Site: "gz", Webhooks: hooks}, Digest: "d"}}
	if s.ledger.State().Len() == 0 {
		bodies = append(bodies, site.NodePlanned{Node: site.Node{Name: "n1", Role: "compute", Rack: "A01", Serial: "S1"}})
	}
	s.do(bodies...)
}

func (s *site1) install(attempt int) {
	s.t.Helper()
	s.do(site.Armed{Node: "n1", By: "ops", Until: epoch.Add(time.Hour)},
		site.InstallStarted{Node: "n1", Attempt: attempt, Nonce: "x", Token: "t", Image: "i", MAC: site.MAC{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("10.0.0.1"), Deadline: epoch.Add(time.Hour)})
}

func fail(attempt int) site.Body {
	return site.InstallFailed{Node: "n1", Attempt: attempt, Stage: "disks", Reason: "the disk is too small"}
}

// TestTheTurnsOfAnInstall: what a receiver is told, in order, and what not.
func TestTheTurnsOfAnInstall(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t, httptest.NewServer)
	s.start()
	s.plan(hook(r))
	s.install(1)
	s.do(site.InstallProgress{Node: "n1", Attempt: 1, Stage: "packages"}, fail(1))
	s.install(2)
	s.do(site.InstallDone{Node: "n1", Attempt: 2})
	s.do(site.NodeVerified{Node: "n1", Attempt: 2, Deviations: []string{"MTU is 1500"}})
	s.do(site.NodeVerified{Node: "n1", Attempt: 2})
	last := s.do(site.NodeHeld{Node: "n1", Reason: "two claims to one identity"})
	want := []site.WebhookEvent{site.HookStart, site.HookFailed, site.HookStart, site.HookDone, site.HookFailed, site.HookReady, site.HookHeld}
	var m webhook.Message
	for i, w := range want {
		if m = r.next(); m.Event != w || m.Node != "n1" || m.Site != "gz" || m.Serial != "S1" || m.Rack != "A01" || m.Role != "compute" {
			t.Errorf("message %d is %+v, want %s", i, m, w)
		}
		if i == 1 && (m.Reason != "the disk is too small" || m.Attempt != 1 || m.Stage != "disks") {
			t.Errorf("the failure is %+v", m)
		}
		if i == 4 && !slices.Equal(m.Deviations, []string{"MTU is 1500"}) {
			t.Errorf("the deviation is %+v", m)
		}
	}
	if m.Seq != last || m.ID != "gz/"+itoa(last) {
		t.Errorf("the last is %+v, want seq %d", m, last)
	}
	r.nothing()
}

func itoa(n uint64) string {
	data, _ := json.Marshal(n)
	return string(data)
}

// TestNothingIsLeftOut: a receiver that refuses is told again, in order; a
// daemon that ends meanwhile goes on where it was; and another receiver does
// not wait for it.
func TestNothingIsLeftOut(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusFound, http.StatusNotFound} {
		s := newSite(t)
		sick, well := newReceiver(t, httptest.NewServer), newReceiver(t, httptest.NewServer)
		sick.setRefuse(status)
		s.start()
		s.plan(hook(sick), hook(well))
		s.install(1)
		s.do(fail(1))
		began, failed := well.next(), well.next()
		if began.Event != site.HookStart || failed.Event != site.HookFailed {
			t.Errorf("the other receiver got %s and %s", began.Event, failed.Event)
		}
		first, second := s.pause(), s.pause()
		if first < 750*time.Millisecond || first > 1250*time.Millisecond || second < 1500*time.Millisecond || second > 2500*time.Millisecond {
			t.Errorf("the pauses are %s and %s", first, second)
		}
		s.stop()
		sick.nothing()
		s.start() // the daemon comes back
		sick.setRefuse(0)
		a, b := sick.next(), sick.next()
		if a.Event != site.HookStart || b.Event != site.HookFailed || b.Seq != a.Seq+1 {
			t.Errorf("after the restart came %+v and %+v", a, b)
		}
		s.install(2)
		if m := sick.next(); m.Event != site.HookStart || m.Attempt != 2 {
			t.Errorf("then came %+v", m)
		}
		if m := well.next(); m.Attempt != 2 {
			t.Errorf("the other receiver was told again: %+v", m)
		}
		s.stop()
	}
}

// TestPlansChangeReceivers: one that is new is told what comes from now on,
// and only what it wants; one that is gone is told nothing.
func TestPlansChangeReceivers(t *testing.T) {
	s := newSite(t)
	old, fresh := newReceiver(t, httptest.NewServer), newReceiver(t, httptest.NewServer)
	s.start()
	s.plan(hook(old))
	s.install(1)
	old.next()
	s.plan(hook(fresh, site.HookFailed))
	s.do(fail(1))
	s.install(2)
	s.do(fail(2))
	for attempt := 1; attempt <= 2; attempt++ {
		if m := fresh.next(); m.Event != site.HookFailed || m.Attempt != attempt {
			t.Errorf("got %+v", m)
		}
	}
	s.stop()
	old.nothing()
	fresh.nothing()
}

// TestCertificatesAreVerified: an authority that nobody named is refused, and
// not a byte of a message reaches it.
func TestCertificatesAreVerified(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t, httptest.NewTLSServer)
	s.start()
	s.plan(hook(r))
	s.install(1)
	s.pause()
	s.stop()
	if r.tries != 0 {
		t.Errorf("%d messages reached a receiver whose certificate nobody vouches for", r.tries)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	w := hook(r)
	w.CA = ca
	s.plan(w)
	if m := r.next(); m.Event != site.HookStart {
		t.Errorf("got %+v", m)
	}
}

// TestErrorsNameNoCredential: neither of a dead address nor of a secret that
// is not there.
func TestErrorsNameNoCredential(t *testing.T) {
	s := newSite(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + l.Addr().String() + "/" + inPath + "?access_token=" + canary
	l.Close()
	s.start()
	s.plan(site.Webhook{URL: dead, Secret: site.SecretRef{Env: "HOOK"}}, site.Webhook{URL: dead + "2", Secret: site.SecretRef{File: "/nowhere"}})
	s.install(1)
	for text := ""; !strings.Contains(text, "refused") || !strings.Contains(text, "no such secret"); text = s.logs.String() {
		s.pause()
	}
}

func TestDamagedPositionsAreToldOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "webhooks.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := webhook.OpenPositions(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v", err)
	}
}

// TestSign is an example that receivers can check themselves against:
// printf '1790000000.{}' | openssl dgst -sha256 -hmac key
func TestSign(t *testing.T) {
	const want = "v1=099d33989336226b12c85da813adf6100e1bbab1e91bede9a41ddeb7882d66b8"
	if got := webhook.Sign("key", "1790000000", []byte("{}")); got != want {
		t.Errorf("got %s", got)
	}
}
