package ipxe

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/site"
)

// The scripts below /boot/. BootstrapName is the same for every machine;
// NodeName takes what the machine says of itself as its query.
const (
	BootstrapName = "boot.ipxe"
	NodeName      = "node.ipxe"
)

// identityQuery is what iPXE tells of the machine. netX is the NIC that was
// opened last, which is the one that reached us.
const identityQuery = "mac=${netX/mac}&uuid=${uuid}&serial=${serial:uristring}&arch=${buildarch}&platform=${platform}"

// Bootstrap is the script that every iPXE gets first, and that autoexec.ipxe
// holds. It brings a link up, waits for one that comes late (spanning tree
// keeps a port silent for 30 to 50 s), and asks for the machine's own script.
// After about four minutes without an answer it gives the machine back to
// its firmware, so that an installed machine still starts.
func Bootstrap(s Server) string {
	return lines(
		"#!ipxe",
		"echo Rackseed: asking "+s.HTTP+" what to do",
		"set tries:int32 0",
		"isset ${netX/ip} && goto ask ||",
		":link",
		"dhcp && goto ask ||",
		"inc tries",
		"iseq ${tries} 8 && goto giveup ||",
		"echo Rackseed: no link or no address yet (try ${tries} of 8). A switch port in spanning tree",
		"echo stays silent for up to 50 seconds; check the cable, the port and its VLAN if this goes on.",
		"sleep 5",
		"goto link",
		":ask",
		"chain --replace "+s.HTTP+"/boot/"+NodeName+"?"+identityQuery+" ||",
		"inc tries",
		"iseq ${tries} 8 && goto giveup ||",
		"echo Rackseed: "+s.HTTP+" did not answer (try ${tries} of 8). Is the laptop awake, its cable in,",
		"echo and its firewall open for HTTP from here?",
		"sleep 5",
		"goto ask",
		":giveup",
		"echo Rackseed: giving up; the firmware goes on to its next boot entry.",
		"sleep 3",
		"exit 1",
	)
}

// Boot is a decision with the URLs that an install needs.
type Boot struct {
	boot.Decision
	Kernel string // URL
	Initrd string // URL
	Agent  string // URL of a second initrd, with Discover
	Args   []string
}

// Script is what one machine's iPXE is told to do.
func Script(b Boot, s Server) string {
	switch b.Action {
	case boot.Install:
		return installScript(b, s)
	case boot.Discover:
		return discoverScript(b, s)
	case boot.Hold:
		return holdScript(b, s)
	default:
		return localScript(b)
	}
}

func installScript(b Boot, s Server) string {
	// The name of the initrd is repeated among the arguments because the
	// EFI stub of kernels before 5.8 finds it only by that name.
	args := strings.Join(append([]string{"initrd=initrd.img"}, b.Args...), " ")
	return lines(
		"#!ipxe",
		fmt.Sprintf("echo Rackseed: %s: install attempt %d from %s", text(b.Node.Name), b.Attempt, text(b.Image.Name)),
		"set tries:int32 0",
		":kernel",
		"imgfree",
		"kernel --name vmlinuz "+b.Kernel+" "+args+" || goto again",
		"initrd --name initrd.img "+b.Initrd+" || goto again",
		"echo Rackseed: starting the installer",
		"boot ||",
		":again",
		"inc tries",
		"iseq ${tries} 5 && goto ask ||",
		"echo Rackseed: the installer did not load (try ${tries} of 5). Check the link and the memory of",
		"echo this machine; the next try follows in 5 seconds.",
		"sleep 5",
		"goto kernel",
		":ask",
		"echo Rackseed: asking again what to do",
		"chain --replace "+s.HTTP+"/boot/"+NodeName+"?"+identityQuery+" || exit 1",
	)
}

// discoverScript starts an image's kernel with the agent in the place of its
// installer. iPXE hands the initrds to the kernel one behind the other, and
// names them together initrd.magic for EFI stubs that ask by name.
func discoverScript(b Boot, s Server) string {
	name := "this machine"
	if b.Node != nil {
		name = text(b.Node.Name)
	}
	args := strings.Join(append([]string{"initrd=initrd.magic"}, b.Args...), " ")
	return lines(
		"#!ipxe",
		"echo Rackseed: "+name+" is looked at, from "+text(b.Image.Name)+"; nothing is written to its disks",
		"set tries:int32 0",
		":kernel",
		"imgfree",
		"kernel --name vmlinuz "+b.Kernel+" "+args+" || goto again",
		"initrd --name initrd.img "+b.Initrd+" || goto again",
		"initrd --name discover.img "+b.Agent+" || goto again",
		"boot ||",
		":again",
		"inc tries",
		"iseq ${tries} 5 && goto ask ||",
		"echo Rackseed: the discovery did not load (try ${tries} of 5). Check the link and the memory of",
		"echo this machine; the next try follows in 5 seconds.",
		"sleep 5",
		"goto kernel",
		":ask",
		"chain --replace "+s.HTTP+"/boot/"+NodeName+"?"+identityQuery+" || exit 1",
	)
}

func holdScript(b Boot, s Server) string {
	name := "this machine"
	if b.Node != nil {
		name = text(b.Node.Name)
	}
	return lines(
		"#!ipxe",
		"echo Rackseed: "+name+" waits for an operator.",
		"echo Why: "+text(b.Why),
		"echo On the laptop: rackseed explain "+name,
		"sleep 20",
		"chain --replace "+s.HTTP+"/boot/"+NodeName+"?"+identityQuery+" || exit 1",
	)
}

// localScript ends iPXE. It exits with an error because a UEFI boot manager
// shows its menu after a boot entry that returns success, and tries the next
// entry after one that fails (UEFI 2.10 section 3.1.1).
func localScript(b Boot) string {
	name := "this machine"
	if b.Node != nil {
		name = text(b.Node.Name)
	}
	say := "echo Rackseed: " + name + " starts from its disk (" + text(b.Why) + ")"
	if b.LocalBoot != site.LocalSanboot {
		return lines("#!ipxe", say, "exit 1")
	}
	return lines(
		"#!ipxe",
		say,
		"iseq ${platform} efi && goto efi ||",
		"sanboot --no-describe --drive 0x80 || exit 1",
		":efi",
		"sanboot --no-describe --drive 0 || exit 1",
	)
}

// text makes a value fit to be echoed: iPXE expands ${}, and reads ||, &&, #
// at the start of a word and a backslash at the end as syntax.
func text(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r > '~':
			return ' '
		case strings.ContainsRune("$|&#\\", r):
			return '.'
		default:
			return r
		}
	}, s)
}

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }
