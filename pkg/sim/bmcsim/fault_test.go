package bmcsim

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
)

// TestFaults: each goes wrong where its name says.
func TestFaults(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	start := func(t *testing.T, f sim.Fault) (*BMC, client) {
		return newClient(t, Config{Faults: []sim.Fault{f}, Slow: 300 * time.Millisecond, Now: clock})
	}
	t.Run(string(Fault401), func(t *testing.T) {
		b, c := start(t, Fault401)
		c.want(401, "GET", systemPath, nil)
		c.want(401, "POST", sessionsPath, map[string]any{"UserName": b.Username(), "Password": b.Password().Reveal()})
	})
	t.Run(string(FaultSlow), func(t *testing.T) {
		_, c := start(t, FaultSlow)
		begin := time.Now()
		c.want(200, "GET", systemPath, nil)
		if took := time.Since(begin); took < 300*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
	t.Run(string(FaultHang), func(t *testing.T) {
		b, c := start(t, FaultHang)
		answered := make(chan error, 1)
		go func() {
			_, err := c.try("GET", systemPath, nil)
			answered <- err
		}()
		eventually(t, "the request to arrive", func() bool { return b.Requests() == 1 })
		select {
		case err := <-answered:
			t.Errorf("it answered: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		b.Close()
		if err := <-answered; err == nil {
			t.Error("it answered when it was closed")
		}
	})
	t.Run(string(FaultFlaky), func(t *testing.T) {
		b, c := start(t, FaultFlaky)
		var seen []string
		for range 6 {
			g, err := c.try("POST", systemPath+"/Actions/ComputerSystem.Reset", map[string]any{"ResetType": "PushPowerButton"})
			seen = append(seen, map[bool]string{true: fmt.Sprint(g.status), false: "lost"}[err == nil])
		}
		if want := []string{"204", "204", "lost", "204", "204", "503"}; !slices.Equal(seen, want) {
			t.Errorf("it answered %q, want %q", seen, want)
		}
		if n := len(b.Actions()); n != 5 {
			t.Errorf("%d buttons were pushed: a lost answer is to a request that was done, a refused one is not", n)
		}
	})
	t.Run(string(FaultLies), func(t *testing.T) {
		b, c := start(t, FaultLies)
		c.want(200, "PATCH", systemPath, boot("BootSourceOverrideEnabled", "Once", "BootSourceOverrideTarget", "Pxe"))
		if got := c.boot()["BootSourceOverrideEnabled"]; got != "Disabled" {
			t.Errorf("it kept %v", got)
		}
		c.reset("On", 204)
		if b.PowerState() != "Off" || len(b.Actions()) != 0 {
			t.Errorf("power is %s after %q", b.PowerState(), b.Actions())
		}
		c.want(200, "PATCH", accountsPath+"/1", map[string]any{"Password": "another-one"})
		c.want(200, "GET", systemPath, nil)
	})
	t.Run(string(FaultReverts), func(t *testing.T) {
		_, c := start(t, FaultReverts)
		c.override("Once", "Pxe")
		if got := c.boot()["BootSourceOverrideTarget"]; got != "Pxe" {
			t.Errorf("it has %v", got)
		}
		mu.Lock()
		now = now.Add(2 * time.Second)
		mu.Unlock()
		if got := c.boot()["BootSourceOverrideTarget"]; got != "None" {
			t.Errorf("it still has %v", got)
		}
	})
	t.Run(string(FaultDropsSession), func(t *testing.T) {
		b, c := start(t, FaultDropsSession)
		token := c.want(201, "POST", sessionsPath, map[string]any{"UserName": b.Username(), "Password": b.Password().Reveal()}).header.Get("X-Auth-Token")
		c.user = ""
		for _, status := range []int{200, 200, 200, 401} {
			c.want(status, "GET", systemPath, nil, "X-Auth-Token", token)
		}
	})
	t.Run(string(FaultETagRequired), func(t *testing.T) {
		_, c := start(t, FaultETagRequired)
		pxe := boot("BootSourceOverrideEnabled", "Once", "BootSourceOverrideTarget", "Pxe")
		c.want(428, "PATCH", systemPath, pxe)
		c.want(204, "PATCH", systemPath, pxe, "If-Match", c.do("GET", systemPath, nil).header.Get("ETag"))
	})
	t.Run(string(FaultNoOnce), func(t *testing.T) {
		b, c := start(t, FaultNoOnce)
		c.override("Once", "Pxe")
		if got := c.boot()["BootSourceOverrideEnabled"]; got != "Continuous" {
			t.Errorf("it has %v", got)
		}
		c.reset("On", 204)
		c.reset("ForceRestart", 204)
		eventually(t, "two boots", func() bool { return len(b.Booted()) == 2 })
		if got := b.Booted()[1].Target; got != "Pxe" {
			t.Errorf("the second boot is from %v", got)
		}
	})
}
