package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
)

func newDHCPCommand(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use: "dhcp", Short: "What the daemon does with DHCP, and what keeps it from more",
		Example: "  rackseed dhcp status\n  rackseed dhcp resume",
	}
	c.AddCommand(&cobra.Command{
		Use: "status", Short: "How DHCP is served, and why it is not", Args: cobra.NoArgs, Example: "  rackseed dhcp status --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return withDaemon(c.Context(), g, func(cl *client.Client) error {
				st, err := cl.Status(c.Context())
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, st.Serving)
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s on %v\n%s", st.Serving.DHCP, st.Serving.Interfaces, line(st.Serving.Note))
				return err
			})
		},
	}, &cobra.Command{
		Use: "resume", Short: "Give addresses again, if the other DHCP server is gone", Args: cobra.NoArgs, Example: "  rackseed dhcp resume",
		Long: `Give addresses again that were withheld because another DHCP server spoke. The wire is listened to first,
for some 12 seconds; while the other server answers, nothing changes. Without this command the daemon looks
by itself, five minutes after it last heard the other server.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return withDaemon(c.Context(), g, func(cl *client.Client) error {
				if err := cl.ResumeDHCP(c.Context()); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), "addresses are given")
				return err
			})
		},
	})
	return c
}

func line(s string) string {
	if s == "" {
		return ""
	}
	return s + "\n"
}
