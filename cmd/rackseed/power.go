package main

import "github.com/spf13/cobra"

func newPowerCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "power", Short: "Look at and switch the power of machines, by Redfish or IPMI",
		Long: `Look at and switch the power of one machine or of hundreds. What is ordered is read back, and the
command says which machines did not comply. A machine that is in the wanted state already is left alone.`,
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
		c.AddCommand(f.command(g, &cobra.Command{Use: action.name + " SELECTOR", Short: action.short, Example: "  " + action.example}, "power", noWords(action.name)))
	}
	return c
}
