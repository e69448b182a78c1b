package main

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/boot"
	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/dhcp"
	"github.com/rackseed/rackseed/pkg/ipxe"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
	"github.com/rackseed/rackseed/profiles"
)

// explainer says what a machine would be told, with the functions that would
// tell it.
type explainer struct {
	server ipxe.Server
	mode   site.DHCPMode // empty means what the plan says
	box    *seal.Box
	syslog uint16 // port that installers log to; zero means none
}

// tokenMask stands where the token of a running attempt would: whoever reads
// an explanation must not be able to fetch the answer file.
const tokenMask = "TOKEN"

func (x *explainer) compose(secrets bool) *bootplan.Composer {
	c := &bootplan.Composer{Profiles: profiles.Files, Root: x.box.Open, Syslog: x.syslog}
	if !secrets {
		c.Root = x.masked
	}
	return c
}

// masked hides a password hash. That root is locked is no secret, and a
// document that hid it would not be what is served.
func (x *explainer) masked(s site.Secret) (string, error) {
	root, err := x.box.Open(s)
	if err != nil || root == site.RootLocked || root == "" {
		return root, err
	}
	return answer.Masked, nil
}

// nodesLike names the node that was meant, or what there is.
func nodesLike(s *site.State, who string) string {
	var names []string
	for _, m := range s.Machines() {
		names = append(names, m.Node.Name)
	}
	if near, ok := site.Nearest(who, names); ok {
		return "did you mean " + near + "?"
	}
	switch len(names) {
	case 0:
		return "the plan has no nodes"
	case 1:
		return "the plan has " + names[0]
	default:
		return fmt.Sprintf("the plan has %d, from %s to %s", len(names), names[0], names[len(names)-1])
	}
}

func find(s *site.State, who string) (*site.Machine, site.MAC, error) {
	if m, ok := s.Machine(who); ok {
		var mac site.MAC
		if len(m.Node.MACs) > 0 {
			mac = m.Node.MACs[0]
		}
		return m, mac, nil
	}
	mac, err := site.ParseMAC(who)
	if err != nil {
		return nil, mac, fmt.Errorf("%q is neither a node of the plan nor a MAC address: %s", who, nodesLike(s, who))
	}
	m, err := boot.Identify(s, boot.Identity{MAC: mac})
	return m, mac, err
}

func (x *explainer) explain(s *site.State, who string, now time.Time) (view.Explanation, error) {
	m, mac, err := find(s, who)
	if err != nil {
		return view.Explanation{}, err
	}
	d := boot.For(s, m, now)
	e := view.Explanation{Who: who, Action: string(d.Action), Why: d.Why}
	if m != nil {
		e.Node, e.State = m.Node.Name, string(m.Phase)
		for _, claim := range m.Claims {
			e.Why += "; refused: " + claim.Reason
		}
	} else if _, claim, ok := s.RefusedClaim(mac); ok {
		e.Why += "; refused: " + claim.Reason
	}
	e.Steps = x.packets(s, mac, now)
	switch {
	case m != nil:
		e.Steps = append(e.Steps, x.switches(s, m.Node)...)
	case d.Action != boot.Discover:
		return e, nil
	}
	plan, err := x.compose(false).Compose(s, m, d, mac, x.server, tokenMask)
	if err != nil {
		e.Steps = append(e.Steps, view.Step{Title: "iPXE script", Why: err.Error()})
		return e, nil
	}
	e.Steps = append(e.Steps, view.Step{Title: "iPXE script", Text: plan.Script})
	for _, f := range plan.Answers.Files {
		e.Steps = append(e.Steps, view.Step{Title: "answer file " + f.Name, Text: string(f.Data)})
	}
	return e, nil
}

// firmwares are the clients whose answers an explanation shows.
func firmwares() []struct {
	title string
	asker dhcp.Asker
} {
	return []struct {
		title string
		asker dhcp.Asker
	}{
		{"DHCP, BIOS PXE", dhcp.Asker{Arch: ipxe.ArchBIOS}},
		{"DHCP, UEFI PXE", dhcp.Asker{Arch: ipxe.ArchX64}},
		{"DHCP, UEFI HTTP boot", dhcp.Asker{Arch: ipxe.ArchX64HTTP, HTTP: true}},
		{"DHCP, iPXE", dhcp.Asker{Arch: ipxe.ArchX64, IPXE: true}},
	}
}

func (x *explainer) packets(s *site.State, mac site.MAC, now time.Time) []view.Step {
	var steps []view.Step
	for _, f := range firmwares() {
		f.asker.MAC = mac
		text, why := dhcp.Explain(s, dhcp.Config{ServerID: x.addr(s), HTTP: x.server.HTTP, Mode: x.mode}, f.asker, now)
		steps = append(steps, view.Step{Title: f.title, Why: why, Text: text})
	}
	return steps
}

