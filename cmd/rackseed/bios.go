package main

import "github.com/spf13/cobra"

func newBIOSCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "bios", Short: "Look at, compare and set firmware settings (BIOS attributes)",
		Long: `Look at, compare and set the firmware settings of machines, by Redfish. NAME is the vendor's, or one of
virtualization, iommu, sriov, hyperthreading, pxe (on, off), boot_mode (uefi, bios) and power_profile
(performance, balanced), which are translated for makes that Rackseed knows. Most settings take effect at the
next reset; until then they are shown as pending.`,
		Example: "  rackseed bios diff role=compute virtualization=on sriov=on boot_mode=uefi\n  rackseed bios set cs-computer-0020 virtualization=on",
	}
	f.add(c)
	words := func(first string) func([]string) ([]string, error) {
		return func(args []string) ([]string, error) { return append([]string{first}, args...), nil }
	}
	c.AddCommand(
		f.command(g, &cobra.Command{
			Use: "get SELECTOR [NAME…]", Short: "Print firmware settings, pending ones beside them",
			Example: "  rackseed bios get cs-computer-0020\n  rackseed bios get rack=A03 BootMode",
		}, "bios", words("get")),
		f.command(g, &cobra.Command{
			Use: "diff SELECTOR NAME=VALUE…", Short: "Say which machines are not set as wanted",
			Example: "  rackseed bios diff role=compute virtualization=on sriov=on",
		}, "bios", words("diff")),
		f.command(g, &cobra.Command{
			Use: "set SELECTOR NAME=VALUE…", Short: "Set firmware settings and read them back",
			Example: "  rackseed bios set role=compute virtualization=on --canary 1",
		}, "bios", words("set")),
	)
	return c
}
