package site

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Severity says what a finding does to a plan.
type Severity string

// The severities of a finding.
const (
	SeverityError   Severity = "error"   // the plan is not applied
	SeverityWarning Severity = "warning" // the plan is applied; somebody should look
)

// Finding is one thing that is wrong with a plan.
type Finding struct {
	ID       string   `json:"id"` // stable, such as address-outside-subnet
	Severity Severity `json:"severity"`
	Path     string   `json:"path,omitempty"` // into the plan file: nodes[3].addresses.provision
	Message  string   `json:"message"`
	Fix      string   `json:"fix,omitempty"`
}

// HasErrors reports whether a finding stops the plan.
func HasErrors(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == SeverityError })
}

// Check finds what is wrong with the plan as a whole; it takes time linear in
// the number of nodes. The same mistake of many nodes of one range entry is
// one finding. What a profile asks for is the profile's to check.
func (p *Plan) Check() []Finding {
	c := &checker{
		plan:     p,
		networks: slices.Sorted(maps.Keys(p.Networks)),
		reported: map[reportKey]int{},
		owners:   make(map[netip.Addr]owner, 3*len(p.Nodes)),
		orders:   map[string]order{},
		disks:    map[string]bool{},
		systems:  map[string]System{},
	}
	c.checkSite()
	c.checkAccess()
	c.checkNetworks()
	c.checkProvision()
	c.checkDiscovery()
	c.checkImages()
	c.checkRepositories()
	c.checkWebhooks()
	c.checkOpenStack()
	c.checkRoles()
	c.checkBMC("bmc", p.BMC)
	c.checkNodes()
	return c.finish()
}

type reportKey struct{ id, path string }

type checker struct {
	plan     *Plan
	networks []string // names in order, so that findings come in the same order every time
	findings []Finding
	repeats  []int // of findings, by index
	reported map[reportKey]int
	owners   map[netip.Addr]owner
	orders   map[string]order
	systems  map[string]System // by image
	disks    map[string]bool   // roles whose disks and hardware were looked at together
}

// owner is who has an address; node is nil for servers and gateways.
type owner struct {
	node  *Node
	what  string
	fixed bool // nobody else can have it, as a node may be a site's name server
}

func (o owner) String() string {
	if o.node == nil {
		return o.what
	}
	return fmt.Sprintf("%s of %s", o.what, o.node.Name)
}

func (c *checker) fail(id, path, fix, format string, args ...any) {
	c.report(SeverityError, id, path, fix, format, args...)
}

func (c *checker) warn(id, path, fix, format string, args ...any) {
	c.report(SeverityWarning, id, path, fix, format, args...)
}

func (c *checker) report(severity Severity, id, path, fix, format string, args ...any) {
	key := reportKey{id, path}
	if i, ok := c.reported[key]; ok {
		c.repeats[i]++
		return
	}
	c.reported[key] = len(c.findings)
	c.findings = append(c.findings, Finding{ID: id, Severity: severity, Path: path, Message: fmt.Sprintf(format, args...), Fix: fix})
	c.repeats = append(c.repeats, 0)
}

func (c *checker) finish() []Finding {
	for i, n := range c.repeats {
		if n > 0 {
			c.findings[i].Message += fmt.Sprintf(" (and %d more like it)", n)
		}
	}
	return c.findings
}

func (c *checker) checkSite() {
	p := c.plan
	if p.Site == "" {
		c.warn("site-name-missing", "site", "give the site a name: site: guangzhou-a", "the plan does not name its site")
	} else if !printable(p.Site) {
		c.fail("site-name-malformed", "site", "use letters, digits and hyphens", "the site name %q does not print", p.Site)
	}
	if p.Domain != "" && !validDomain(p.Domain) {
		c.fail("domain-malformed", "domain", "use lower-case labels joined by dots: gz.example.net", "%q is not a domain name", p.Domain)
	}
	for _, v := range []struct{ key, value, example string }{
		{"timezone", p.Locale.Timezone, "Asia/Shanghai"},
		{"language", p.Locale.Language, "zh_CN.UTF-8"},
		{"keyboard", p.Locale.Keyboard, "us"},
	} {
		if !onlyOf(v.value, "_+-./@,()") {
			c.fail("locale-malformed", "locale."+v.key, "write it like "+v.example, "the %s %q has a character that no %s has", v.key, v.value, v.key)
		}
	}
	if zone := p.Locale.Timezone; zone != "" && zone != "UTC" && (!strings.Contains(zone, "/") || strings.HasSuffix(zone, "/Beijing")) {
		c.warn("timezone-unknown", "locale.timezone", "use the IANA name, as `timedatectl list-timezones` has it: Asia/Shanghai for all of China", "%q is no Area/City that installers know", zone)
	}
	if len(p.Nodes) == 0 {
		c.warn("no-nodes", "nodes", "add the machines under nodes", "the plan names no machine")
	}
}

func (c *checker) checkAccess() {
	a := c.plan.Access
	if !ValidRoot(a.Root) {
		c.fail("root-not-hashed", "access.root", "write locked, or the output of `openssl passwd -6`", "access.root is neither locked nor a crypt hash")
	}
	if len(a.SSHKeys) == 0 && (a.Root == "" || a.Root.Reveal() == RootLocked) {
		c.warn("no-login", "access", "add a public key under access.ssh_keys", "no SSH key is planned and root is locked: nobody can log in to an installed node")
	}
	for i, key := range a.SSHKeys {
		path := fmt.Sprintf("access.ssh_keys[%d]", i)
		if !printable(key) {
			c.fail("ssh-key-malformed", path, "give one key per list item, on one line", "SSH key %d has a line break or another control character", i+1)
		} else if err := checkSSHKey(key); err != nil {
			c.warn("ssh-key-unparsable", path, "paste the whole line of the .pub file", "SSH key %d: %v", i+1, err)
		}
	}
}

func (c *checker) checkImages() {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Images)) {
		m, path := c.plan.Images[name], "images."+name
		if !onlyOf(name, "._-") || name == "" {
			c.fail("image-name-malformed", path, "use letters, digits, dots, hyphens", "%q is not usable as the name of an image", name)
		}
		if m.File == "" {
			c.fail("image-file-missing", path, "add file: NAME.iso", "image %s names no file", name)
		} else if !printable(m.File) {
			c.fail("image-file-malformed", path+".file", "give the name of the ISO file", "the file name of image %s does not print", name)
		}
		c.checkURL(path+".mirror", "the mirror of image "+name, m.Mirror)
		c.checkKey(path+".mirror_key", "the key of the mirror of image "+name, m.MirrorKey)
		if m.Mirror != "" && m.MirrorKey == "" {
			c.warn("repository-unsigned", path, "add mirror_key: file:///etc/pki/rpm-gpg/NAME, or the URL of the signing key", "packages of the mirror of image %s are installed without a signature", name)
		}
		if m.SHA256 != "" && !lowerHex(m.SHA256, 64) {
			c.fail("image-sha256-malformed", path+".sha256", "paste the output of sha256sum: 64 lower-case hex digits", "the sha256 of image %s is not a SHA-256 digest", name)
		}
	}
}

func (c *checker) checkRepositories() {
	for _, name := range slices.Sorted(maps.Keys(c.plan.Repositories)) {
		r, path := c.plan.Repositories[name], "repositories."+name
		if !onlyOf(name, "._-") || name == "" {
			c.fail("repository-name-malformed", path, "use letters, digits, dots, hyphens", "%q is not usable as the name of a repository", name)
		}
		if r.URL == "" {
			c.fail("repository-without-url", path, "add url: http://SERVER/PATH", "repository %s has no URL", name)
		}
		c.checkURL(path+".url", "repository "+name, r.URL)
		c.checkKey(path+".key", "the key of repository "+name, r.Key)
		if r.URL != "" && r.Key == "" {
			c.warn("repository-unsigned", path, "add key: URL of the signing key", "packages of repository %s are installed without a signature", name)
		}
		for i, image := range r.Images {
			c.checkImageName(fmt.Sprintf("%s.images[%d]", path, i), image)
		}
		if !onlyOf(r.Suite, "._-/ ") {
			c.fail("repository-suite-malformed", path+".suite", "write it like trixie, or trixie main contrib", "the suite of repository %s has a character that no suite has", name)
		}
	}
}

// checkKey also takes a key that the installed system brings with it.
func (c *checker) checkKey(path, what, text string) {
	if file, ok := strings.CutPrefix(text, "file://"); ok && strings.HasPrefix(file, "/") && onlyOf(file, "/._-") {
		return
	}
	c.checkURL(path, what, text)
}

// checkURL looks at an address that installed nodes use after the laptop has
// gone.
func (c *checker) checkURL(path, what, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.ContainsAny(text, " '\"`$\\") || !printable(text) {
		c.fail("url-malformed", path, "write http://ADDRESS/PATH, without a password in it", "the URL of %s is none", what)
		return
	}
	if loopback(u.Hostname()) {
		c.fail("url-is-loopback", path, "write the address that nodes reach it at", "%s is at %s: that is each node itself", what, u.Host)
	}
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (a.IsLoopback() || a.IsUnspecified())
}

// suggestion names the known word that is nearest to what was written, or all.
func suggestion(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return "did you mean " + near + "?"
	}
	return "use one of: " + strings.Join(known, ", ")
}
