package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
	"github.com/rackseed/rackseed/pkg/planfile"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/survey"
)

type doctorOptions struct {
	iface, plan, loaders string
	quick                bool
}

func newDoctorCommand(g *globals) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use: "doctor", Short: "Check this machine and the wire before anything is said on it", Args: cobra.NoArgs,
		Long: `Check ports and who holds them, the interface and its address and whether somebody else has it, other DHCP and
proxyDHCP servers, the firewall (nftables, iptables, firewalld, ufw), the disk, the clock, the boot loaders, and with
--plan the images. Each finding has a fix. The search for other DHCP servers sends
three DISCOVERs and listens for 12 seconds; it takes no lease.`,
		Example: "  rackseed doctor --interface enp3s0 --plan site.yaml\n  rackseed doctor --quick --json",
		RunE:    func(c *cobra.Command, _ []string) error { return runDoctor(c, g, o) },
	}
	c.Flags().StringVar(&o.iface, "interface", "", "the interface that is going to be served")
	c.Flags().StringVar(&o.plan, "plan", "", "check against the provisioning network of this plan")
	c.Flags().StringVar(&o.loaders, "loaders", "", "folder of iPXE loaders")
	c.Flags().BoolVar(&o.quick, "quick", false, "do not search for other DHCP servers")
	return c
}

func runDoctor(c *cobra.Command, g *globals, o doctorOptions) error {
	so := survey.Options{Interface: o.iface, StateDir: g.state, SkipSearch: o.quick}
	plan, err := planOf(o.plan)
	if err != nil {
		return err
	}
	settings := &plan.Settings
	so.Machines = len(plan.Nodes)
	if network, ok := settings.ProvisionNetwork(); ok {
		so.Subnet = network.Subnet
	}
	so.Server = settings.Provision.DHCP == site.DHCPServer
	_, noDaemon := client.Unix(g.socket()).Status(c.Context())
	so.Running = !errors.Is(noDaemon, client.ErrNoDaemon)
	findings := append(survey.Checks(c.Context(), so), checkLoaders(o.loaders))
	findings = append(findings, checkImages(c.Context(), g, settings)...)
	if g.json {
		err = printJSON(c, findings)
	} else {
		printFindings(c.OutOrStdout(), findings)
	}
	for _, f := range findings {
		if err == nil && f.Status == survey.Fail {
			return &exitError{status: exitFailed}
		}
	}
	return err
}

// planOf reads a plan; one without a name is empty.
func planOf(name string) (*site.Plan, error) {
	if name == "" {
		return &site.Plan{}, nil
	}
	data, err := readPlanFile(name)
	if err != nil {
		return nil, err
	}
	doc, err := planfile.Parse(name, data)
	if err != nil {
		return nil, usageError("%w", err)
	}
	return doc.Plan, nil
}

func checkLoaders(dir string) survey.Finding {
	set, err := loaders.Open(dir)
	if err != nil {
		return survey.Finding{ID: "loaders", Status: survey.Fail, What: "no boot loaders: " + err.Error(), Fix: "build with `make build`, or give the folder of Debian 13's ipxe package with --loaders /usr/lib/ipxe"}
	}
	if missing := set.Missing(); len(missing) > 0 {
		return survey.Finding{
			ID: "loaders", Status: survey.Fail, What: "boot loaders are missing: " + strings.Join(missing, ", "),
			Why: "machines boot iPXE first", Fix: "build with `make build`, which fetches them, or give the folder of Debian 13's ipxe package with --loaders /usr/lib/ipxe",
		}
	}
	return survey.Finding{ID: "loaders", Status: survey.OK, What: "boot loaders: " + strings.Join(set.Names(), ", "), Why: firstLine(set.Origin())}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

func printFindings(w io.Writer, findings []survey.Finding) {
	marks := map[survey.Status]string{survey.OK: "ok  ", survey.Warn: "warn", survey.Fail: "FAIL"}
	bad := 0
	for _, f := range findings {
		fmt.Fprintf(w, "%s  %s\n", marks[f.Status], f.What)
		if f.Status == survey.OK {
			continue
		}
		bad++
		if f.Why != "" {
			fmt.Fprintln(w, "      why:", f.Why)
		}
		if f.Fix != "" {
			fmt.Fprintln(w, "      fix:", f.Fix)
		}
	}
	fmt.Fprintf(w, "%d checks, %d to look at.\n", len(findings), bad)
}
