package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/api"
	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/image"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

// outlook is what a daemon knows of machines beside what their BMCs say. The
// zero value knows nothing: nobody serves.
type outlook struct {
	boot    func(node string, since time.Time) (bmc.Sign, bool)
	image   func(t bmc.Target, name string) (string, error)
	fetches func(url string, since time.Time) ([]batch.Fetch, bool)
	record  func(node string) (stop func(), err error)
}

// informed tells a runner of jobs what this core knows.
func (c *core) informed(config job.Config) job.Config {
	config.BIOS = func(s *site.State, m *site.Machine) (map[string]string, error) {
		i, err := c.composer.Intent(s, m.Node)
		if err != nil {
			return nil, fmt.Errorf("the profile of its role: %w", err)
		}
		return wantedBIOS(i), nil
	}
	config.Observe = c.recordJob
	config.Boot, config.Image, config.Fetches = c.outlook.boot, c.outlook.image, c.outlook.fetches
	config.Record = c.outlook.record
	return config
}

func wantedBIOS(i *profile.Intent) map[string]string {
	wanted := map[string]string{}
	for _, x := range i.BIOS {
		wanted[x.Key] = x.Value
	}
	return wanted
}

// biosOfProfile are the settings that a shipped profile wants of a machine
// that nothing else is known of.
func biosOfProfile(name string) (map[string]string, error) {
	role := site.Role{Profile: name}
	i, err := profile.Resolve(profiles.Files, &site.Settings{Roles: map[string]site.Role{name: role}}, &site.Node{Role: name})
	if err != nil {
		return nil, usageError("--profile %s: %w", name, err)
	}
	return wantedBIOS(i), nil
}

// biosOfPlan are the settings that a plan wants of its machines.
func biosOfPlan(s *site.State) func(node string) (map[string]string, error) {
	composer := &bootplan.Composer{Profiles: profiles.Files}
	return func(node string) (map[string]string, error) {
		m, ok := s.Machine(node)
		if !ok {
			return nil, fmt.Errorf("the plan has no node %s", node)
		}
		i, err := composer.Intent(s, m.Node)
		if err != nil {
			return nil, fmt.Errorf("the profile of its role: %w", err)
		}
		return wantedBIOS(i), nil
	}
}

// media is where BMCs find the images of the library: at an address of ours
// that is in their network, or else at the first.
func (d *daemon) media(t bmc.Target, name string) (string, error) {
	i, err := d.core.library.Lookup(name)
	if err != nil {
		return "", err // it names the next step
	}
	return d.baseFor(hostOf(t.Address)) + i.ISOPath(), nil
}

func (d *daemon) baseFor(host netip.Addr) string {
	best := d.server().HTTP
	for _, l := range d.machine {
		at := l.Addr().(*net.TCPAddr).AddrPort()
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		if sameNetwork(at.Addr(), host) {
			return api.BaseURL(at)
		}
	}
	return best
}

// sameNetwork asks the interfaces, whose masks no plan knows better.
func sameNetwork(own, other netip.Addr) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(addresses, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr() == own && p.Contains(other)
	})
}

// hostOf is the address of a BMC, if it is given by address.
func hostOf(address string) netip.Addr {
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address, _, _ = strings.Cut(rest, "/")
	}
	if at, err := netip.ParseAddrPort(address); err == nil {
		return at.Addr()
	}
	a, _ := netip.ParseAddr(strings.Trim(address, "[]")) // a name is in no network that is known
	return a
}

// fetches says who came for a URL, if it is one of ours.
func (d *daemon) fetches(text string, since time.Time) ([]batch.Fetch, bool) {
	u, err := url.Parse(text)
	if err != nil || !isMedium(u.Path) {
		return nil, false
	}
	ours := slices.ContainsFunc(d.machine, func(l net.Listener) bool {
		at := l.Addr().(*net.TCPAddr).AddrPort()
		return api.BaseURL(netip.AddrPortFrom(at.Addr().Unmap(), at.Port())) == "http://"+u.Host
	})
	if !ours {
		return nil, false
	}
	return d.core.visits.since(u.Path, since), true
}

// isMedium reports whether a path is that of a whole ISO.
func isMedium(path string) bool {
	return strings.HasPrefix(path, image.URLPrefix) && strings.HasSuffix(path, ".iso") && strings.Count(path, "/") == 2
}
