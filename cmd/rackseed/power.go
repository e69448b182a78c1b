package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"
)

func newPowerCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "power", Short: "Look at and switch the power of machines, by Redfish or IPMI",
		Long: `Look at and switch the power of one machine or of hundreds. What is ordered is read back, and the
command says which machines did not comply. A machine that is in the wanted state already is left alone. A reset
shows in no power state: where the BMC tells when the machine was last reset, that is compared; where it tells
nothing, the reset is said to be accepted and not proved. A cycle is off and on, and both are seen. With --verify,
what the machine then boots is compared with the boot device that its BMC shows. With --no-wait the order is given
and nothing is looked at unless the BMC objects: a BMC that lies is believed, and the cycle of a machine that is
off may leave it off.`,
		Example: `  rackseed power status 'rack=A03'
  rackseed power status --bmc '10.21.0.[11-42]' --user admin --password-file FILE
  rackseed power cycle role=compute --canary 2 --stagger 2s --per-rack 4 --max-failures 5`,
	}
	f.add(c)
	for _, action := range []struct{ name, short, example string }{
		{"status", "Say which machines are on", "rackseed power status all --json"},
		{"on", "Switch machines on", "rackseed power on rack=A03 --stagger 2s"},
		{"off", "Take the power away at once", "rackseed power off cs-computer-0020"},
		{"soft", "Press the power button: the system shuts down", "rackseed power soft 'role=compute & rack=A03'"},
		{"cycle", "Switch machines off, then on", "rackseed power cycle 'cs-computer-[0001-0512]' --canary 2 --max-failures 5"},
		{"reset", "Reset machines without taking the power away", "rackseed power reset --bmc https://10.21.0.11 --user admin --password-file FILE"},
	} {
		words, v, noWait := noWords(action.name), &verifyFlags{}, false
		add := f.command(g, &cobra.Command{Use: action.name + " SELECTOR", Short: action.short, Example: "  " + action.example}, "power", func(args []string) ([]string, error) {
			list, err := words(args)
			if err != nil {
				return nil, err
			}
			switch list = slices.Clone(list); {
			case noWait && v.verify:
				return nil, errors.New("--no-wait and --verify exclude each other")
			case noWait:
				list = append(list, "no-wait")
			}
			return v.words(list)
		})
		if action.name != "status" {
			add.Flags().BoolVar(&noWait, "no-wait", false, "give the order, and do not look whether it was carried out")
		}
		if slices.Contains([]string{"on", "cycle", "reset"}, action.name) {
			v.add(add.Flags(), "compare what the machine boots with what its BMC shows; tell it otherwise if it differs (up to three power cycles)")
		}
		c.AddCommand(add)
	}
	return c
}
