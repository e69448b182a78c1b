package answer

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// The labels by which installers find a volume with answers, with no argument
// of the kernel.
const (
	OEMDRV = "OEMDRV" // anaconda: /ks.cfg
	CIDATA = "CIDATA" // cloud-init: /user-data and /meta-data
)

// Candidate is a node that a medium is for.
type Candidate struct {
	Target *Target
	MACs   []site.MAC
	Serial string // of the machine, from DMI
}

// Medium arranges answers on a volume of its own, to be attached beside the
// vendor's installation medium. With several candidates the machine finds
// itself by a MAC or by its serial number. Nothing on it needs this daemon.
func Medium(candidates []Candidate) (label string, files []File, err error) {
	if len(candidates) == 0 {
		return "", nil, errors.New("no node to put on the medium: name one, or a role that has some")
	}
	for _, c := range candidates {
		c.Target.Medium = true
	}
	switch kind, err := KindOf(candidates[0].Target.Image.Family); {
	case err != nil:
		return "", nil, err
	case kind == Kickstart && len(candidates) == 1:
		return one(OEMDRV, candidates[0])
	case kind == Kickstart:
		files, err := kickstarts(candidates)
		return OEMDRV, files, err
	case kind == Autoinstall && len(candidates) == 1:
		return one(CIDATA, candidates[0])
	case kind == Autoinstall:
		return "", nil, fmt.Errorf("the installer of Ubuntu takes the answers of one node from a volume, not of %d: build one for each with --node", len(candidates))
	default:
		return "", nil, errors.New("the installer of Debian looks for no volume with answers: install over the network, or install by hand and run the bundle of the node")
	}
}

func one(label string, c Candidate) (string, []File, error) {
	a, err := Render(c.Target)
	return label, a.Files, err
}

// kickstarts puts the answers of several nodes beside a kickstart that finds
// out which of them this machine is.
func kickstarts(candidates []Candidate) ([]File, error) {
	s := newScript("Rackseed finds out which node of the plan this machine is.")
	s.say("set -u", "", "# nodes COMMAND runs it for each node: its files, its name, its serial number, its MACs.", "nodes() {")
	var files []File
	for n, c := range candidates {
		if kind, err := KindOf(c.Target.Image.Family); err != nil || kind != Kickstart {
			return nil, fmt.Errorf("%s is not installed by kickstart, as others are: build a medium for each image", c.Target.Intent.Node)
		}
		serial := strings.TrimSpace(c.Serial)
		if site.JunkSerial(serial) {
			serial = ""
		}
		if serial == "" && len(c.MACs) == 0 {
			return nil, fmt.Errorf("%s has neither mac nor serial in the plan, so its machine could not be told from others: add one", c.Target.Intent.Node)
		}
		a, err := Render(c.Target)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Target.Intent.Node, err)
		}
		// File names of plain ISO 9660 are too short for some host names.
		name := fmt.Sprintf("%04d", n+1)
		args := []string{name, c.Target.Intent.Node, serial}
		for _, mac := range c.MACs {
			args = append(args, mac.String())
		}
		s.call("serial", "\t\"$1\"", args...)
		rest, pre := withoutPre(string(a.Files[0].Data))
		files = append(files, File{Name: "nodes/" + name + ".cfg", Type: a.Files[0].Type, Data: []byte(rest)},
			File{Name: "nodes/" + name + ".sh", Type: shellType, Data: []byte(pre)})
	}
	s.say("}")
	s.piece("medium-node")
	text, err := s.text()
	if err != nil {
		return nil, err
	}
	k := &ks{}
	k.b.WriteString(fmt.Sprintf("# Rackseed: kickstarts of %d nodes.\n", len(candidates)))
	k.section("%pre --erroronfail --log=/tmp/rs-node.log", text)
	k.comment("%pre writes this once it knows the node; without it the install stops here.")
	k.command("%include", "/tmp/rackseed-node.ks")
	main := File{Name: "ks.cfg", Type: "text/plain; charset=utf-8", Data: []byte(k.b.String())}
	return append([]File{main}, files...), k.err
}

// withoutPre takes the %pre section out of a kickstart. In a file that is
// included anaconda would not run it: it is included only after %pre.
func withoutPre(text string) (rest, pre string) {
	var kept, taken strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "%pre "):
			inside = true
		case inside && strings.HasPrefix(line, "%end"):
			inside = false
		case inside:
			taken.WriteString(line)
		default:
			kept.WriteString(line)
		}
	}
	return kept.String(), taken.String()
}
