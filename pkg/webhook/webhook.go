// Package webhook tells other programs what becomes of installs. It follows
// the log from a position that survives a restart, so that nothing is left
// out; what a receiver did not confirm is sent again.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// The headers of a message.
const (
	HeaderEvent     = "Rackseed-Event"     // the turn: start, done, ready, failed, held
	HeaderID        = "Rackseed-Event-Id"  // the same each time the event is sent
	HeaderTimestamp = "Rackseed-Timestamp" // seconds since 1970, of this message
	HeaderSignature = "Rackseed-Signature" // v1= and Sign in hex
)

// Message is what a receiver gets.
type Message struct {
	ID      string            `json:"id"`  // SITE/SEQ
	Seq     uint64            `json:"seq"` // of the event in the log
	At      time.Time         `json:"at"`
	Event   site.WebhookEvent `json:"event"`
	Kind    string            `json:"kind"` // of the event in the log
	Site    string            `json:"site"`
	Node    string            `json:"node"`
	Role    string            `json:"role,omitempty"`
	Rack    string            `json:"rack,omitempty"`
	Serial  string            `json:"serial,omitempty"`
	Attempt int               `json:"attempt,omitempty"`
	Stage   string            `json:"stage,omitempty"`
	Reason  string            `json:"reason,omitempty"`

	Deviations []string `json:"deviations,omitempty"`
}

// messageOf describes an event. What is said of the machine is how the plan
// names it when the message is sent.
func messageOf(s *site.State, e site.Event, turn site.WebhookEvent) Message {
	m := Message{
		ID: s.Settings.Site + "/" + strconv.FormatUint(e.Seq, 10), Seq: e.Seq, At: e.At,
		Event: turn, Kind: e.Body.Kind(), Site: s.Settings.Site, Node: e.Body.Subject(),
	}
	if known, ok := s.Machine(m.Node); ok {
		m.Role, m.Rack, m.Serial = known.Node.Role, known.Node.Rack, known.Node.Serial
	}
	switch b := e.Body.(type) {
	case site.InstallStarted:
		m.Attempt = b.Attempt
	case site.InstallDone:
		m.Attempt = b.Attempt
	case site.NodeVerified:
		m.Attempt, m.Deviations = b.Attempt, b.Deviations
		if len(b.Deviations) > 0 {
			m.Stage, m.Reason = "verified", fmt.Sprintf("it is not as intended in %d points", len(b.Deviations))
		}
	case site.InstallFailed:
		m.Attempt, m.Stage, m.Reason = b.Attempt, b.Stage, b.Reason
	case site.NodeHeld:
		m.Reason = b.Reason
	}
	return m
}

// Sign is the HMAC-SHA256 of the timestamp, a full stop and the body. The
// timestamp keeps an old message from being played again for ever.
func Sign(secret site.Secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = io.WriteString(mac, timestamp+".") // a hash never fails
	_, _ = mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Ledger is the part of the ledger that is followed.
type Ledger interface {
	State() *site.State
	Follow(ctx context.Context, since uint64) iter.Seq2[site.Event, error]
}

// Sender tells the webhooks of the plan in force. Set the fields, then Run.
type Sender struct {
	Ledger    Ledger
	Positions *Positions
	Secret    func(site.SecretRef) (site.Secret, error)
	Log       *slog.Logger
	Clock     func() time.Time                                   // nil means time.Now
	Wait      func(ctx context.Context, d time.Duration) bool    // nil means to sleep; false means that ctx ended
	Client    func(site.Webhook) (client *http.Client, e error)  // nil means NewClient
	Delivered func(place string, e site.WebhookEvent, err error) // told of each try; nil is allowed
}

// The pauses between two tries double from the first to the longest, and
// vary by a quarter, so that many daemons do not knock together.
const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	patience     = 15 * time.Second // with one try
)

// NewClient reaches the receiver of a webhook: certificates are verified, and
// it goes nowhere else, because a message is signed for one receiver.
func NewClient(w site.Webhook) (*http.Client, error) {
	transport, err := transportFor(w)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout: patience, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// deliver sends one message until the receiver confirms it or ctx ends. It
// gives false when ctx ended first.
func (s *Sender) deliver(ctx context.Context, client *http.Client, w site.Webhook, m Message) bool {
	log := s.Log.With("webhook", w.Place(), "event", m.Event, "seq", m.Seq, "node", m.Node)
	pause := firstPause
	for try := 1; ; try++ {
		err := s.try(ctx, client, w, m)
		if ctx.Err() != nil {
			return false
		}
		if s.Delivered != nil {
			s.Delivered(w.Place(), m.Event, err)
		}
		if err == nil {
			log.Debug("a webhook was told", "try", try)
			return true
		}
		log.Warn("a webhook was not reached; it is tried again", "try", try, "pause", pause, "error", err)
		if !s.wait(ctx, pause*3/4+rand.N(pause/2)) {
			return false
		}
		pause = min(2*pause, longestPause)
	}
}

// try sends a message once. Its errors name no more of the address than its
// host, and nothing of the secret.
func (s *Sender) try(ctx context.Context, client *http.Client, w site.Webhook, m Message) error {
	secret, err := s.Secret(w.Secret)
	if err != nil {
		return fmt.Errorf("its secret cannot be had: %w", err)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("its address cannot be asked")
	}
	timestamp := strconv.FormatInt(s.now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "rackseed")
	r.Header.Set(HeaderEvent, string(m.Event))
	r.Header.Set(HeaderID, m.ID)
	r.Header.Set(HeaderTimestamp, timestamp)
	r.Header.Set(HeaderSignature, Sign(secret, timestamp, body))
	resp, err := client.Do(r)
	if err != nil {
		return withoutURL(err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	_ = resp.Body.Close()                                         // nothing was written
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("it answered %s", resp.Status)
	}
	return nil
}

func (s *Sender) now() time.Time {
	if s.Clock != nil {
		return s.Clock()
	}
	return time.Now()
}

func (s *Sender) wait(ctx context.Context, d time.Duration) bool {
	if s.Wait != nil {
		return s.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
