package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func newBIOSCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "bios", Short: "Look at, compare and set firmware settings (BIOS attributes)",
		Long: `Look at, compare and set the firmware settings of machines, by Redfish. What is wanted stands in the profile
of the role of each machine (bios:), or is given as NAME=VALUE. NAME is the vendor's, or one of virtualization,
iommu, sriov, hyperthreading, pxe (on, off), boot_mode (uefi, bios) and power_profile (performance, balanced),
which are translated for makes that Rackseed knows. Most settings take effect at the next reset; until then
they are shown as pending.`,
		Example: "  rackseed bios diff role=compute\n  rackseed bios set role=compute --canary 1 --reset\n  rackseed bios set cs-computer-0020 virtualization=on",
	}
	f.add(c)
	var reset bool
	words := func(first string) func([]string) ([]string, error) {
		return func(args []string) ([]string, error) {
			if len(args) == 0 && first != "get" && f.direct.bmcs != "" && f.profile == "" {
				return nil, fmt.Errorf("bios %s needs what is wanted: NAME=VALUE, such as virtualization=on, or --profile PROFILE", first)
			}
			if f.profile != "" && (len(args) > 0 || f.direct.bmcs == "") {
				return nil, errors.New("--profile goes with --bmc, in place of NAME=VALUE; with a plan it is the role that says what is wanted")
			}
			if reset && first == "set" {
				args = append([]string{"reset"}, args...)
			}
			return append([]string{first}, args...), nil
		}
	}
	set := f.command(g, &cobra.Command{
		Use: "set SELECTOR [NAME=VALUE…]", Short: "Set what is not as the role wants, or as is given, and read it back",
		Long: `Set the firmware settings that differ from what the profile of the role wants, or from what is given, and
read them back. What a make has no word for is said for each machine, and does not keep the rest from being set.
Most settings wait for a reset: with --reset, machines that have any waiting are power-cycled, and looked at until
the settings are in effect.`,
		Example: "  rackseed bios set role=compute --canary 1 --reset\n  rackseed bios set cs-computer-0020 virtualization=on",
	}, "bios", words("set"))
	set.Flags().BoolVar(&reset, "reset", false, "power-cycle machines for which settings wait, and read them again")
	c.PersistentFlags().StringVar(&f.profile, "profile", "", "with --bmc: what this shipped `PROFILE` wants, such as compute")
	c.AddCommand(
		f.command(g, &cobra.Command{
			Use: "get SELECTOR [NAME…]", Short: "Print firmware settings, pending ones beside them",
			Example: "  rackseed bios get cs-computer-0020\n  rackseed bios get rack=A03 BootMode",
		}, "bios", words("get")),
		f.command(g, &cobra.Command{
			Use: "diff SELECTOR [NAME=VALUE…]", Short: "Say which machines are not set as their role wants, or as is given",
			Example: "  rackseed bios diff role=compute\n  rackseed bios diff rack=A03 virtualization=on sriov=on\n  rackseed bios diff --bmc '10.21.0.[11-42]' --profile compute --user admin --password-file FILE",
		}, "bios", words("diff")),
		set,
	)
	return c
}
