package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/bmc/job"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

func newBMCCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "bmc", Short: "Passwords of BMCs, and which BMC is whose",
		Example: "  rackseed bmc password role=compute --generate --canary 1\n  rackseed bmc forget cs-computer-0020",
	}
	c.AddCommand(newBMCPasswordCommand(g), newBMCForgetCommand(g))
	return c
}

func newBMCPasswordCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	var generate, show bool
	var file string
	c := &cobra.Command{
		Use: "password SELECTOR --generate", Short: "Give BMCs passwords of their own, or a given one",
		Long: `Change the password of the user that logs in, and prove it by logging in with the new one. A new password is
sealed and on record before it is sent: whatever happens, one of the two that are on record opens the BMC,
and the next command finds out which. With --generate each BMC gets one of its own, of 16 bytes, which is what
IPMI 1.5 takes. It is used from then on in place of the plan's; --show prints it for a person.
BMCs that want their password changed before anything else are served, too.`,
		Example: `  rackseed bmc password role=compute --generate --canary 1 --max-failures 2
  rackseed bmc password --bmc '10.21.0.[11-42]' --user admin --password-file old --generate
  rackseed bmc password rack=A03 --new-password-file new
  rackseed bmc password cs-computer-0020 --show`,
	}
	f.add(c)
	p := c.Flags()
	p.BoolVar(&generate, "generate", false, "a password of its own for each BMC")
	p.StringVar(&file, "new-password-file", "", "`FILE` whose first line is the new password; - is the standard input")
	p.BoolVar(&show, "show", false, "print the passwords that are on record, and change nothing")
	f.direct.addTries(p)
	words := func(args []string) ([]string, error) {
		switch {
		case len(args) > 0:
			return nil, fmt.Errorf("it takes no %q", args[0])
		case show && !generate && file == "":
			return []string{"password", "generate"}, nil
		case f.resume != "" && !generate && file == "":
			return []string{"password", "generate"}, nil
		case generate == (file != ""):
			return nil, errors.New("which password? give --generate, or --new-password-file FILE")
		case generate:
			return []string{"password", "generate"}, nil
		default:
			return []string{"password", "given"}, nil
		}
	}
	c = f.command(g, c, job.Access, words)
	change := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if show {
			return f.showPasswords(c, g, args)
		}
		if file != "" && !f.dryRun {
			text, err := readSecret(c.Context(), c, file)
			if err != nil {
				return err
			}
			f.newPassword = site.Secret(text)
		}
		return change(c, args)
	}
	return c
}

// knownPassword is what is on record of a BMC's password.
type knownPassword struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Username string `json:"username"`
	Password string `json:"password"`
	Note     string `json:"note,omitempty"`
}

// otherPasswords says what else may open the BMC.
func otherPasswords(next, before site.Secret) string {
	var words []string
	if next != "" {
		words = append(words, "or, if that is refused: "+next.Reveal())
	}
	if before != "" {
		words = append(words, "before that: "+before.Reveal())
	}
	return strings.Join(words, "; ")
}

// showPasswords prints what the state directory has sealed.
func (f *bmcFlags) showPasswords(c *cobra.Command, g *globals, args []string) error {
	known, err := f.knownPasswords(c, g, args)
	if err != nil {
		return err
	}
	if len(known) == 0 {
		return errors.New("no password of these BMCs was set by `rackseed bmc password`")
	}
	if g.json {
		return printJSON(c, known)
	}
	cells := make([][]string, 0, len(known))
	for _, k := range known {
		cells = append(cells, []string{k.Name, k.Address, k.Username, orDash(k.Password), orDash(k.Note)})
	}
	return table(c.OutOrStdout(), []string{"NAME", "BMC", "USER", "PASSWORD", "NOTE"}, cells)
}

func (f *bmcFlags) knownPasswords(c *cobra.Command, g *globals, args []string) ([]knownPassword, error) {
	if f.direct.bmcs == "" {
		return passwordsOfNodes(c, g, args[0])
	}
	addresses, err := splitAddresses(f.direct.bmcs)
	if err != nil {
		return nil, usageError("--bmc: %w", err)
	}
	return passwordsOfAddresses(&fileVault{dir: g.state}, addresses)
}

// passwordsOfAddresses are those of BMCs that no plan names.
func passwordsOfAddresses(v *fileVault, addresses []string) ([]knownPassword, error) {
	all, err := v.read()
	if err != nil {
		return nil, err
	}
	var known []knownPassword
	for _, a := range addresses {
		t := targetAt(a, all[a].Username)
		password, next, err := v.look(t)
		if err != nil {
			return nil, err
		}
		if password == "" && next == "" {
			continue
		}
		before, err := v.box.Open(all[a].Before)
		if err != nil {
			return nil, err
		}
		known = append(known, knownPassword{a, a, t.Username, password.Reveal(), otherPasswords(next, site.Secret(before))})
	}
	return known, nil
}

// passwordsOfNodes are those of the plan's machines.
func passwordsOfNodes(c *cobra.Command, g *globals, selector string) ([]knownPassword, error) {
	box, err := seal.Open(filepath.Join(g.state, "key"))
	if err != nil {
		return nil, err
	}
	s, err := stateFromLog(c, g)
	if err != nil {
		return nil, err
	}
	sel, err := site.ParseSelector(selector)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	machines, err := s.Select(sel)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	var known []knownPassword
	for _, m := range machines {
		a, ok := s.Access.Get(m.Node.Name)
		if !ok || a.Password == "" && a.Next == "" {
			continue
		}
		password, err1 := box.Open(a.Password)
		next, err2 := box.Open(a.Next)
		before, err3 := box.Open(a.Before)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("the password of %s: %w", m.Node.Name, err)
		}
		known = append(known, knownPassword{m.Node.Name, s.BMCOf(m).Address, a.Username, password, otherPasswords(site.Secret(next), site.Secret(before))})
	}
	return known, nil
}

// stateFromLog folds the log of a daemon, or of its state directory.
func stateFromLog(c *cobra.Command, g *globals) (*site.State, error) {
	s := site.NewState()
	err := withClient(c.Context(), g, func(cl *client.Client) error {
		for e, err := range cl.Events(c.Context(), 0) {
			if err == nil {
				err = s.Apply(e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return s, err
}

func newBMCForgetCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "forget SELECTOR", Short: "Use again what the plan says of BMCs, in place of what was learned", Args: cobra.ExactArgs(1),
		Long: `Have nodes use the address, the user and the password that the plan has for their BMCs. What was set with
` + "`rackseed bmc password`" + ` stays set at the BMC: print it first with --show.`,
		Example: "  rackseed bmc password cs-computer-0020 --show\n  rackseed bmc forget cs-computer-0020",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				nodes, err := cl.Nodes(c.Context(), args[0])
				if err != nil {
					return err
				}
				forgotten := 0
				for _, n := range nodes {
					err := cl.ForgetBMC(c.Context(), n.Name, operatorName())
					if p := (*client.Error)(nil); errors.As(err, &p) && p.Code == "not-found" {
						continue
					}
					if err != nil {
						return err
					}
					forgotten++
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%d of %d nodes use what the plan says of their BMCs.\n", forgotten, len(nodes))
				return err
			})
		},
	}
}
