package dhcp

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// Asker is a client that somebody asks about: what its firmware would say.
type Asker struct {
	MAC  site.MAC
	Arch uint16 // option 93
	HTTP bool   // UEFI HTTP boot
	IPXE bool
}

// Explain gives the reply that such a client's DISCOVER would get now, field
// by field and byte by byte, and why. The text is empty when it would get
// none.
func Explain(s *site.State, cfg Config, p Asker, now time.Time) (text, why string) {
	req := p.request()
	a := Decide(s, cfg, &req, now)
	why = a.Why
	if !strings.HasSuffix(why, a.BootWhy) { // some end with it
		why += "; " + a.BootWhy
	}
	if a.Reply == nil {
		return "", why
	}
	return a.Reply.Text() + "\n" + hex.Dump(a.Reply.Append(nil)), why
}

func (p Asker) request() Request {
	r := Request{Type: TypeDiscover, HType: 1, MAC: p.MAC, Arch: p.Arch, HasArch: true, IPXE: p.IPXE, MaxSize: maxDatagram, Class: []byte(classPXE)}
	if p.Arch == ipxe.ArchX64HTTP || p.Arch == ipxe.ArchARM64HTTP || p.HTTP {
		r.Class = []byte(classHTTP)
	}
	return r
}
