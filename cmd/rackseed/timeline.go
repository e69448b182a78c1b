package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/flight"
)

// withTimeline adds to `node show` what the flight recorder knows.
func withTimeline(g *globals, show *cobra.Command) *cobra.Command {
	var o struct {
		timeline, phases, follow bool
		attempt                  int
		since                    time.Duration
	}
	f := show.Flags()
	f.BoolVar(&o.timeline, "timeline", false, "show what was observed of it: DHCP, TFTP, HTTP, BMC, installer, syslog, console, and what it means")
	f.BoolVar(&o.phases, "phases", false, "show where the time of an attempt went")
	f.BoolVar(&o.follow, "follow", false, "with --timeline, go on as it happens")
	f.IntVar(&o.attempt, "attempt", 0, "with --phases, the number of the attempt (default: the newest)")
	f.DurationVar(&o.since, "since", 0, "with --timeline, no further back than this, such as 2h")
	show.Example += "\n  rackseed node show cs-controller-01 --timeline --since 1h\n  rackseed node show cs-controller-01 --phases"
	plain := show.RunE
	show.RunE = func(c *cobra.Command, args []string) error {
		if !o.timeline && !o.phases {
			if o.follow || o.attempt != 0 || o.since != 0 {
				return usageError("--follow and --since go with --timeline, --attempt with --phases")
			}
			return plain(c, args)
		}
		var since time.Time
		if o.since > 0 {
			since = time.Now().Add(-o.since)
		}
		w := c.OutOrStdout()
		if o.follow {
			return withDaemon(c.Context(), g, func(cl *client.Client) error {
				return followTimeline(c, g, cl, args[0], since)
			})
		}
		return withClient(c.Context(), g, func(cl *client.Client) error {
			t, err := cl.Timeline(c.Context(), args[0], since, o.attempt)
			if err != nil {
				return err
			}
			if g.json {
				return printJSON(c, t)
			}
			if o.timeline {
				printTimeline(w, t)
			}
			if o.phases {
				printPhases(w, t)
			}
			return nil
		})
	}
	return show
}

