package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"sync"
	"testing"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestKillAfterACK takes the power from the daemon at the moment in which a
// client holds an ACK, 200 times: every lease that was acknowledged is there
// afterwards, and nobody else has its address.
func TestKillAfterACK(t *testing.T) {
	kills, clients := 200, 6
	if testing.Short() {
		kills = 20
	}
	p := newPlace(t)
	r := p.relay()
	var promised promises
	next := 0
	for range kills {
		d := p.serve()
		ctx, cancel := context.WithCancel(t.Context())
		var once sync.Once
		var all sync.WaitGroup
		for range clients {
			next++
			mac := macOf(next)
			all.Go(func() {
				addr, err := lease(ctx, r, mac)
				if err != nil {
					return // the daemon died before it answered
				}
				promised.add(mac, addr)
				once.Do(func() { d.kill(); cancel() })
			})
		}
		all.Wait()
		cancel()
		d.kill()
	}
	if promised.len() < kills {
		t.Errorf("only %d leases were acknowledged in %d lives", promised.len(), kills)
	}
	p.serve()
	promised.check(t, p)
	t.Logf("%d leases were acknowledged in %d lives", promised.len(), kills)
	renewAll(t, p, &promised, next)
}

// renewAll has clients that come back ask for what they had, and a new client
// for an address: it gets one that nobody has.
func renewAll(t *testing.T, p *place, promised *promises, next int) {
	t.Helper()
	r := p.relay()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	taken := map[netip.Addr]site.MAC{}
	for mac, addr := range promised.held {
		taken[addr] = mac
		if len(taken) > 50 {
			continue
		}
		if got, err := reboot(ctx, r, mac, addr); err != nil || got != addr {
			t.Errorf("%s had %s and is given %v, %v", mac, addr, got, err)
		}
	}
	for i := range 10 {
		addr, err := lease(ctx, r, macOf(next+1+i))
		if err != nil {
			t.Fatal(err)
		}
		if mac, ok := taken[addr]; ok {
			t.Errorf("%s belongs to %s and was given to a new client", addr, mac)
		}
	}
}

var answerPath = regexp.MustCompile(`/answer/[0-9a-f]{64}/`)

// TestKillAfterScript: one arming is one attempt, however often the daemon
// dies with the script just out of the door.
func TestKillAfterScript(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	p := newPlace(t)
	p.must("plan", "apply", p.plan)
	p.medium()
	p.must("install", "n1", "--no-power", "--no-wait")
	token := ""
	for range kills {
		d := p.serve()
		script := p.get(t, ".1.1", "/boot/node.ipxe?mac=52:54:00:00:00:00")
		d.kill()
		got := answerPath.FindString(script)
		if got == "" || token != "" && got != token {
			t.Fatalf("the token was %q and is %q:\n%s", token, got, script)
		}
		token = got
	}
	p.serve()
	if n := p.node("n1"); n.Attempt != 1 || n.State != site.PhaseBooting {
		t.Errorf("n1 is %s at attempt %d", n.State, n.Attempt)
	}
	for _, name := range []string{"n2", "n3"} {
		if n := p.node(name); n.State != site.PhasePlanned {
			t.Errorf("%s is %s", name, n.State)
		}
	}
}

// get fetches from the machine side, from an address of the place.
func (p *place) get(t *testing.T, from, path string) string {
	t.Helper()
	_, body := p.fetch(t, from, path)
	return body
}

func (p *place) fetch(t *testing.T, from, path string) (int, string) {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(p.addr(from), 0))}
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	resp, err := c.Get("http://" + p.server(httpPort) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
