package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rackseed/rackseed/pkg/storm"
)

// stormResult is what every rehearsal returns.
type stormResult interface {
	OK() bool
	WriteText(io.Writer) error
}

// stormFlags are what all rehearsals share.
type stormFlags struct {
	clients int
	limit   time.Duration
	pids    []int
	public  bool
}

func (f *stormFlags) register(flags *pflag.FlagSet, limit time.Duration) {
	flags.IntVar(&f.clients, "clients", 1, "simulated machines")
	flags.DurationVar(&f.limit, "limit", limit, "end the rehearsal after this time, finished or not")
	flags.IntSliceVar(&f.pids, "pid", nil, "server processes on this machine whose CPU and memory to report")
	flags.BoolVar(&f.public, "yes-this-is-my-network", false, "load an address that is not loopback, private or link-local")
}

// progress is nil unless a person is watching.
func (f *stormFlags) progress(cmd *cobra.Command) func(storm.Progress) {
	w := cmd.ErrOrStderr()
	if !isTerminal(w) {
		return nil
	}
	return func(p storm.Progress) {
		fmt.Fprintf(w, "%4.0f s  %-5s %d of %d", p.Elapsed.Seconds(), p.Phase, p.Done, p.Total)
		if p.Failed > 0 {
			fmt.Fprintf(w, ", %d failed", p.Failed)
		}
		if p.Bytes > 0 {
			fmt.Fprintf(w, ", %.1f GB", float64(p.Bytes)/1e9)
		}
		fmt.Fprintln(w)
	}
}

// report prints a result and turns it into an exit status: 3 when some clients
// failed, 4 when the target was refused.
func (f *stormFlags) report(cmd *cobra.Command, r stormResult, err error) error {
	if errors.Is(err, storm.ErrRefused) {
		return &exitError{exitRefused, err}
	}
	if err != nil {
		return err
	}
	// The root command owns --json.
	if asJSON, flagErr := cmd.Flags().GetBool("json"); flagErr == nil && asJSON {
		err = printJSON(cmd, r)
	} else {
		err = r.WriteText(cmd.OutOrStdout())
	}
	if err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	if !r.OK() {
		return &exitError{exitSome, errors.New("some clients did not finish, or got what they should not; the result says how many and why")}
	}
	return nil
}

func newStormCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storm",
		Short: "Load rehearsal: many simulated clients against any DHCP, TFTP or HTTP boot server",
		Long: `Load rehearsal: many simulated clients against any DHCP, TFTP or HTTP boot server,
this daemon or another, before the real racks do it.

Every rehearsal is bounded in count and time, and refuses a target that is not a
loopback, private or link-local address. Exit status: 0 all clients finished,
3 some failed, 4 refused. Times in --json are nanoseconds.`,
		Example: `  rackseed storm dhcp --server 10.20.0.1 --clients 512 --repeat 20 --in-flight 256
  rackseed storm tftp --server 10.20.0.1 --clients 200 --windowsize 4 snponly.efi
  rackseed storm http --clients 50 http://10.20.0.1/images/rocky9/images/install.img
  rackseed storm boot --server 10.20.0.1 --clients 512 --loader snponly.efi --image http://10.20.0.1/big`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStormDHCPCommand(), newStormTFTPCommand(), newStormHTTPCommand(), newStormBootCommand())
	return cmd
}

// dhcpFlags are shared by the rehearsals that lease addresses.
type dhcpFlags struct {
	server, relay string
	port, arch    uint16
	mac           string
	timeout       time.Duration
	tries         int
}

func (f *dhcpFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", "", "DHCP server, ADDRESS[:PORT]")
	flags.StringVar(&f.relay, "relay", "", "relay address (giaddr) on this machine; default: the one that faces the server")
	flags.Uint16Var(&f.port, "port", 0, "relay port; default 67, or without the right to it any, for servers that know RFC 8357")
	flags.Uint16Var(&f.arch, "arch", 7, "client architecture, option 93: 0 BIOS, 7 UEFI x64, 11 UEFI arm64, 16 UEFI x64 HTTP boot")
	flags.StringVar(&f.mac, "mac", storm.DefaultMAC().String(), "MAC address of the first client; the others count up from it")
	flags.DurationVar(&f.timeout, "timeout", 0, "before the first retransmission, then doubled (default 1s; burst: quiet time that ends it, default 4s)")
	flags.IntVar(&f.tries, "tries", 0, "messages sent before a client gives up (default 4)")
	_ = cmd.MarkFlagRequired("server")
}

