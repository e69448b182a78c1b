package answer

import (
	"fmt"
	"strings"
)

// Bundle writes one script for a system that somebody else installed: the
// packages, the tuning and the checks of a node, with a dry run, backups and
// a way back. It holds no secret, needs no network of ours, and never touches
// a disk. Of the image it takes the family, which the script insists on.
func Bundle(t *Target) ([]byte, error) {
	alone := *t
	alone.Base, alone.Token = "", "" // nobody waits for its reports
	i := t.Intent
	s := newScript(fmt.Sprintf("Rackseed makes an installed system what %s must be (role %s, profile %s): sh THIS --help.", i.Node, i.Role, i.Profile))
	names, err := packagesOf(t)
	if err != nil {
		return nil, err
	}
	s.piece("tune")
	tuneFunctions(s, &alone)
	bundleNetwork(s, &alone)
	s.say("")
	s.set("node", "name", i.Node)
	s.set("role", "role", i.Role)
	s.set("profile", "profile", i.Profile)
	s.set("family", "family", t.Image.Family)
	s.set("packages", "packages", strings.Join(names, " "))
	s.piece("bundle")
	text, err := s.text()
	return []byte(text), err
}

// bundleNetwork adds network_all and network_confirm.
func bundleNetwork(s *script, t *Target) {
	if changeNetwork(s, t) {
		return
	}
	const none = `stop 2 "the plan has no network for this role beyond the one that is there"`
	s.say("", "network_all() { "+none+"; }", "network_confirm() { "+none+"; }")
}
