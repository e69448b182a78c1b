package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
)

func newMediaCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "media", Short: "Insert and eject virtual media",
		Long: `Have the BMC offer an ISO to its machine as a CD: one at a URL, or an image of the library, which a daemon
serves under the name that ` + "`rackseed image list`" + ` shows. A daemon also says whether the BMC came for it.
With --boot, the machine is told to boot it once and power-cycled, and the medium is ejected when the machine
restarts or goes off.`,
		Example: "  rackseed media insert cs-computer-0020 rocky9 --boot\n  rackseed media insert rack=A03 http://192.0.2.5/firmware.iso\n  rackseed media eject rack=A03",
	}
	f.add(c)
	var boot bool
	var keep time.Duration
	insert := f.command(g, &cobra.Command{
		Use: "insert SELECTOR IMAGE|URL", Short: "Insert an image of the library or the medium at a URL, in place of what is there",
		Example: "  rackseed media insert cs-computer-0020 rocky9\n  rackseed media insert cs-computer-0020 rocky9 --boot --keep 2h\n  rackseed media insert --bmc 10.21.0.11 http://192.0.2.5/firmware.iso --user admin --password-file FILE",
	}, "media", func(args []string) ([]string, error) {
		switch {
		case len(args) != 1:
			return nil, errors.New("give the name of one image, or one URL as the BMC reaches it")
		case keep != 0 && !boot:
			return nil, errors.New("--keep goes with --boot")
		case keep != 0:
			return []string{"insert", args[0], "boot=" + keep.String()}, nil
		case boot:
			return []string{"insert", args[0], "boot"}, nil
		}
		return []string{"insert", args[0]}, nil
	})
	insert.Flags().BoolVar(&boot, "boot", false, "boot it once: power-cycle the machine, and eject when it is done")
	insert.Flags().DurationVar(&keep, "keep", 0, "with --boot: eject after this `TIME` at the latest (default 1h)")
	c.AddCommand(
		f.command(g, &cobra.Command{
			Use: "get SELECTOR", Short: "Say what is in the virtual drives", Example: "  rackseed media get rack=A03",
		}, "media", noWords("get")),
		insert,
		f.command(g, &cobra.Command{
			Use: "eject SELECTOR", Short: "Empty the virtual drives", Example: "  rackseed media eject rack=A03",
		}, "media", noWords("eject")),
	)
	return c
}