func (f *dhcpFlags) config(cmd *cobra.Command, s *stormFlags) (storm.DHCPConfig, error) {
	c := storm.DHCPConfig{
		Port: f.port, Arch: f.arch, Clients: s.clients, Timeout: f.timeout, Tries: f.tries,
		Limit: s.limit, PIDs: s.pids, AllowPublic: s.public, Progress: s.progress(cmd),
	}
	var err error
	if c.Server, err = parseEndpoint(f.server); err != nil {
		return c, usageError("--server: %w", err)
	}
	if f.relay != "" {
		if c.Relay, err = netip.ParseAddr(f.relay); err != nil {
			return c, usageError("--relay: %w", err)
		}
	}
	mac, err := storm.ParseMAC(f.mac)
	if err != nil {
		return c, usageError("--mac: %w", err)
	}
	c.MAC = &mac
	return c, nil
}

// parseEndpoint reads ADDRESS[:PORT]; port 0 stands for the protocol's own.
func parseEndpoint(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return a, fmt.Errorf("%s: want ADDRESS or ADDRESS:PORT", strconv.Quote(s))
	}
	return a, nil
}

func newStormDHCPCommand() *cobra.Command {
	var shared stormFlags
	var dhcp dhcpFlags
	var repeat, inFlight int
	var rate float64
	var burst bool
	cmd := &cobra.Command{
		Use:   "dhcp --server ADDRESS",
		Short: "Lease addresses: DISCOVER, OFFER, REQUEST, ACK, as a relay with many machines behind it",
		Long: `Lease addresses: full DISCOVER-OFFER-REQUEST-ACK exchanges, as a relay with many
machines behind it. The server must have a subnet for the relay's address.

Closed loop (--in-flight) finds the rate a server reaches; open loop (--rate)
measures how long machines wait at a given rate, from the moment each should have
begun, so that a server that stalls is not excused. --burst sends one DISCOVER per
machine at one moment and counts who gets an offer.

The first exchange of each machine is reported as cold, the repeated ones as warm.
Leases are not released: use a test pool or reservations for the MAC range.`,
		Example: `  rackseed storm dhcp --server 10.20.0.1 --clients 512 --repeat 20 --in-flight 256
  rackseed storm dhcp --server 10.20.0.1 --clients 512 --repeat 10 --rate 500 --pid $(pidof kea-dhcp4)
  rackseed storm dhcp --server 10.20.0.1 --clients 512 --burst`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := dhcp.config(cmd, &shared)
			if err != nil {
				return err
			}
			if burst {
				r, err := storm.Burst(cmd.Context(), c)
				return shared.report(cmd, r, err)
			}
			c.Repeat, c.InFlight, c.Rate = repeat, inFlight, rate
			r, err := storm.DHCP(cmd.Context(), c)
			return shared.report(cmd, r, err)
		},
	}
	shared.register(cmd.Flags(), time.Minute)
	dhcp.register(cmd)
	cmd.Flags().IntVar(&repeat, "repeat", 1, "exchanges by each machine")
	cmd.Flags().IntVar(&inFlight, "in-flight", 32, "closed loop: exchanges under way at once")
	cmd.Flags().Float64Var(&rate, "rate", 0, "open loop: exchanges begun per second")
	cmd.Flags().BoolVar(&burst, "burst", false, "only one DISCOVER per machine, all at once")
	cmd.MarkFlagsMutuallyExclusive("rate", "in-flight", "burst")
	return cmd
}

// tftpFlags are shared by the rehearsals that download by TFTP.
type tftpFlags struct {
	server     string
	blockSize  int
	windowSize int
	probe      bool
	loss       float64
	seed       uint64
	sources    netipFlag
}

// netipFlag is a network on the command line.
type netipFlag struct{ netip.Prefix }

func (f *netipFlag) Set(s string) error { return f.UnmarshalText([]byte(s)) }
func (f *netipFlag) Type() string       { return "network" }
func (f *netipFlag) String() string {
	if !f.IsValid() {
		return ""
	}
	return f.Prefix.String()
}

const sourcesHelp = "give each client a source address from this network, which must be local here (ip route add local NET dev lo)"

func (f *tftpFlags) register(flags *pflag.FlagSet) {
	flags.IntVar(&f.blockSize, "blksize", 1468, "block size to ask for (RFC 2348)")
	flags.IntVar(&f.windowSize, "windowsize", 1, "window size to ask for (RFC 7440); EDK2 firmware asks for 4")
	flags.BoolVar(&f.probe, "probe", false, "ask for the size first and hang up, as PXE firmware does")
	flags.Float64Var(&f.loss, "loss", 0, "share of TFTP datagrams each client throws away, both ways: 0.01 is 1 %")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the loss")
}

func (f *tftpFlags) config() (storm.TFTPConfig, error) {
	c := storm.TFTPConfig{BlockSize: f.blockSize, WindowSize: f.windowSize, Probe: f.probe, Loss: f.loss, Seed: f.seed, Sources: f.sources.Prefix}
	if f.server == "" {
		return c, nil
	}
	var err error
	c.Server, err = parseEndpoint(f.server)
	return c, err
}