func followTimeline(c *cobra.Command, g *globals, cl *client.Client, node string, since time.Time) error {
	lines := json.NewEncoder(c.OutOrStdout())
	for e, err := range cl.FollowTimeline(c.Context(), node, since) {
		if err != nil {
			return err
		}
		if g.json {
			err = lines.Encode(e)
		} else {
			_, err = fmt.Fprintln(c.OutOrStdout(), lineOf(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func printTimeline(w io.Writer, t flight.Timeline) {
	if len(t.Entries) == 0 {
		fmt.Fprintf(w, "Nothing was observed of %s.\n", t.Node)
	}
	day := ""
	for _, e := range t.Entries {
		if d := e.At.Local().Format(time.DateOnly); d != day {
			day = d
			fmt.Fprintln(w, d)
		}
		fmt.Fprintln(w, lineOf(e))
		if e.Cause != "" {
			fmt.Fprintf(w, "%24s-> %s\n", "", e.Cause)
		}
	}
	printDiagnoses(w, t.Findings)
}

// lineOf is an entry on one line.
func lineOf(e flight.Entry) string {
	words := []string{e.What}
	for _, text := range []string{string(e.Client), e.Name} {
		if text != "" {
			words = append(words, text)
		}
	}
	if e.Addr.IsValid() {
		words = append(words, e.Addr.String())
	}
	if e.Bytes > 0 {
		words = append(words, size(e.Bytes))
	}
	if e.Took > 0 {
		words = append(words, "in "+e.Took.Round(time.Millisecond).String())
	}
	line := fmt.Sprintf("%s  %-10s %s", e.At.Local().Format("15:04:05.000"), e.Source, strings.Join(words, " "))
	if e.Detail != "" {
		line += ": " + e.Detail
	}
	return line
}

func printDiagnoses(w io.Writer, findings []flight.Diagnosis) {
	said := false
	for _, f := range findings {
		if f.Normal {
			continue
		}
		if !said {
			fmt.Fprintln(w, "\nWhat it means:")
			said = true
		}
		fmt.Fprintf(w, "  %s  %s\n            do: %s\n", clock(f.At), f.Cause, f.Next)
	}
}

// ganttWidth is the columns of a bar.
const ganttWidth = 60

func printPhases(w io.Writer, t flight.Timeline) {
	if len(t.Phases) == 0 {
		fmt.Fprintf(w, "No boot of %s was observed.\n", t.Node)
		return
	}
	begin, end := t.Phases[0].Begin, t.Phases[len(t.Phases)-1].End
	what := "the boot that goes on"
	if t.Attempt > 0 {
		what = fmt.Sprintf("attempt %d", t.Attempt)
	}
	fmt.Fprintf(w, "%s, %s: %s from %s\n", t.Node, what, tookOf(end.Sub(begin)), begin.Local().Format(time.DateTime))
	for _, p := range t.Phases {
		open := ""
		if p.Open {
			open = " and counting"
		}
		fmt.Fprintf(w, "%-11s %s %8s%s\n", p.Name, ganttBar(begin, end, p, '#'), tookOf(p.End.Sub(p.Begin)), open)
		if p.Note != "" {
			fmt.Fprintf(w, "%-11s %s\n", "", p.Note)
		}
	}
}

// ganttBar draws when p was between begin and end.
func ganttBar(begin, end time.Time, p flight.Phase, fill byte) string {
	cells := []byte(strings.Repeat(".", ganttWidth))
	total := max(end.Sub(begin), 1)
	from := int(int64(ganttWidth) * int64(p.Begin.Sub(begin)) / int64(total))
	to := int(int64(ganttWidth) * int64(p.End.Sub(begin)) / int64(total))
	for i := min(from, ganttWidth-1); i < max(min(to, ganttWidth), min(from, ganttWidth-1)+1); i++ {
		cells[i] = fill
	}
	return string(cells)
}

func tookOf(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func newNodeTimesCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "times [SELECTOR]", Short: "Where the time of a batch went, machine by machine", Args: cobra.MaximumNArgs(1),
		Example: "  rackseed node times\n  rackseed node times rack=A03 --json",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				b, err := cl.Batch(c.Context(), strings.Join(args, ""))
				if err != nil {
					return err
				}
				if g.json {
					return printJSON(c, b)
				}
				return printBatch(c.OutOrStdout(), b)
			})
		},
	}
}

// letterOf stands for a phase in the bar of a machine.
func letterOf(phase string) byte {
	letters := map[string]byte{
		flight.PhasePOST: 'P', flight.PhaseDHCP: 'D', flight.PhaseLoader: 'L', flight.PhaseKernel: 'K', flight.PhaseStage2: 'S', flight.PhasePartition: 'T',
		flight.PhasePackages: 'I', flight.PhaseConfigure: 'C', flight.PhaseReboot: 'R', flight.PhaseSecondPOST: 'p', flight.PhaseVerify: 'V',
	}
	return letters[phase]
}

func printBatch(w io.Writer, b flight.Batch) error {
	if len(b.Shares) == 0 {
		_, err := fmt.Fprintln(w, "No boot was observed: timelines begin when the daemon runs.")
		return err
	}
	fmt.Fprintf(w, "%s from %s\n\n", tookOf(b.End.Sub(b.Begin)), b.Begin.Local().Format(time.DateTime))
	width := 0
	for _, r := range b.Runs {
		width = max(width, len(r.Node))
	}
	for _, r := range b.Runs {
		if len(r.Phases) == 0 {
			continue
		}
		cells := []byte(strings.Repeat(".", ganttWidth))
		for _, p := range r.Phases {
			for i, c := range []byte(ganttBar(b.Begin, b.End, p, letterOf(p.Name))) {
				if c != '.' {
					cells[i] = c
				}
			}
		}
		fmt.Fprintf(w, "%-*s %s %8s %s\n", width, r.Node, cells, tookOf(r.End.Sub(r.Begin)), r.State)
	}
	fmt.Fprintln(w)
	rows := make([][]string, 0, len(b.Shares))
	for _, s := range b.Shares {
		note := s.Note
		if s.Noted > 0 {
			note = fmt.Sprintf("%s (%d)", note, s.Noted)
		}
		slowest := s.Slowest
		if s.Apart {
			slowest += " !"
		}
		rows = append(rows, []string{string(letterOf(s.Name)), s.Name, fmt.Sprint(s.Machines), tookOf(s.Median), tookOf(s.Longest), slowest, note})
	}
	return table(w, []string{"", "PHASE", "MACHINES", "MEDIAN", "LONGEST", "SLOWEST", "WHAT WOULD SHORTEN IT"}, rows)
}

func newNodePcapCommand(g *globals) *cobra.Command {
	var attempt int
	var out string
	c := &cobra.Command{
		Use: "pcap NODE|MAC", Short: "Save the DHCP and TFTP packets of a machine's boot", Args: cobra.ExactArgs(1),
		Long: `Write the DHCP and TFTP packets of a machine as a pcap file, for tcpdump and Wireshark. The sockets
have no headers of them, so Ethernet, IP and UDP headers are made again; of a transfer by TFTP its beginning and its
end are kept.`,
		Example: "  rackseed node pcap cs-controller-01 > boot.pcap\n  rackseed node pcap cs-controller-01 --attempt 2 -o boot.pcap",
		RunE: func(c *cobra.Command, args []string) (err error) {
			if out == "" && isTerminal(c.OutOrStdout()) {
				return usageError("a pcap file is no text for a terminal: write it into a file, `rackseed node pcap %s > boot.pcap`", args[0])
			}
			return withClient(c.Context(), g, func(cl *client.Client) error {
				if out == "" {
					w := bufio.NewWriter(c.OutOrStdout())
					if err := cl.Pcap(c.Context(), w, args[0], attempt); err != nil {
						return err
					}
					return w.Flush()
				}
				var data strings.Builder
				if err := cl.Pcap(c.Context(), &data, args[0], attempt); err != nil {
					return err
				}
				if err := os.WriteFile(out, []byte(data.String()), 0o600); err != nil {
					return fmt.Errorf("saving the packets: %w", err)
				}
				return nil
			})
		},
	}
	c.Flags().IntVar(&attempt, "attempt", 0, "of this attempt only")
	c.Flags().StringVarP(&out, "output", "o", "", "write to this file, not to standard output")
	return c
}
