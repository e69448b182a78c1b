package storm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"
)

// BootConfig describes the network boot of many machines at once: a lease, then
// a loader by TFTP, then three files by HTTP. A phase whose address or name is
// empty is left out.
//
// In file names and URLs {mac}, {mac-} (with hyphens), {ip} and {n} (the client's
// number from 0) are replaced. An answer or image URL of the form match:REGEXP is
// the first group (or the whole) of what REGEXP finds in the machine's script, so
// that a token in it is followed as a machine follows it.
type BootConfig struct {
	DHCP   DHCPConfig // Clients, Limit, PIDs and Progress count for the whole storm
	TFTP   TFTPConfig // Server and File of the loader; without File no loader
	Script string
	Answer string
	Image  string

	// FromLease makes each machine's downloads come from its leased address,
	// which must be local to this host (ip route add local NET dev lo).
	FromLease   bool
	AllowPublic bool
}

// BootResult is what one boot storm found.
type BootResult struct {
	Clients     int            `json:"clients"`
	Finished    int            `json:"finished"` // machines that got everything
	Failed      int            `json:"failed"`
	Errors      map[string]int `json:"errors,omitempty"`
	Elapsed     time.Duration  `json:"elapsed_ns"`
	Bytes       int64          `json:"bytes"`
	MBPerSecond float64        `json:"mb_per_second"`
	DHCP        DHCPPhase      `json:"dhcp"`
	Loader      Latency        `json:"loader"`
	Script      Latency        `json:"script"`
	Answer      Latency        `json:"answer"`
	Image       Latency        `json:"image"`
	Total       Latency        `json:"total"` // from power-on of all to the end of each
	Process     *Process       `json:"process,omitempty"`
}

// OK tells whether every machine got everything.
func (r BootResult) OK() bool { return r.Finished == r.Clients }

// machine is one client after its lease.
type machine struct {
	mac     MAC
	number  int
	address netip.Addr
	script  []byte
	took    [bootPhases]time.Duration // zero: not reached
	total   time.Duration
	err     error
}

const (
	phaseLoader = iota
	phaseScript
	phaseAnswer
	phaseImage
	bootPhases
)

// Boot starts every machine at once and returns what it counted. An error means
// that the rehearsal could not be run.
func Boot(ctx context.Context, c BootConfig) (r BootResult, err error) {
	b, err := newBootStorm(ctx, c)
	if err != nil {
		return BootResult{}, err
	}
	if b.downloads, err = openDownloads(); err != nil {
		return BootResult{}, err
	}
	defer func() { err = errors.Join(err, b.downloads.close()) }()
	m, err := newMeter(c.DHCP.PIDs)
	if err != nil {
		return BootResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.dhcp.Limit)
	defer cancel()
	stop := b.counts.watch(ctx, "boot", b.dhcp.Clients, c.DHCP.Progress)
	b.start = time.Now()
	var leases DHCPResult
	leases, err = dhcp(ctx, b.dhcp, func(i int, ip [4]byte) {
		b.booting.Go(func() { b.boot(ctx, i, netip.AddrFrom4(ip)) })
	}, func(i int) {
		b.machines[i].err = errNoLease
		b.counts.failed.Add(1)
	})
	if err != nil {
		cancel()
	}
	b.booting.Wait()
	stop()
	r = b.result(leases.Cold)
	if err != nil {
		return r, err
	}
	r.Process, err = m.stop()
	return r, err
}

var errNoLease = errors.New("no lease")

type bootStorm struct {
	config    BootConfig
	dhcp      DHCPConfig
	tftp      TFTPConfig
	downloads *downloads
	patterns  map[string]*regexp.Regexp // of match: addresses
	machines  []machine
	scratch   []byte
	counts    tally
	booting   sync.WaitGroup
	start     time.Time
}

const matchPrefix = "match:"