func newStormTFTPCommand() *cobra.Command {
	var shared stormFlags
	var tftp tftpFlags
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "tftp --server ADDRESS FILE",
		Short: "Download one file by TFTP with many clients at once",
		Example: `  rackseed storm tftp --server 10.20.0.1 --clients 200 --windowsize 4 snponly.efi
  rackseed storm tftp --server 10.20.0.1 --clients 50 --loss 0.01 undionly.kpxe`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := tftp.config()
			if err != nil {
				return usageError("--server: %w", err)
			}
			c.File, c.Clients, c.Timeout, c.Limit = args[0], shared.clients, timeout, shared.limit
			c.PIDs, c.AllowPublic, c.Progress = shared.pids, shared.public, shared.progress(cmd)
			r, err := storm.TFTP(cmd.Context(), c)
			return shared.report(cmd, r, err)
		},
	}
	shared.register(cmd.Flags(), 2*time.Minute)
	tftp.register(cmd.Flags())
	cmd.Flags().StringVar(&tftp.server, "server", "", "TFTP server, ADDRESS[:PORT]")
	cmd.Flags().Var(&tftp.sources, "sources", sourcesHelp)
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "silence after which a client asks again")
	_ = cmd.MarkFlagRequired("server")
	return cmd
}

func newStormHTTPCommand() *cobra.Command {
	var shared stormFlags
	var byteRange string
	var check bool
	var sources netipFlag
	cmd := &cobra.Command{
		Use:   "http URL",
		Short: "Download one URL by HTTP with many clients at once",
		Example: `  rackseed storm http --clients 50 http://10.20.0.1/images/rocky9/images/install.img
  rackseed storm http --clients 200 --range bytes=0-1048575 --check http://10.20.0.1/images/rocky9/images/install.img`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := storm.HTTP(cmd.Context(), storm.HTTPConfig{
				URL: args[0], Clients: shared.clients, Range: byteRange, Check: check, Limit: shared.limit, Sources: sources.Prefix,
				PIDs: shared.pids, AllowPublic: shared.public, Progress: shared.progress(cmd),
			})
			return shared.report(cmd, r, err)
		},
	}
	shared.register(cmd.Flags(), 2*time.Minute)
	cmd.Flags().StringVar(&byteRange, "range", "", "Range header, for example bytes=0-1048575")
	cmd.Flags().Var(&sources, "sources", sourcesHelp)
	cmd.Flags().BoolVar(&check, "check", false, "compare the bytes of all clients; costs more here, so shows less of the server")
	return cmd
}

func newStormBootCommand() *cobra.Command {
	var shared stormFlags
	var dhcp dhcpFlags
	var tftp tftpFlags
	var c storm.BootConfig
	var loader string
	cmd := &cobra.Command{
		Use:   "boot --server ADDRESS",
		Short: "Boot many machines at once: lease, loader, script, answer file, image",
		Long: `Boot many machines at once, as when the power comes back: lease, loader by TFTP,
then script, answer file and image by HTTP. What is not named is left out.

{mac}, {mac-} (hyphens), {ip} and {n} are replaced in names and URLs. An address
of the form match:REGEXP is what REGEXP finds in the machine's own script.`,
		Example: `  rackseed storm boot --server 10.20.0.1 --clients 512 --loader snponly.efi \
    --script 'http://10.20.0.1/boot/{mac}' --answer 'match:inst\.ks=(\S+)' \
    --image http://10.20.0.1/images/rocky9/images/install.img`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.DHCP, err = dhcp.config(cmd, &shared); err != nil {
				return err
			}
			if c.TFTP, err = tftp.config(); err != nil {
				return usageError("--tftp-server: %w", err)
			}
			c.TFTP.File, c.AllowPublic = loader, shared.public
			return runStormBoot(cmd.Context(), cmd, &shared, c)
		},
	}
	shared.register(cmd.Flags(), 5*time.Minute)
	dhcp.register(cmd)
	tftp.register(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&tftp.server, "tftp-server", "", "TFTP server, ADDRESS[:PORT]; default the DHCP server")
	flags.StringVar(&loader, "loader", "", "file to fetch by TFTP")
	flags.StringVar(&c.Script, "script", "", "URL of the boot script")
	flags.StringVar(&c.Answer, "answer", "", "URL of the answer file, or match:REGEXP")
	flags.StringVar(&c.Image, "image", "", "URL of the large file, or match:REGEXP")
	flags.BoolVar(&c.FromLease, "from-lease", false, "download from the leased addresses, which must be local here (ip route add local NET dev lo)")
	return cmd
}

func runStormBoot(ctx context.Context, cmd *cobra.Command, shared *stormFlags, c storm.BootConfig) error {
	r, err := storm.Boot(ctx, c)
	return shared.report(cmd, r, err)
}
