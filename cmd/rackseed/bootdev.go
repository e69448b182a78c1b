package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// verifyFlags have a boot compared with what was told.
type verifyFlags struct {
	verify bool
	within time.Duration
}

func (v *verifyFlags) add(p *pflag.FlagSet, usage string) {
	p.BoolVar(&v.verify, "verify", false, usage)
	p.DurationVar(&v.within, "within", 0, "with --verify: `TIME` from power-on to the first sign on the wire (default 5m)")
}

func (v *verifyFlags) words(words []string) ([]string, error) {
	switch {
	case v.within != 0 && !v.verify:
		return nil, errors.New("--within goes with --verify")
	case v.within != 0:
		return append(words, "verify="+v.within.String()), nil
	case v.verify:
		return append(words, "verify"), nil
	}
	return words, nil
}

func newBootdevCommand(g *globals) *cobra.Command {
	f := &bmcFlags{}
	c := &cobra.Command{
		Use: "bootdev", Short: "Look at and set what machines boot from, and prove that it stuck",
		Long: `Set the boot device of machines. It is written, read back, and written in another way if it did not
stick: what the BMC's make is known to need, then what the standard allows. The command says which machines
did not keep it. Machines take it up when they next start: see ` + "`rackseed power cycle`" + `.

With --verify the machine is power-cycled, and what it then does on the wire is compared with what its BMC was
told. One that does something else is told in the next way, by the other protocol where the plan leaves it open,
and cycled again: three times in all. Only a daemon sees the wire; without one that is said.`,
		Example: "  rackseed bootdev get rack=A03\n  rackseed bootdev set role=compute pxe --once --uefi",
	}
	f.add(c)
	get := f.command(g, &cobra.Command{
		Use: "get SELECTOR", Short: "Say what machines are told to boot from",
		Example: "  rackseed bootdev get --bmc '10.21.0.[11-42]' --user admin --password-file FILE",
	}, "bootdev", noWords("get"))
	var once, persistent, uefi, bios bool
	var url string
	var v verifyFlags
	set := f.command(g, &cobra.Command{
		Use: "set SELECTOR pxe|http|disk|cd|bios|none", Short: "Tell machines what to boot from",
		Example: "  rackseed bootdev set 'cs-computer-[0001-0512]' pxe --once --uefi --canary 1\n  rackseed bootdev set rack=A03 disk --persistent\n  rackseed bootdev set cs-computer-0020 pxe --once --verify",
	}, "bootdev", func(args []string) ([]string, error) {
		if len(args) != 1 {
			return nil, errors.New("give one boot device: pxe, http, disk, cd, bios or none")
		}
		words := []string{"set", args[0]}
		switch {
		case once && persistent, uefi && bios:
			return nil, errors.New("--once and --persistent, and --uefi and --bios-mode, exclude each other")
		case persistent:
			words = append(words, "persistent")
		}
		if uefi {
			words = append(words, "uefi")
		}
		if bios {
			words = append(words, "bios")
		}
		if url != "" {
			words = append(words, url)
		}
		return v.words(words)
	})
	p := set.Flags()
	p.BoolVar(&once, "once", false, "for the next boot only (the default)")
	p.BoolVar(&persistent, "persistent", false, "until it is set again")
	p.BoolVar(&uefi, "uefi", false, "boot it by UEFI")
	p.BoolVar(&bios, "bios-mode", false, "boot it by legacy BIOS")
	p.StringVar(&url, "url", "", "with http: the `URL` to boot, where the BMC takes one")
	v.add(p, "power-cycle, and compare what the machine boots with what it was told (up to three power cycles)")
	c.AddCommand(get, set)
	return c
}