// addr is our address; without a daemon, one that the plan could give us.
func (x *explainer) addr(s *site.State) netip.Addr {
	if x.server.Addr.IsValid() {
		return x.server.Addr
	}
	network, _ := s.Settings.ProvisionNetwork()
	if network.Gateway.IsValid() {
		return network.Gateway
	}
	return network.Subnet.Addr().Next()
}

// render writes one document of a node: what its next attempt would be
// served, whether or not it is armed.
func (x *explainer) render(s *site.State, name, as string, secrets bool) (string, error) {
	m, mac, err := find(s, name)
	if err != nil {
		return "", err
	}
	if m == nil {
		return "", fmt.Errorf("the plan has no node %s", name)
	}
	if kind, system, _ := strings.Cut(as, ":"); kind == bundleKind {
		return x.bundle(s, m.Node, system)
	}
	if as == overlayKind || as == liveKind {
		return x.live(s, m.Node, mac, as)
	}
	d := boot.Decision{Action: boot.Install, Node: m.Node, Attempt: m.Attempt.Number + 1, Image: imageFor(s, m.Node, as)}
	if as == "dhcp" {
		var b strings.Builder
		for _, step := range x.packets(s, mac, time.Now()) {
			fmt.Fprintf(&b, "## %s: %s\n%s\n", step.Title, step.Why, step.Text)
		}
		return b.String(), nil
	}
	plan, err := x.compose(secrets).Compose(s, m, d, mac, x.server, tokenMask)
	if err != nil {
		return "", err
	}
	switch {
	case as == "ipxe":
		return plan.Script, nil
	case as == "grub":
		return grubMenu(plan.Boot)
	case as == "" || as == string(plan.Answers.Kind):
		var b strings.Builder
		for i, f := range plan.Answers.Files {
			if i > 0 {
				fmt.Fprintf(&b, "\n##### %s #####\n", f.Name)
			}
			b.Write(f.Data)
		}
		return b.String(), nil
	default:
		return "", fmt.Errorf("there is no --as %s for %s, which installs by %s: use --as %s, bundle, ipxe, grub or dhcp", as, name, plan.Answers.Kind, plan.Answers.Kind)
	}
}

// imageFor is the node's image, or, before it was added to the library, one
// that has everything a document shows but its content.
func imageFor(s *site.State, n *site.Node, as string) site.Image {
	name := s.Settings.ImageOf(n)
	if i, ok := s.Images.Get(name); ok {
		return i
	}
	of := s.Settings.SystemOf(name)
	i := site.Image{Name: name, Digest: "IMAGE", Distro: cmp.Or(of.Distro, "rocky"), Version: of.Version, Arch: cmp.Or(of.Arch, "x86_64"), Repos: []string{"."}}
	if other, ok := map[string]string{string(answer.Kickstart): "rocky", string(answer.Preseed): "debian", string(answer.Autoinstall): "ubuntu"}[as]; ok {
		if kind, err := answer.KindOf(familyOf(i.Distro)); err != nil || string(kind) != as {
			i.Distro, i.Version = other, ""
		}
	}
	i.Family = familyOf(i.Distro)
	switch i.Family {
	case "debian":
		i.Version, i.Kernel, i.Initrd = cmp.Or(i.Version, "13"), "linux", "initrd.gz"
	case "ubuntu":
		i.Version, i.Kernel, i.Initrd = cmp.Or(i.Version, "24.04"), "casper/vmlinuz", "casper/initrd"
	default:
		i.Version = cmp.Or(i.Version, map[string]string{"rhel": "9", "openeuler": "24.03", "kylin": "V10"}[i.Family])
		i.Kernel, i.Initrd, i.Stage2 = "images/pxeboot/vmlinuz", "images/pxeboot/initrd.img", "images/install.img"
		if i.Family == "rhel" {
			i.Repos = []string{"BaseOS", "AppStream"}
		}
	}
	return i
}

// familyOf is the family of media that a distribution is installed from.
func familyOf(distro string) string {
	switch distro {
	case "debian", "ubuntu", "openeuler", "kylin":
		return distro
	default:
		return "rhel"
	}
}

// stateOfPlan is the state that applying a plan file to nothing gives.
func stateOfPlan(name string, box *seal.Box) (*site.State, error) {
	data, err := readPlanFile(name)
	if err != nil {
		return nil, err
	}
	own, err := siteProfiles(name)
	if err != nil {
		return nil, err
	}
	plan, digest, findings := readPlan(offlineChecker(), name, data, own)
	if plan == nil || hasErrors(findings) {
		return nil, usageError("the plan is not usable: `rackseed plan check %s` says why", name)
	}
	plan.Access.Root = box.Seal(plan.Access.Root)
	s := site.NewState()
	for _, b := range site.Diff(s, plan, digest, "") {
		if err := s.Apply(site.Event{Seq: s.Seq + 1, At: time.Now().UTC(), Body: b}); err != nil {
			return nil, fmt.Errorf("applying the plan: %w", err)
		}
	}
	return s, nil
}

