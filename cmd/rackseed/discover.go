package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/discovery/agents"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// agentLookup finds the discovery agents of this build; nil if there are none.
func (c *core) agentLookup() func(arch string, ramdisk bool) ([]byte, bool) {
	set, err := agents.Open()
	if err == nil && len(set.Missing()) < 2 {
		return set.Lookup
	}
	if d := c.ledger.State().Settings.Discovery; d.Strangers || d.Image != "" {
		c.log.Warn("this build has no discovery agent, so no machine can be looked at: build it with `make`")
	}
	return nil
}

func newNodeAdoptCommand(g *globals) *cobra.Command {
	req := view.NodeRequest{}
	var addresses map[string]string
	c := &cobra.Command{
		Use: "adopt MAC|SERIAL", Short: "Make a machine that was seen a node of the plan", Args: cobra.ExactArgs(1),
		Long: `Make a machine that was seen on the wire a node of the plan. What its discovery found comes
along: all its MACs, serial number, UUID, hardware. Nothing is armed: that takes ` + "`rackseed install`" + `.
The node stays when a plan is applied that does not name its machine; ` + "`rackseed plan export -o FILE.yaml`" + `
writes it into the plan file.`,
		Example: "  rackseed node adopt 52:54:00:12:34:66 --name cs-computer-0513 --role compute\n  rackseed node adopt 2102311TUF10K8000513 --name cs-computer-0513 --role compute --rack A33 --u 12 --bmc 10.21.2.1 --address provision=10.20.3.1",
		RunE: func(c *cobra.Command, args []string) error {
			if req.Name == "" || req.Role == "" {
				return usageError("say what it becomes: --name HOSTNAME --role ROLE")
			}
			req.Who, req.By = args[0], operatorName()
			for network, text := range addresses {
				a, err := netip.ParseAddr(text)
				if err != nil {
					return usageError("--address %s=%s: %w", network, text, err)
				}
				if req.Addresses == nil {
					req.Addresses = map[string]netip.Addr{}
				}
				req.Addresses[network] = a
			}
			return withClient(c.Context(), g, func(cl *client.Client) error {
				n, err := cl.AdoptNode(c.Context(), req)
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, n)
				}
				fmt.Fprintf(c.OutOrStdout(), "%s is a node of the plan: %s. To install it: rackseed install %s\n", n.Name, n.Why, n.Name)
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&req.Name, "name", "", "host name")
	f.StringVar(&req.Role, "role", "", "role, one of the plan's")
	f.StringVar(&req.Rack, "rack", "", "rack")
	f.IntVar(&req.U, "u", 0, "height unit")
	f.StringVar(&req.BMC, "bmc", "", "address of its BMC (default: what the discovery found)")
	f.StringVar(&req.Image, "image", "", "image, if not the role's")
	f.StringToStringVar(&addresses, "address", nil, "`NETWORK=ADDRESS`; may be repeated")
	return c
}

func newNodeSetCommand(g *globals) *cobra.Command {
	var role, rack, bmc, image, mac string
	var u int
	c := &cobra.Command{
		Use: "set NODE", Short: "Change a node that was adopted", Args: cobra.ExactArgs(1),
		Long:    "Change a node that was adopted. What stands in a plan file is changed there, and applied.",
		Example: "  rackseed node set cs-computer-0513 --rack A33 --u 12 --bmc 10.21.2.1",
		RunE: func(c *cobra.Command, args []string) error {
			req := view.NodeChange{By: operatorName()}
			for flag, f := range map[string]struct {
				from *string
				to   **string
			}{"role": {&role, &req.Role}, "rack": {&rack, &req.Rack}, "bmc": {&bmc, &req.BMC}, "image": {&image, &req.Image}} {
				if c.Flags().Changed(flag) {
					*f.to = f.from
				}
			}
			if c.Flags().Changed("u") {
				req.U = &u
			}
			if mac != "" {
				var err error
				if req.AddMAC, err = site.ParseMAC(mac); err != nil {
					return usageError("--add-mac: %w", err)
				}
			}
			if req == (view.NodeChange{By: req.By}) {
				return usageError("say what to change: --role, --rack, --u, --bmc, --image or --add-mac")
			}
			return withClient(c.Context(), g, func(cl *client.Client) error {
				n, err := cl.ChangeNode(c.Context(), args[0], req)
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, n)
				}
				printNode(c.OutOrStdout(), n)
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&role, "role", "", "role, one of the plan's")
	f.StringVar(&rack, "rack", "", "rack")
	f.IntVar(&u, "u", 0, "height unit")
	f.StringVar(&bmc, "bmc", "", "address of its BMC")
	f.StringVar(&image, "image", "", "image, if not the role's")
	f.StringVar(&mac, "add-mac", "", "`MAC` of another port of it: a NIC that was exchanged or added")
	return c
}

func newNodeRemoveCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "remove NODE|MAC", Short: "Take a node that was adopted out of the plan, or a stranger off the list", Args: cobra.ExactArgs(1),
		Long: `Take a node that was adopted out of the plan, or a machine that was merely seen off the list. It
comes back to the list when it is seen again. A node of the plan file is removed there.`,
		Example: "  rackseed node remove cs-computer-0513\n  rackseed node remove 52:54:00:12:34:66",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				if err := cl.RemoveNode(c.Context(), args[0], operatorName()); err != nil {
					return err
				}
				if g.json {
					return printJSON(c, map[string]string{"removed": args[0]})
				}
				fmt.Fprintf(c.OutOrStdout(), "%s is removed\n", args[0])
				return nil
			})
		},
	}
}

func newNodeDiscoverCommand(g *globals) *cobra.Command {
	var window time.Duration
	c := &cobra.Command{
		Use: "discover NODE", Short: "Look at a node when it next boots from the network, once", Args: cobra.ExactArgs(1),
		Long: `Look at a node when it next boots from the network, once: its hardware, its disks, its cables. Nothing
is written to its disks, and afterwards it boots what it would have booted. A node that is armed or
being installed is not looked at.`,
		Example: "  rackseed node discover cs-computer-0007\n  rackseed bootdev set cs-computer-0007 pxe --once && rackseed power cycle cs-computer-0007",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				n, err := cl.DiscoverNode(c.Context(), args[0], view.DiscoverRequest{By: operatorName(), For: window})
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, n)
				}
				fmt.Fprintf(c.OutOrStdout(), "%s is looked at when it next boots from the network\n", n.Name)
				return nil
			})
		},
	}
	c.Flags().DurationVar(&window, "for", 0, "how long to wait for its boot (default 4h)")
	return c
}

func newNodeCablingCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "cabling [SELECTOR]", Short: "Compare cables with the plan, and name the wrong ones", Args: cobra.MaximumNArgs(1),
		Long: `Compare what machines saw at the ends of their cables (LLDP, link, speed, MTU, gateways) with the plan.
They look when they are discovered and, where the plan has switch ports, before an install touches a disk.`,
		Example: "  rackseed node cabling\n  rackseed node cabling rack=A03 --json",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				list, err := cl.Cabling(c.Context(), strings.Join(args, ""))
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, list)
				}
				return printCabling(c.OutOrStdout(), list)
			})
		},
	}
}

func printCabling(w io.Writer, list []view.Cabling) error {
	var rows [][]string
	var findings []string
	unseen := 0
	for _, c := range list {
		if c.Source == "" {
			unseen++
			continue
		}
		for _, p := range c.Ports {
			rows = append(rows, []string{c.Node, orDash(p.Name), p.MAC.String(), orDash(p.Link), speed(p.Speed), at(p.Neighbour), at(p.Planned)})
		}
		for _, f := range c.Findings {
			findings = append(findings, c.Node+": "+f.Text)
		}
	}
	if len(rows) > 0 {
		if err := table(w, []string{"NODE", "PORT", "MAC", "LINK", "MBIT/S", "IS IN", "PLAN"}, rows); err != nil {
			return err
		}
	}
	for _, f := range findings {
		fmt.Fprintln(w, f)
	}
	switch {
	case unseen > 0:
		_, err := fmt.Fprintf(w, "%d nodes were not looked at yet: `rackseed node discover NODE`, then boot them from the network.\n", unseen)
		return err
	case len(findings) == 0 && len(rows) > 0:
		_, err := fmt.Fprintln(w, "Every cable that the plan names is in its place.")
		return err
	}
	return nil
}

func speed(mbits int) string {
	if mbits == 0 {
		return "-"
	}
	return fmt.Sprint(mbits)
}

func at(n site.Neighbour) string { return orDash(strings.TrimSpace(n.Switch + " " + n.Port)) }

// printFound prints what was found of a machine.
func printFound(i *site.Inventory, line func(key, value string)) {
	h := i.Hardware
	line("model", strings.TrimSpace(i.Manufacturer+" "+i.Model))
	line("firmware", strings.TrimSpace(i.Firmware+" "+h.Boot))
	if h.CPUs() > 0 {
		line("cpu", fmt.Sprintf("%d sockets, %d cores each, %d threads each, %d NUMA nodes", h.Sockets, h.Cores, h.Threads, max(len(h.NUMA), 1)))
	}
	if h.Memory > 0 {
		line("memory", fmt.Sprintf("%d GiB", h.Memory>>30))
	}
	for _, d := range h.Disks {
		line("disk", strings.Join(slices.DeleteFunc([]string{size(d.Size), d.Model, label("serial", d.Serial), label("wwn", d.WWN), d.ByPath}, func(s string) bool { return s == "" }), ", "))
	}
	for _, n := range i.NICs {
		words := []string{n.MAC.String(), n.Path, n.Driver, label("link", n.Link)}
		if n.Speed > 0 {
			words = append(words, fmt.Sprintf("%d Mbit/s", n.Speed))
		}
		if n.Neighbour.Switch != "" {
			words = append(words, "in "+at(n.Neighbour))
		}
		line("port "+n.Name, strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), ", "))
	}
	if i.BMC.Address.IsValid() || i.BMC.MAC != (site.MAC{}) {
		address := ""
		if i.BMC.Address.IsValid() {
			address = i.BMC.Address.String()
		}
		line("bmc", strings.TrimSpace(cmp.Or(address, "no address")+" "+i.BMC.MAC.String()))
	}
	line("found by", string(i.Source)+" at "+clock(i.At))
}

func label(what, value string) string {
	if value == "" {
		return ""
	}
	return what + " " + value
}

// foundWords is a machine in one line of the log.
func foundWords(i site.Inventory) string {
	return fmt.Sprintf("%s, serial %s, %d disks, %d ports", cmp.Or(strings.TrimSpace(i.Manufacturer+" "+i.Model), "unknown model"), orDash(i.Serial), len(i.Hardware.Disks), len(i.NICs))
}
