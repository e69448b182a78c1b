// Package answer writes an Intent down in the words of an installer: a
// kickstart for the RHEL family, a preseed for Debian. All of them carry the
// same generated tuning script, so what is tested once holds everywhere. The
// package is pure: the same target gives the same bytes.
package answer

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/rackseed/rackseed/pkg/profile"
	"github.com/rackseed/rackseed/pkg/site"
)

// Kind is an installer's language.
type Kind string

// The kinds.
const (
	Kickstart Kind = "kickstart"
	Preseed   Kind = "preseed"
)

// Masked stands in the place of a secret in documents for people.
const Masked = "[masked]"

// KindOf says which language the installer of a media family speaks.
func KindOf(family string) (Kind, error) {
	switch family {
	case "rhel", "openeuler", "kylin":
		return Kickstart, nil
	case "debian":
		return Preseed, nil
	case "ubuntu":
		return Autoinstall, nil
	default:
		return "", fmt.Errorf("no answer file can be written for %s media yet: use media of the RHEL family, openEuler, Kylin, Debian or Ubuntu", family)
	}
}

// Target is one install of one node: what it must be, from what, and where
// its installer finds this daemon.
type Target struct {
	Intent  *profile.Intent
	Image   site.Image
	Attempt int
	MAC     site.MAC // of the NIC that boots, zero if not known yet
	Base    string   // of the machine side, http://10.20.0.1:8080
	Token   string   // the capability of this attempt
	Root    string   // RootLocked, or a crypt(5) hash, or a mask in its place

	// Syslog is where the installer sends its log; zero means nowhere.
	Syslog netip.AddrPort

	// Site names the plan's site; what is computed for a node is another at
	// another site.
	Site string

	// Wiring is what a wrong cable does to this install; empty leaves the cables
	// alone.
	Wiring site.Wiring

	// Medium says that the answer lies on a medium, beside the installer's
	// own packages: there is no daemon to fetch from or to report to.
	Medium bool
}

// AnswerURL is where the installer fetches a file of this attempt.
func (t *Target) AnswerURL(file string) string { return t.Base + "/answer/" + t.Token + "/" + file }

// ReportURL is where a stage of this attempt is reported.
func (t *Target) ReportURL(stage string) string { return t.Base + "/report/" + t.Token + "/" + stage }

// ImageURL is where a file of the image is served.
func (t *Target) ImageURL(path string) string {
	return t.Base + "/images/" + t.Image.Digest + "/" + path
}

// File is one document that an installer fetches.
type File struct {
	Name string // below /answer/<token>/
	Type string // media type
	Data []byte
}

// Answers is what an attempt serves. The first file is the one that the
// kernel's arguments point at.
type Answers struct {
	Kind  Kind
	Files []File
	Args  []string // kernel arguments, without initrd=
}

// Render writes the answer files of a target.
func Render(t *Target) (Answers, error) {
	kind, err := KindOf(t.Image.Family)
	if err != nil {
		return Answers{}, err
	}
	if err := plainHTTP(t.Base); err != nil && !t.Medium {
		return Answers{}, err
	}
	var a Answers
	switch kind {
	case Kickstart:
		a, err = renderKickstart(t)
	case Autoinstall:
		a, err = renderAutoinstall(t)
	default:
		a, err = renderPreseed(t)
	}
	if err != nil {
		return Answers{}, err
	}
	return a, fitsKernel(a.Args)
}

// Arguments gives the kernel arguments of Render, without the files.
func Arguments(t *Target) ([]string, error) {
	kind, err := KindOf(t.Image.Family)
	if err != nil {
		return nil, err
	}
	if err := plainHTTP(t.Base); err != nil {
		return nil, err
	}
	var args []string
	switch kind {
	case Kickstart:
		var d dialect
		if d, err = dialectOf(t.Image); err == nil {
			args, err = kickstartArgs(t, d)
		}
	case Autoinstall:
		args, err = autoinstallArgs(t)
	default:
		args, err = preseedArgs(t)
	}
	if err != nil {
		return nil, err
	}
	return args, fitsKernel(args)
}

// longestCommandLine is what kernels of both architectures keep, COMMAND_LINE_SIZE
// less the NUL; what follows is cut off without a word.
const longestCommandLine = 2048 - 1

// fitsKernel leaves room for the initrd= that boot loaders add.
func fitsKernel(args []string) error {
	if n := len(strings.Join(args, " ")) + len(" initrd=initrd.magic"); n > longestCommandLine {
		return fmt.Errorf("the kernel's command line has %d bytes, and the kernel keeps %d: shorten the names in it", n, longestCommandLine)
	}
	return nil
}

// plainHTTP refuses a base that is more than a scheme and an authority:
// paths are put behind it, and Debian's installer takes it apart.
func plainHTTP(base string) error {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || base != "http://"+u.Host {
		return fmt.Errorf("the machine side is at %q: it must be http://ADDRESS:PORT", base)
	}
	return nil
}
