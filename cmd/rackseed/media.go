package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newMediaCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "media", Short: "Insert and eject virtual media",
		Long: `Have the BMC offer an ISO at a URL to its machine as a CD. To boot it: insert it, then
` + "`rackseed bootdev set SELECTOR cd --once`, then `rackseed power cycle SELECTOR`" + `.`,
		Example: "  rackseed media insert cs-computer-0020 http://10.20.0.5:8080/images/IMAGE.iso\n  rackseed media eject rack=A03",
	}
	f.add(c)
	c.AddCommand(
		f.command(g, &cobra.Command{
			Use: "get SELECTOR", Short: "Say what is in the virtual drives", Example: "  rackseed media get rack=A03",
		}, "media", noWords("get")),
		f.command(g, &cobra.Command{
			Use: "insert SELECTOR URL", Short: "Insert the medium at a URL, in place of what is there",
			Example: "  rackseed media insert cs-computer-0020 http://10.20.0.5:8080/images/IMAGE.iso",
		}, "media", func(args []string) ([]string, error) {
			if len(args) != 1 {
				return nil, errors.New("give one URL, as the BMC reaches it")
			}
			return []string{"insert", args[0]}, nil
		}),
		f.command(g, &cobra.Command{
			Use: "eject SELECTOR", Short: "Empty the virtual drives", Example: "  rackseed media eject rack=A03",
		}, "media", noWords("eject")),
	)
	return c
}
