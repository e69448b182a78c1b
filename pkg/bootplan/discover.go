package bootplan

import (
	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/cabling"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/site"
)

// The paths of the discovery on the machine side.
const (
	// AgentInit is where the agent lies in its ramdisk: the kernel starts it
	// in place of the image's own init.
	AgentInit = "/rackseed/discover"
	agentCPIO = "/boot/discover-"
)

// AgentPath is where the agent for an architecture is served, x86_64 or
// aarch64: as a ramdisk, or as the program alone.
func AgentPath(arch string, ramdisk bool) string {
	if ramdisk {
		return agentCPIO + arch + ".cpio"
	}
	return agentCPIO + arch
}

// DiscoveryURL is where the agent of one boot reports and asks. Node is empty
// for a stranger.
func DiscoveryURL(base string, mac site.MAC, node, token string) string {
	if node == "" {
		node = "-"
	}
	return base + "/discover/" + mac.Hyphens() + "/" + node + "/" + token
}

// discovery is the image's kernel and initrd with the agent behind them.
func discovery(d boot.Decision, mac site.MAC, server ipxe.Server, token string) ipxe.Boot {
	node := ""
	if d.Node != nil {
		node = d.Node.Name
	}
	args := []string{
		"rdinit=" + AgentInit, "rackseed.url=" + DiscoveryURL(server.HTTP, mac, node, token), "rackseed.mac=" + mac.String(),
	}
	if tree := answer.ModuleIndex(d.Image); tree != "" {
		args = append(args, "rackseed.modules="+imageURL(server, d.Image, tree))
	}
	// A kernel without an init stops; this one tries again.
	args = append(args, "panic=30", "console=tty0", "console="+answer.Console(d.Image))
	return ipxe.Boot{
		Decision: d, Args: args, Kernel: imageURL(server, d.Image, d.Image.Kernel), Initrd: imageURL(server, d.Image, d.Image.Initrd),
		Agent: server.HTTP + AgentPath(d.Image.Arch, true),
	}
}

// wiring is what a wrong cable does to an install of a node. Nobody looks
// where the plan says nothing of its cables.
func wiring(s *site.State, n *site.Node) site.Wiring {
	w := s.Settings.Discovery.Wiring
	switch {
	case w == site.WiringOff || !cabling.Planned(&s.Settings, n):
		return ""
	case w == site.WiringDefault:
		return site.WiringWarn
	}
	return w
}
