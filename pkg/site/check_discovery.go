package site

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ruleHole is a place in the name of a rule, with its width if it has one.
var ruleHole = regexp.MustCompile(`\{([1-9])(?::([1-9]))?\}`)

func (c *checker) checkDiscovery() {
	d := c.plan.Discovery
	switch d.Wiring {
	case WiringDefault, WiringWarn, WiringEnforce, WiringOff:
	default:
		c.fail("wiring-unknown", "discovery.wiring", "use warn, enforce or off", "%q does not say what a wrong cable does", d.Wiring)
	}
	c.checkDiscoveryImage(d)
	if d.Strangers && c.plan.Provision.DHCP == DHCPServer && c.plan.Provision.Pool.IsZero() {
		c.fail("discovery-without-pool", "discovery.strangers", "add pool: FIRST-LAST under provision", "machines that the plan does not name are to be discovered, but there is no address for them")
	}
	if len(d.Rules) > 0 && !d.Strangers {
		c.warn("discovery-rules-idle", "discovery.rules", "add strangers: true", "no machine is discovered that a rule could adopt")
	}
	for i, r := range d.Rules {
		c.checkRule(fmt.Sprintf("discovery.rules[%d]", i), r.String(i), r)
	}
}

func (c *checker) checkDiscoveryImage(d Discovery) {
	switch _, known := c.plan.Images[d.Image]; {
	case d.Image == "" && d.Strangers:
		c.fail("discovery-without-image", "discovery", "add image: NAME, one under images", "the discovery runs in the kernel of an image, and the plan does not say which")
	case d.Image != "" && !known && len(c.plan.Images) > 0:
		c.fail("image-unknown", "discovery.image", "use one of the names under images", "discovery.image names %q, which is not under images", d.Image)
	}
}

// String is a rule in messages: its title, or its number in the file.
func (r DiscoveryRule) String(i int) string {
	if r.Title != "" {
		return strconv.Quote(r.Title)
	}
	return strconv.Itoa(i + 1)
}

func (c *checker) checkRule(path, title string, r DiscoveryRule) {
	if r.Match.IsZero() {
		c.fail("rule-matches-all", path, "add match: with switch and port, serial, model or disks", "rule %s would adopt every machine on the wire", title)
	}
	if _, ok := c.plan.Roles[r.Role]; !ok {
		c.fail("role-unknown", path+".role", "name one under roles", "rule %s gives role %q, which is not under roles", title, r.Role)
	}
	texts := append([]string{r.Match.Switch, r.Match.Port, r.Match.Model, r.Title, r.Rack}, r.Match.Serial...)
	if slices.ContainsFunc(texts, func(t string) bool { return !printable(t) }) || r.Match.Disks < 0 {
		c.fail("rule-malformed", path, "use text that prints, and a count of disks", "rule %s does not print", title)
	}
	c.checkRuleName(path, title, r)
}

// checkRuleName tries the name with ones in its holes.
func (c *checker) checkRuleName(path, title string, r DiscoveryRule) {
	at, stars := path+".name", r.Match.stars()
	for _, text := range []string{r.Name, r.Rack} {
		for _, hole := range ruleHole.FindAllStringSubmatch(text, -1) {
			if n, _ := strconv.Atoi(hole[1]); n > stars {
				c.fail("rule-hole-unknown", at, "write a star in match for each hole", "rule %s has %s, and its match has %d stars", title, hole[0], stars)
				return
			}
		}
	}
	filled := ruleHole.ReplaceAllString(r.Name, "1")
	names, err := Expand(filled)
	switch {
	case r.Name == "":
		c.fail("hostname-missing", path, "add name: cs-computer-[0001-0512], or with {1} for what a star stood for", "rule %s gives no name", title)
	case err != nil:
		c.fail("range-malformed", at, "a range is written cs-computer-[0001-0512]", "the name of rule %s: %v", title, err)
	case strings.ContainsAny(filled, "{}") || !validLabel(names[0]):
		c.fail("hostname-malformed", at, "use lower-case letters, digits and hyphens, and holes such as {1} or {1:2}", "%q of rule %s is not a host name", r.Name, title)
	}
}

// stars counts what the match can hand to the name. Each of several serial
// numbers must have as many.
func (m DiscoveryMatch) stars() int {
	n := strings.Count(m.Switch, "*") + strings.Count(m.Port, "*") + strings.Count(m.Model, "*")
	least := 0
	for i, s := range m.Serial {
		if k := strings.Count(s, "*"); i == 0 || k < least {
			least = k
		}
	}
	return n + least
}