// offline explains from a plan file alone.
func offline(plan string) (*site.State, *explainer, error) {
	box, err := seal.Ephemeral()
	if err != nil {
		return nil, nil, err
	}
	s, err := stateOfPlan(plan, box)
	if err != nil {
		return nil, nil, err
	}
	x := &explainer{box: box}
	x.server = ipxe.Server{Addr: x.addr(s), HTTP: "http://SERVER:8080"}
	return s, x, nil
}

func newExplainCommand(g *globals) *cobra.Command {
	var plan string
	var profile bool
	var at uint64
	c := &cobra.Command{
		Use: "explain NODE|MAC", Short: "What this machine would be told now, and why", Args: cobra.ExactArgs(1),
		Example: "  rackseed explain cs-controller-01\n  rackseed explain 52:54:00:12:34:56 --plan site.yaml\n  rackseed explain cs-controller-01 --at 1207\n  rackseed explain cs-computer-0001 --profile",
		RunE: func(c *cobra.Command, args []string) error {
			if profile {
				return explainProfile(c, g, args[0], plan)
			}
			if plan != "" && at > 0 {
				return usageError("--at is a moment of the log, and --plan knows no log")
			}
			if plan != "" {
				s, x, err := offline(plan)
				if err != nil {
					return err
				}
				e, err := x.explain(s, args[0], time.Now())
				if err != nil {
					return usageError("%w", err)
				}
				return printExplanation(c, g, e)
			}
			if at > 0 {
				return withClient(c.Context(), g, func(cl *client.Client) error {
					e, err := cl.ExplainAt(c.Context(), args[0], at)
					if err != nil {
						return err
					}
					return printExplanation(c, g, e)
				})
			}
			return withWire(c, g, func(cl *client.Client) error {
				e, err := cl.Explain(c.Context(), args[0])
				if err != nil {
					return err
				}
				return printExplanation(c, g, e)
			})
		},
	}
	c.Flags().StringVar(&plan, "plan", "", "answer from this plan file alone")
	c.Flags().Uint64Var(&at, "at", 0, "say what it was told behind event `SEQ` of the log; rackseed events has the numbers")
	c.Flags().BoolVar(&profile, "profile", false, "say what the node must be, and where each value came from")
	return c
}

func printExplanation(c *cobra.Command, g *globals, e view.Explanation) error {
	if g.json {
		return printJSON(c, e)
	}
	w := c.OutOrStdout()
	if e.Seq > 0 {
		fmt.Fprintf(w, "Behind event %d, at %s:\n", e.Seq, e.At.Local().Format(time.DateTime))
	}
	fmt.Fprintf(w, "%s: %s\n  because: %s\n", orElse(e.Node, e.Who), e.Action, e.Why)
	for _, step := range e.Steps {
		fmt.Fprintf(w, "\n== %s\n", step.Title)
		if step.Why != "" {
			fmt.Fprintln(w, "   "+step.Why)
		}
		indent(w, step.Text)
	}
	return nil
}

func indent(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprint(w, "   ", line)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		fmt.Fprintln(w)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func newRenderCommand(g *globals) *cobra.Command {
	var plan, as, out string
	var secrets bool
	write := func(c *cobra.Command, node, text string) error {
		switch {
		case g.json && as == overlayKind:
			return usageError("an overlay is no text for JSON: write it to a file with -o FILE")
		case g.json && out == "":
			return printJSON(c, map[string]string{"node": node, "as": as, "text": text})
		}
		return deliver(c, text, out, as)
	}
	c := &cobra.Command{
		Use: "render NODE", Short: "Write what would be served to a node", Args: cobra.ExactArgs(1),
		Example: "  rackseed render cs-controller-01 --as kickstart --plan site.yaml\n  rackseed render cs-controller-01 --as ipxe",
		RunE: func(c *cobra.Command, args []string) error {
			if plan != "" {
				s, x, err := offline(plan)
				if err != nil {
					return err
				}
				text, err := x.render(s, args[0], as, secrets)
				if err != nil {
					return usageError("%w", err)
				}
				return write(c, args[0], text)
			}
			return withClient(c.Context(), g, func(cl *client.Client) error {
				text, err := cl.Render(c.Context(), args[0], as, secrets)
				if err != nil {
					return err
				}
				return write(c, args[0], text)
			})
		},
	}
	c.Flags().StringVar(&plan, "plan", "", "answer from this plan file alone")
	c.Flags().StringVar(&as, "as", "", "kickstart, preseed, autoinstall, bundle, overlay, live, ipxe, grub or dhcp (default: the node's answer file)")
	c.Flags().StringVarP(&out, "output", "o", "", "write to this file, not to standard output")
	c.Flags().BoolVar(&secrets, "secrets", false, "do not mask secrets")
	return c
}
