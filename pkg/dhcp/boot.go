package dhcp

import (
	"net/netip"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// discoveryOff is option 43 with discovery control bit 3 (PXE 2.1 table 2-1):
// take the boot file of this offer, look for no boot server, show no menu.
func discoveryOff() []byte { return []byte{pxeControl, 1, 8, optEnd} }

// noProxyWait is option 175 with "no-pxedhcp" (ipxe.org/cfg/no-pxedhcp):
// iPXE need not wait seconds for a proxyDHCP offer.
func noProxyWait() []byte { return []byte{ipxeNoProxy, 1, 1} }

// bootFile asks boot.For, and finds the file that carries out what it says.
func (d *decision) bootFile() (string, bool) {
	if !d.req.NetBoot() {
		return "", false
	}
	what := boot.For(d.s, d.m, d.now)
	if what.Action == boot.Ignore {
		return "", false
	}
	d.a.Action, d.a.BootWhy = what.Action, what.Why
	file, ok := ipxe.BootFile(d.req.Client(), what, ipxe.Server{Addr: d.cfg.ServerID, HTTP: d.cfg.HTTP})
	if !ok {
		return "", false
	}
	d.a.FirstStage = !d.req.IPXE
	return file, true
}

// boot adds the boot file to a server's reply.
func (d *decision) boot(r *Reply) {
	if d.req.IPXE {
		r.Etherboot = noProxyWait()
	}
	file, ok := d.bootFile()
	if !ok {
		return
	}
	r.BootFile, r.SIAddr = file, d.cfg.ServerID
	switch {
	case d.req.HTTP():
		// UEFI 2.10 section 24.7.3.1: an offer without it is not for HTTP boot.
		r.Class = classHTTP
	case d.req.PXE():
		r.Class, r.Vendor = classPXE, discoveryOff()
	}
}

// proxy gives boot files beside the network's own DHCP server.
func (d *decision) proxy() {
	q := d.req
	d.came()
	switch {
	case d.fullAnswer():
	case q.Type == TypeDiscover:
		d.proxyReply(TypeOffer)
	case q.Type == TypeRequest && q.ServerID.IsValid() && d.ours(q.ServerID):
		d.proxyReply(TypeACK)
	default:
		d.silent("addresses are the other server's business")
	}
}

// fullAnswer serves a machine that takes nothing less as a network's own DHCP
// server would, and nobody else. It says no to nobody: what the other server
// promised may be true.
func (d *decision) fullAnswer() bool {
	if d.m == nil {
		return false
	}
	rung, _ := d.rung()
	if _, ok := d.bootFile(); ok && d.climbs() && d.req.Type == TypeDiscover {
		rung = d.climb()
	}
	if rung != site.RungFull {
		return false
	}
	d.server()
	if d.a.Reply == nil {
		return true
	}
	d.a.Why += "; it takes no boot file beside another server, so it alone is given its address, too"
	if d.a.Reply.Type == TypeNAK {
		d.silent("another server may have given it this address")
	}
	return true
}

// bootServer answers at port 4011, where UEFI firmware asks the server whose
// proxy offer it took, and PXE boot server discovery ends (PXE 2.1 section
// 2.2.5).
func (d *decision) bootServer() {
	switch d.req.Type {
	case TypeDiscover:
		d.proxyReply(TypeOffer)
	case TypeRequest, TypeInform:
		d.proxyReply(TypeACK)
	default:
		d.silent("only PXE questions are answered at this port")
	}
}

func (d *decision) proxyReply(kind MessageType) {
	q := d.req
	if d.m == nil {
		if what := boot.For(d.s, nil, d.now); what.Action == boot.Ignore {
			d.silent(what.Why)
			return
		}
	}
	if !q.PXE() && !q.HTTP() {
		d.silent("it does not ask for a boot file")
		return
	}
	file, ok := d.bootFile()
	if !ok {
		d.silent("no boot file for it: " + d.a.BootWhy)
		return
	}
	d.a.Why = "boot file beside the other server's address"
	r := d.reply(kind, netip.Addr{})
	r.BootFile, r.SIAddr, r.MachineID = file, d.cfg.ServerID, q.MachineID
	r.Class = classPXE
	switch {
	case q.HTTP():
		r.Class = classHTTP
	case q.IPXE:
		r.Vendor = discoveryOff()
	default:
		d.proxyFirmware(r)
	}
}

// proxyFirmware tells PXE firmware of its file in the way that it takes.
func (d *decision) proxyFirmware(r *Reply) {
	rung, bios := site.RungPlain, !d.req.HasArch || d.req.Arch == ipxe.ArchBIOS
	if bios {
		rung = site.RungBypass
	}
	if d.climbs() {
		rung = d.climb()
		d.a.Why += " (" + string(rung) + ", " + d.a.RungWhy + ")"
	}
	switch item := d.bootItem(); {
	case item != nil:
		r.Vendor = item
	case rung == site.RungBypass, d.req.BootServer && bios:
		r.Vendor = discoveryOff()
	case rung == site.RungBootServer && !d.req.BootServer:
		r.BootFile = ""
	}
}

// bootItem echoes the boot server type of a PXE discovery question.
func (d *decision) bootItem() []byte {
	if !d.req.BootServer {
		return nil
	}
	for o := d.req.Vendor; len(o) >= 2 && o[0] != optEnd && len(o) >= 2+int(o[1]); o = o[2+int(o[1]):] {
		if o[0] == pxeBootItem && o[1] == 4 {
			return append(append([]byte{}, o[:6]...), optEnd)
		}
	}
	return nil
}
