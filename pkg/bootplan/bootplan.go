// Package bootplan puts everything that one machine is served for one boot
// decision into one value: kernel, initrd, arguments, script and answer
// files. The daemon serves from it and `rackseed explain` and `render` print
// it, so that what is shown is what is sent.
package bootplan

import (
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// Composer knows what a decision needs besides the state. It may be used by
// several goroutines.
type Composer struct {
	Profiles fs.FS // those that ship; a plan brings its own
	// Root reveals Access.Root for an installer, or gives a mask for people.
	Root func(site.Secret) (string, error)
	// Syslog is the port at which the daemon takes the installers' logs; zero
	// means that it takes none.
	Syslog uint16

	// rendering is held by one render at a time: answer files of a storm of
	// machines at once would cost a gigabyte, and save nobody any time.
	rendering sync.Mutex

	mu       sync.Mutex
	planSeq  uint64 // and digest: of the plan that resolver and rendered are for
	digest   string
	resolver *profile.Resolver
	rendered map[string]string // node → digest of the image that its answers were rendered for
}

// Plan is what one machine is served.
type Plan struct {
	Boot    ipxe.Boot
	Answers answer.Answers // with an Install
	Script  string
}

// Compose works out what m is served for d. A decision that cannot be
// carried out, because a profile does not parse or an image's installer is
// not known, is an error before anything was handed out.
func (c *Composer) Compose(s *site.State, m *site.Machine, d boot.Decision, mac site.MAC, server ipxe.Server, token string) (Plan, error) {
	p := Plan{Boot: ipxe.Boot{Decision: d}}
	if d.Action == boot.Discover {
		p.Boot = discovery(d, mac, server, token)
	}
	if d.Action == boot.Install {
		answers, err := c.Answers(s, m.Node, d.Image, d.Attempt, mac, server.HTTP, token)
		if err != nil {
			return Plan{}, err
		}
		p.Answers = answers
		p.Boot = installer(d, answers.Args, server)
	}
	p.Script = ipxe.Script(p.Boot, server)
	return p, nil
}

// Script is the Script of Compose, for less: whether a node's answers can be
// rendered depends on the plan and the image, so they are rendered here only
// if they were not before.
func (c *Composer) Script(s *site.State, m *site.Machine, d boot.Decision, mac site.MAC, server ipxe.Server, token string) (string, error) {
	if d.Action != boot.Install || !c.wasRendered(s, m.Node.Name, d.Image) {
		p, err := c.Compose(s, m, d, mac, server, token)
		return p.Script, err
	}
	t, err := c.Target(s, m.Node, d.Image)
	if err != nil {
		return "", err
	}
	t.Attempt, t.MAC, t.Base, t.Token, t.Syslog = d.Attempt, mac, server.HTTP, token, c.syslog(server.HTTP)
	args, err := answer.Arguments(t)
	if err != nil {
		return "", fmt.Errorf("writing the kernel arguments of %s: %w", m.Node.Name, err)
	}
	return ipxe.Script(installer(d, args, server), server), nil
}

func installer(d boot.Decision, args []string, server ipxe.Server) ipxe.Boot {
	return ipxe.Boot{Decision: d, Args: args, Kernel: imageURL(server, d.Image, d.Image.Kernel), Initrd: imageURL(server, d.Image, d.Image.Initrd)}
}

func (c *Composer) wasRendered(s *site.State, node string, image site.Image) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.planSeq == s.PlanSeq && c.digest == s.PlanDigest && c.rendered[node] == image.Digest && image.Digest != ""
}

// renderAside renders on a stack of its own: the caller's would stay as large for
// as long as its connection lasts, which is a whole installation.
func renderAside(t *answer.Target) (a answer.Answers, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			// Elsewhere the server of the connection does this.
			if p := recover(); p != nil {
				err = fmt.Errorf("rendering failed: %v\n%s", p, debug.Stack())
			}
		}()
		a, err = answer.Render(t)
	}()
	<-done
	return a, err
}

// keepRendered forgets what was rendered under another plan than s has.
func (c *Composer) keepRendered(s *site.State, node string, image site.Image) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.planSeq == s.PlanSeq && c.digest == s.PlanDigest && c.rendered != nil {
		c.rendered[node] = image.Digest
	}
}

// Intent is what a node must be.
func (c *Composer) Intent(s *site.State, n *site.Node) (*profile.Intent, error) {
	return c.resolverOf(s).Resolve(n)
}

// resolverOf reads the profiles of a plan once, not for every machine.
func (c *Composer) resolverOf(s *site.State) *profile.Resolver {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resolver == nil || c.planSeq != s.PlanSeq || c.digest != s.PlanDigest {
		c.resolver = profile.NewResolver(c.Profiles, &s.Settings, func(yield func(*site.Node) bool) {
			for _, m := range s.Machines() {
				if !yield(m.Node) {
					return
				}
			}
		})
		c.planSeq, c.digest, c.rendered = s.PlanSeq, s.PlanDigest, map[string]string{}
	}
	return c.resolver
}

// Answers renders the answer files of one attempt of a node.
func (c *Composer) Answers(s *site.State, n *site.Node, image site.Image, attempt int, mac site.MAC, base, token string) (answer.Answers, error) {
	t, err := c.Target(s, n, image)
	if err != nil {
		return answer.Answers{}, err
	}
	t.Attempt, t.MAC, t.Base, t.Token, t.Syslog = attempt, mac, base, token, c.syslog(base)
	c.rendering.Lock()
	defer c.rendering.Unlock()
	answers, err := renderAside(t)
	if err != nil {
		return answer.Answers{}, fmt.Errorf("rendering the answer file of %s: %w", n.Name, err)
	}
	c.keepRendered(s, n.Name, image)
	return answers, nil
}

// Target is what an answer for a node is rendered from, wherever it is
// delivered to.
func (c *Composer) Target(s *site.State, n *site.Node, image site.Image) (*answer.Target, error) {
	intent, err := c.Intent(s, n)
	if err != nil {
		return nil, err
	}
	root, err := c.Root(s.Settings.Access.Root)
	if err != nil {
		return nil, fmt.Errorf("opening the root password hash: %w", err)
	}
	return &answer.Target{Intent: intent, Image: image, Root: root, Site: s.Settings.Site, Wiring: wiring(s, n)}, nil
}

// syslog is where a machine that reaches the daemon at base logs to.
func (c *Composer) syslog(base string) netip.AddrPort {
	u, err := url.Parse(base)
	if err != nil || c.Syslog == 0 {
		return netip.AddrPort{}
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, c.Syslog)
}

// imageURL escapes the path: iPXE and firmware split words at blanks, and
// media have file names with "+" and "~".
func imageURL(server ipxe.Server, image site.Image, path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return server.HTTP + "/images/" + image.Digest + "/" + strings.Join(parts, "/")
}
