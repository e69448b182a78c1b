// Command bench loads Rackseed and its peers with the same traffic, one after
// the other in one run, and prints the ratios as Markdown: only ratios of one
// run count, absolute figures move from machine to machine.
//
// It needs root: server and load live in two network namespaces joined by a
// veth, the server on the first processor, the load on the second.
//
//	go run ./bench                      everything
//	go run ./bench -quick               everything, shorter
//	go run ./bench -part dhcp -peers kea
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type options struct {
	parts    []string
	peers    []string
	quick    bool
	rackseed string // binary; empty builds it
	check    bool
}

// bench is one run.
type bench struct {
	options
	lab *lab
	out io.Writer
	log io.Writer
	met bool // every goal so far
}

// part is a group of measures that can run alone.
type part struct {
	name, about string
	run         func(*bench, context.Context) error
}

func parts() []part {
	return []part{
		{"dhcp", "leases: rate and latency", (*bench).dhcp},
		{"burst", "512 DISCOVERs at one moment", (*bench).burst},
		{"tftp", "TFTP storms", (*bench).tftp},
		{"http", "a large file by HTTP", (*bench).http},
		{"boot", "boot storm of 512 machines", (*bench).boot},
		{"bmc", "power status and power cycle of racks of BMCs", (*bench).bmc},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := dispatch(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}

// dispatch tells the program that people start from the ones that it starts.
func dispatch(ctx context.Context) error {
	switch args := os.Args[1:]; {
	case len(args) == 1 && args[0] == loadArg:
		return load(ctx, os.Stdin, os.Stdout)
	case len(args) > 2 && args[0] == firstArg:
		return first(args[1:])
	}
	return run(ctx)
}

func run(ctx context.Context) error {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	var o options
	partList := flag.String("part", strings.Join(names, ","), "parts to run")
	peerList := flag.String("peers", "", "servers to run beside Rackseed (default all that are installed): kea,dnsmasq,dhcpd,tftpd-hpa,atftpd,nginx,ipmipower,redfishtool")
	flag.BoolVar(&o.quick, "quick", false, "fewer and shorter rounds")
	flag.StringVar(&o.rackseed, "rackseed", "", "the rackseed binary (default: build ./cmd/rackseed; none leaves it out)")
	flag.BoolVar(&o.check, "check", false, "exit status 1 when a goal is missed")
	flag.Parse()
	o.parts = strings.Split(*partList, ",")
	if *peerList != "" {
		o.peers = strings.Split(*peerList, ",")
	}
	for _, p := range o.parts {
		if !slices.Contains(names, p) {
			return fmt.Errorf("no part %q; there are %s", p, strings.Join(names, ", "))
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root: run it with sudo")
	}
	l, err := newLab(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	b := &bench{options: o, lab: l, out: os.Stdout, log: os.Stderr, met: true}
	if err := b.buildRackseed(ctx); err != nil {
		return err
	}
	return b.all(ctx)
}

func (b *bench) all(ctx context.Context) error {
	host, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Fprintf(b.out, "# Rackseed beside its peers\n\n%s, Linux %s, %d processors, %s. Server on one, load on another; medians.\n",
		time.Now().Format(time.DateOnly), strings.TrimSpace(string(host)), runtime.NumCPU(), runtime.Version())
	for _, p := range parts() {
		if !slices.Contains(b.parts, p.name) {
			continue
		}
		b.logf("== %s: %s", p.name, p.about)
		before := readSteal()
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if share := readSteal().since(before); share > .02 {
			fmt.Fprintf(b.out, "\nThe hypervisor withheld %.0f %% of the processors meanwhile: mind the ratios, not the figures.\n", 100*share)
		}
	}
	if b.check && !b.met {
		return errors.New("a goal was missed")
	}
	return nil
}

func (b *bench) logf(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// wants tells whether a peer was asked for and, if it was not named, is there.
func (b *bench) wants(s server) bool {
	if s.name == ours {
		return b.rackseed != noRackseed
	}
	if b.peers != nil {
		return slices.ContainsFunc(b.peers, func(p string) bool { return strings.EqualFold(p, s.name) })
	}
	if err := s.installed(); err != nil {
		b.logf("   without %s: %v", s.name, err)
		return false
	}
	return true
}

func (b *bench) servers(of ...server) []server {
	return slices.DeleteFunc(of, func(s server) bool { return !b.wants(s) })
}

// rounds is how often each measure is taken; the table shows medians.
func (b *bench) rounds() int {
	if b.quick {
		return 1
	}
	return 3
}

// steal is processor time from the first line of /proc/stat, in ticks.
type steal struct{ stolen, all uint64 }

func readSteal() (s steal) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return s
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line) {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil || i > 8 {
			continue // the name in front; guest time behind, which is in user time too
		}
		s.all += n
		if i == 8 {
			s.stolen = n
		}
	}
	return s
}

func (s steal) since(before steal) float64 {
	if s.all == before.all {
		return 0
	}
	return float64(s.stolen-before.stolen) / float64(s.all-before.all)
}