func newBootStorm(ctx context.Context, c BootConfig) (*bootStorm, error) {
	b := &bootStorm{config: c, patterns: map[string]*regexp.Regexp{}, scratch: make([]byte, scratchSize)}
	for _, u := range []string{c.Script, c.Answer, c.Image} {
		if pattern, ok := strings.CutPrefix(u, matchPrefix); ok {
			if c.Script == "" || u == c.Script {
				return nil, fmt.Errorf("%s needs a script to search", u)
			}
			re, err := regexp.Compile(pattern)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", u, err)
			}
			b.patterns[u] = re
		} else if u != "" {
			if _, _, err := resolveHTTP(ctx, b.expand(u, &machine{}), c.AllowPublic); err != nil {
				return nil, err
			}
		}
	}
	c.DHCP.AllowPublic, c.TFTP.AllowPublic = c.AllowPublic, c.AllowPublic
	c.DHCP.Repeat = 1
	c.DHCP.Limit = orDefault(c.DHCP.Limit, 5*time.Minute)
	c.DHCP.Tries = orDefault(c.DHCP.Tries, 6)
	c.DHCP.InFlight = orDefault(c.DHCP.InFlight, max(c.DHCP.Clients, 1))
	var err error
	if b.dhcp, err = c.DHCP.withDefaults(); err != nil {
		return nil, err
	}
	b.dhcp.PIDs, b.dhcp.Progress = nil, nil // the storm as a whole is metered and watched
	if b.dhcp.Clients > maxDownloads {
		return nil, fmt.Errorf("clients: %d, want 1 to %d", b.dhcp.Clients, maxDownloads)
	}
	if c.TFTP.File != "" {
		if !c.TFTP.Server.IsValid() {
			c.TFTP.Server = netip.AddrPortFrom(b.dhcp.Server.Addr(), 0)
		}
		if b.tftp, err = c.TFTP.withDefaults(); err != nil {
			return nil, err
		}
	}
	b.machines = make([]machine, b.dhcp.Clients)
	return b, nil
}

// boot takes one machine from its lease to the end.
func (b *bootStorm) boot(ctx context.Context, i int, address netip.Addr) {
	m := &b.machines[i]
	m.mac, m.number, m.address = b.dhcp.MAC.Add(i), i, address
	m.err = b.phases(ctx, m)
	m.total = time.Since(b.start)
	if m.err != nil {
		b.counts.failed.Add(1)
	} else {
		b.counts.done.Add(1)
	}
}

func (b *bootStorm) phases(ctx context.Context, m *machine) error {
	if b.config.TFTP.File != "" {
		c := b.tftp
		c.File = b.expand(c.File, m)
		t := b.downloads.get(ctx, c, m.number, b.source(m), &tally{})
		b.counts.bytes.Add(t.bytes)
		if t.err != nil {
			return fmt.Errorf("loader: %w", t.err)
		}
		m.took[phaseLoader] = t.elapsed
	}
	keepScript := func(p []byte) { m.script = append(m.script, p...) }
	if err := b.fetch(ctx, m, phaseScript, b.config.Script, keepScript); err != nil {
		return fmt.Errorf("script: %w", err)
	}
	if err := b.fetch(ctx, m, phaseAnswer, b.config.Answer, nil); err != nil {
		return fmt.Errorf("answer file: %w", err)
	}
	if err := b.fetch(ctx, m, phaseImage, b.config.Image, nil); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return nil
}

func (b *bootStorm) fetch(ctx context.Context, m *machine, phase int, address string, keep func([]byte)) error {
	if address == "" {
		return nil
	}
	if re := b.patterns[address]; re != nil {
		found := re.FindSubmatch(m.script)
		if found == nil {
			return fmt.Errorf("%s: nothing like it in the script", address)
		}
		address = string(found[len(found)-1])
	}
	u, target, err := resolveHTTP(ctx, b.expand(address, m), b.config.AllowPublic)
	if err != nil {
		return err
	}
	d := download{url: u, target: target, from: b.source(m), keep: keep, scratch: b.scratch, counts: &tally{}}
	d.run(ctx)
	b.counts.bytes.Add(d.bytes)
	m.took[phase] = d.elapsed
	return d.err
}

func (b *bootStorm) source(m *machine) netip.Addr {
	if b.config.FromLease {
		return m.address
	}
	return netip.Addr{}
}

func (b *bootStorm) expand(s string, m *machine) string {
	if !strings.Contains(s, "{") {
		return s
	}
	mac := m.mac.String()
	return strings.NewReplacer(
		"{mac}", mac, "{mac-}", strings.ReplaceAll(mac, ":", "-"),
		"{ip}", m.address.String(), "{n}", fmt.Sprint(m.number),
	).Replace(s)
}

func (b *bootStorm) result(leases DHCPPhase) BootResult {
	r := BootResult{Clients: b.dhcp.Clients, Elapsed: time.Since(b.start), Bytes: b.counts.bytes.Load(), DHCP: leases}
	r.MBPerSecond = float64(r.Bytes) / 1e6 / r.Elapsed.Seconds()
	var phases [bootPhases]Histogram
	var total Histogram
	for i := range b.machines {
		m := &b.machines[i]
		for p, took := range m.took {
			if took > 0 {
				phases[p].Record(took)
			}
		}
		switch {
		case m.err != nil:
			countError(&r.Errors, m.err)
		case m.total > 0:
			r.Finished++
			total.Record(m.total)
		default:
			countError(&r.Errors, errNoLease)
		}
	}
	r.Failed = r.Clients - r.Finished
	r.Loader, r.Script = phases[phaseLoader].Summary(), phases[phaseScript].Summary()
	r.Answer, r.Image = phases[phaseAnswer].Summary(), phases[phaseImage].Summary()
	r.Total = total.Summary()
	return r
}
