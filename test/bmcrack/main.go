// Command bmcrack is a rack of simulated Redfish BMCs on loopback, to try
// commands on:
//
//	go run ./test/bmcrack --count 64 --at 127.77.0.1:8443 --fault bmc-lies=2
//	rackseed power status --bmc 127.77.0.[1-64]:8443 --user admin --password-file F
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rackseed/rackseed/pkg/sim"
	"github.com/rackseed/rackseed/pkg/sim/bmcsim"
	"github.com/rackseed/rackseed/pkg/site"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bmcrack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var faults []sim.Fault
	var c bmcsim.Config
	flags := flag.NewFlagSet("bmcrack", flag.ContinueOnError)
	count := flags.Int("count", 16, "how many BMCs, on consecutive addresses")
	at := flags.String("at", "127.77.0.1:8443", "`address` of the first, in 127.0.0.0/8; port 0 is a free one")
	file := flags.String("password-file", "", "`file` with the password of admin; without it the password is rackseed")
	flags.BoolVar(&c.On, "on", false, "the machines have power")
	flags.BoolVar(&c.Tasks, "tasks", false, "actions answer 202 with a task monitor")
	flags.BoolVar(&c.BootInSettings, "boot-in-settings", false, "the boot override is written to @Redfish.Settings")
	flags.BoolVar(&c.MustChangePassword, "must-change-password", false, "nothing works before a new password")
	flags.DurationVar(&c.Transition, "transition", 2*time.Second, "how long the chassis takes for on and off")
	flags.DurationVar(&c.Shutdown, "shutdown", 5*time.Second, "how long a system takes to shut down")
	flags.Func("fault", fmt.Sprintf("what goes wrong with the first BMCs, `NAME` or NAME=COUNT: %v", bmcsim.Faults()), func(text string) error {
		more, err := parseFault(text)
		faults = append(faults, more...)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	first, err := netip.ParseAddrPort(*at)
	if err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	if *file != "" {
		password, err := os.ReadFile(*file)
		if err != nil {
			return fmt.Errorf("reading the password: %w", err)
		}
		c.Password = site.Secret(strings.TrimRight(string(password), "\r\n"))
	}
	front, err := bmcsim.Serve(first, bmcsim.Rack(*count, c, faults...)...)
	if err != nil {
		return err
	}
	defer front.Close()
	for i, a := range front.Addresses {
		line := "https://" + a.String()
		if i < len(faults) {
			line += " " + string(faults[i])
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func parseFault(text string) ([]sim.Fault, error) {
	name, number, counted := strings.Cut(text, "=")
	n := 1
	if counted {
		var err error
		if n, err = strconv.Atoi(number); err != nil || n < 1 {
			return nil, errors.New("write NAME=COUNT")
		}
	}
	if !slices.Contains(bmcsim.Faults(), sim.Fault(name)) {
		return nil, fmt.Errorf("there is no fault %s", name)
	}
	return slices.Repeat([]sim.Fault{sim.Fault(name)}, n), nil
}
