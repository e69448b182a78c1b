package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rackseed/rackseed/pkg/login"
)

func newOperatorCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "operator", Short: "Who may log in to the page from elsewhere",
		Long: `Who may log in to the page and the API where ` + "`rackseed serve --operator`" + ` listens on an address that others
reach. A viewer reads; an operator does everything. On this machine nobody has to log in. What is changed here
holds at once, also for those who are logged in.`,
		Example: "  rackseed operator add wei\n  rackseed operator add wall --role viewer --password-file FILE\n  rackseed operator list",
	}
	var role, file string
	add := &cobra.Command{
		Use: "add NAME", Short: "Give somebody a password, or another one, or another role", Args: cobra.ExactArgs(1), Example: "  rackseed operator add wei --role operator",
		RunE: func(c *cobra.Command, args []string) error {
			password, err := newPassword(c, file)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(g.state, 0o700); err != nil {
				return fmt.Errorf("making the state directory: %w; give a writable one with --state DIR", err)
			}
			if err := operatorsOf(g.state).Set(args[0], login.Role(role), password); err != nil {
				return usageError("%w", err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is %s\n", args[0], role)
			return err
		},
	}
	add.Flags().StringVar(&role, "role", string(login.Admin), "viewer or operator")
	add.Flags().StringVar(&file, "password-file", "", "`FILE` whose first line is the password; - is the standard input")
	c.AddCommand(add, &cobra.Command{
		Use: "list", Short: "Print the operators", Args: cobra.NoArgs, Example: "  rackseed operator list --json",
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := operatorsOf(g.state).List()
			if err != nil {
				return err
			}
			rows, plain := [][]string{}, []map[string]string{}
			for _, o := range all {
				rows = append(rows, []string{o.Name, string(o.Role)})
				plain = append(plain, map[string]string{"name": o.Name, "role": string(o.Role)})
			}
			if g.json {
				return printJSON(c, plain)
			}
			return table(c.OutOrStdout(), []string{"NAME", "ROLE"}, rows)
		},
	}, &cobra.Command{
		Use: "remove NAME", Short: "Take a password away", Args: cobra.ExactArgs(1), Example: "  rackseed operator remove wei",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := operatorsOf(g.state).Remove(args[0]); err != nil {
				return usageError("%w", err)
			}
			return nil
		},
	})
	return c
}

// newPassword asks twice, so that a slip of a finger locks nobody out.
func newPassword(c *cobra.Command, file string) (string, error) {
	if file != "" {
		return readSecret(c.Context(), c, file)
	}
	in, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usageError("there is no terminal to ask for the password: give it with --password-file FILE, or - for the standard input")
	}
	var words [2]string
	for i, prompt := range []string{"New password: ", "Again: "} {
		fmt.Fprint(c.ErrOrStderr(), prompt)
		data, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(c.ErrOrStderr())
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		words[i] = string(data)
	}
	if words[0] != words[1] {
		return "", usageError("the passwords differ: nothing was changed")
	}
	return words[0], nil
}
