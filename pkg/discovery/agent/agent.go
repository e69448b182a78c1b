package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/site"
)

const (
	poll       = 3 * time.Second
	linkTime   = 8 * time.Second // for a link to come up that has a cable
	probeTime  = 4 * time.Second
	goneBefore = 10 // refusals before the machine boots again for a new token
)

// Settings are what the kernel's command line asks for.
type Settings struct {
	URL     string   // where this boot reports and asks
	MAC     site.MAC // of the port that booted
	Modules string   // URL of a list of Debian's driver packages; may be empty
}

// ParseSettings reads a kernel command line.
func ParseSettings(line string) (Settings, error) {
	var s Settings
	for _, word := range strings.Fields(line) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "rackseed.url":
			s.URL = value
		case "rackseed.modules":
			s.Modules = value
		case "rackseed.mac":
			mac, err := site.ParseMAC(value)
			if err != nil {
				return s, fmt.Errorf("reading rackseed.mac: %w", err)
			}
			s.MAC = mac
		}
	}
	if s.URL == "" || s.MAC == (site.MAC{}) {
		return s, errors.New("the kernel's command line has no rackseed.url and rackseed.mac: this program is started by Rackseed's boot script")
	}
	return s, nil
}

// agent is one boot of the discovery.
type agent struct {
	machine Machine
	s       Settings
	daemon  *daemon
	out     io.Writer
	began   time.Time
	lease   *lease
}

func (a *agent) say(format string, args ...any) {
	fmt.Fprintf(a.out, "[%4.0f] rackseed: %s\r\n", time.Since(a.began).Seconds(), fmt.Sprintf(format, args...))
}

// Init is the whole life of a machine in the discovery. It returns only if it
// could not even begin, or to boot again.
func Init(ctx context.Context) error {
	out, err := prepare()
	a := &agent{machine: Machine{Root: "/"}, out: out, began: time.Now()}
	if err != nil {
		a.say("%v", err)
	}
	a.say("looking at this machine; nothing is written to its disks")
	if a.s, err = ParseSettings(a.machine.line("/proc/cmdline")); err != nil {
		a.say("%v; booting again in 30 seconds", err)
		pause(ctx, 30*time.Second)
		return reboot()
	}
	a.daemon = newDaemon(a.s.URL)
	a.live(ctx)
	a.say("booting again")
	pause(ctx, time.Second)
	return reboot()
}

// live looks, reports, and obeys until it is told to boot again.
func (a *agent) live(ctx context.Context) {
	a.machine.loadDrivers(ctx, a.say)
	random()
	if !a.connect(ctx) {
		return
	}
	a.moreDrivers(ctx)
	a.machine.protect(a.say)
	refused, last := 0, ""
	for ctx.Err() == nil {
		reap()
		a.lease.keep(ctx)
		order, why, err := a.next(ctx)
		switch {
		case errors.Is(err, errGone):
			if refused++; refused >= goneBefore {
				return
			}
			why = "the daemon does not know this boot"
		case err != nil:
			why = err.Error()
		case order == "reboot":
			a.say("%s", why)
			return
		case order == "report":
			last = why
			a.report(ctx)
		}
		if why != last {
			a.say("%s", why)
			last = why
		}
		pause(ctx, poll)
	}
}

// connect switches every port on and gets an address for the one that booted.
func (a *agent) connect(ctx context.Context) bool {
	for range 20 {
		if _, ok := portOf(a.machine.nics(), a.s.MAC); ok {
			break
		}
		pause(ctx, 500*time.Millisecond)
	}
	for _, n := range a.machine.nics() {
		if _, err := up(n.Name); err != nil {
			a.say("%s does not come up: %v", n.Name, err)
		}
	}
	nic, ok := portOf(a.machine.nics(), a.s.MAC)
	if !ok {
		a.say("the port that booted, %s, is not there: this initrd may lack its driver; booting again in a minute", a.s.MAC)
		pause(ctx, time.Minute)
		return false
	}
	var err error
	if a.lease, err = address(ctx, nic.Name, a.say); err != nil {
		a.say("%v; booting again", err)
		return false
	}
	a.say("%s has address %s", nic.Name, a.lease.got.ACK.YourIPAddr)
	return true
}

func (a *agent) next(ctx context.Context) (order, why string, err error) {
	text, err := a.daemon.do(ctx, "GET", "next", nil)
	if err != nil {
		return "", "", err
	}
	order, why, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return order, why, nil
}

// report looks at everything, says it, and sends it.
func (a *agent) report(ctx context.Context) {
	tasks, err := a.daemon.tasks(ctx, "tasks")
	if err != nil {
		a.say("%v", err)
		return
	}
	a.say("listening for the switches for up to %d s", tasks.LLDP)
	i := look(ctx, a.machine, tasks)
	if b, err := a.machine.bmc(); err == nil {
		i.BMC = b
	} else {
		a.say("no BMC is asked: %v", err)
	}
	for _, l := range Describe(i) {
		a.say("%s", l)
	}
	answer, err := a.daemon.send(ctx, "inventory", i)
	if err != nil {
		a.say("the inventory did not arrive: %v", err)
		return
	}
	a.say("the daemon has it: %s", strings.TrimSpace(answer))
}

// look reads the kernel's tables while it listens at every port that has a
// link, then asks for the gateways.
func look(ctx context.Context, m Machine, t cabling.Tasks) site.Inventory {
	waitForLinks(ctx, m)
	var ports []string
	for _, n := range m.nics() {
		if n.Link == "up" {
			ports = append(ports, n.Name)
		}
	}
	var heard map[string]site.Neighbour
	var listening sync.WaitGroup
	listening.Go(func() { heard = neighbours(ctx, ports, time.Duration(t.LLDP)*time.Second) })
	i := m.Inventory()
	listening.Wait()
	most := largest()
	for k := range i.NICs {
		i.NICs[k].Neighbour = heard[i.NICs[k].Name]
		if mtu := most[i.NICs[k].Name]; mtu > 0 {
			i.NICs[k].MTU = mtu
		}
	}
	if len(t.Probes) > 0 {
		i.Reached = reach(ctx, i.NICs, t.Probes, probeTime)
	}
	return i
}

// waitForLinks gives ports that were just switched on the time that
// negotiation takes, if any is still without a link.
func waitForLinks(ctx context.Context, m Machine) {
	for begun := time.Now(); time.Since(begun) < linkTime && ctx.Err() == nil; pause(ctx, 250*time.Millisecond) {
		all := true
		for _, n := range m.nics() {
			all = all && n.Link == "up"
		}
		if all {
			return
		}
	}
}
