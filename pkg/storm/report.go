package storm

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table writes rows aligned in columns.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) table {
	return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)}
}

func (t table) row(cells ...any) {
	for _, c := range cells {
		if d, ok := c.(time.Duration); ok {
			c = short(d)
		}
		fmt.Fprintf(t.w, "%v\t", c)
	}
	fmt.Fprintln(t.w)
}

func (t table) flush() error { return t.w.Flush() }

// short keeps three figures of a duration.
func short(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= 100*unit {
			return d.Round(unit).String()
		}
		if d >= unit {
			return d.Round(unit / 100).String()
		}
	}
	return d.String()
}

// WriteText prints the result as a table.
func (r DHCPResult) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "DHCP: %d clients of %s through relay %s\n", r.Clients, r.Server, r.Relay)
	t := newTable(w)
	t.row("", "exchanges/s", "p50", "p90", "p99", "max", "finished", "failed", "again", "NAK", "conflicts", "µs CPU", "RSS MB")
	phase := func(name string, p *DHCPPhase) {
		cpu, rss := "-", "-"
		if p.Process != nil && p.Finished > 0 {
			cpu = fmt.Sprintf("%.1f", float64(p.Process.CPU.Microseconds())/float64(p.Finished))
			rss = fmt.Sprintf("%.1f", float64(p.Process.PeakRSS)/1e6)
		}
		l := p.Latency
		t.row(name, fmt.Sprintf("%.0f", p.PerSecond), l.P50, l.P90, l.P99, l.Max,
			p.Finished, p.Exchanges-p.Finished, p.Retransmitted, p.NAKs, p.Conflicts, cpu, rss)
	}
	phase("cold", &r.Cold)
	if r.Warm != nil {
		phase("warm", r.Warm)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if r.SourcePort && r.Cold.Received == 0 {
		fmt.Fprintln(w, "No answer at all. The relay is not on port 67, and only servers that know RFC 8357 answer it there: run as root, or --port 67.")
	}
	return generatorDrops(w, r.GeneratorDrops)
}

func generatorDrops(w io.Writer, n uint64) error {
	if n == 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "This host dropped %d answers itself: raise net.core.rmem_max or run as root.\n", n)
	return err
}

// WriteText prints the result as a table.
func (r BurstResult) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "DHCP: one burst of %d DISCOVERs to %s, sent in %s\n", r.Sent, r.Server, short(r.Sending))
	t := newTable(w)
	t.row("offered", "lost", "p50", "p90", "p99", "last")
	t.row(r.Offered, r.Lost, r.Latency.P50, r.Latency.P90, r.Latency.P99, r.Latency.Max)
	if err := t.flush(); err != nil {
		return err
	}
	return generatorDrops(w, r.GeneratorDrops)
}

// WriteText prints the result as a table.
func (r TFTPResult) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "TFTP: %d clients, %d octets each, blksize %d, windowsize %d\n", r.Clients, r.Size, r.BlockSize, r.WindowSize)
	t := newTable(w)
	t.row("MB/s", "p50", "p99", "slowest", "finished", "failed", "different", "asked again", "duplicates", "CPU s/GB", "RSS MB")
	cpu, rss := r.Process.perGB(r.Bytes)
	t.row(fmt.Sprintf("%.0f", r.MBPerSecond), r.Latency.P50, r.Latency.P99, r.Latency.Max,
		r.Finished, r.Failed, r.Different, r.Retransmitted, r.Duplicates, cpu, rss)
	if err := t.flush(); err != nil {
		return err
	}
	return writeErrors(w, r.Errors)
}

// WriteText prints the result as a table.
func (r HTTPResult) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "HTTP: %d clients, %d octets each, of %s\n", r.Clients, r.Size, r.URL)
	t := newTable(w)
	t.row("MB/s", "first byte p50", "p99", "whole p50", "slowest", "finished", "failed", "different", "CPU s/GB", "RSS MB")
	cpu, rss := r.Process.perGB(r.Bytes)
	t.row(fmt.Sprintf("%.0f", r.MBPerSecond), r.FirstByte.P50, r.FirstByte.P99, r.Latency.P50, r.Latency.Max,
		r.Finished, r.Failed, r.Different, cpu, rss)
	if err := t.flush(); err != nil {
		return err
	}
	return writeErrors(w, r.Errors)
}

// WriteText prints the result as a table.
func (r BootResult) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "Boot storm: %d of %d machines in %s, %.0f MB/s, %d DHCP retransmissions, %d failed\n",
		r.Finished, r.Clients, short(r.Elapsed), r.MBPerSecond, r.DHCP.Retransmitted, r.Failed)
	t := newTable(w)
	t.row("phase", "machines", "p50", "p90", "p99", "slowest")
	for _, p := range []struct {
		name string
		Latency
	}{
		{"lease", r.DHCP.Latency}, {"loader", r.Loader}, {"script", r.Script},
		{"answer", r.Answer}, {"image", r.Image}, {"all", r.Total},
	} {
		if p.Count > 0 {
			t.row(p.name, p.Count, p.P50, p.P90, p.P99, p.Max)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	if r.Process != nil {
		fmt.Fprintf(w, "Server: %s CPU, %.1f MB RSS at most\n", short(r.Process.CPU), float64(r.Process.PeakRSS)/1e6)
	}
	return writeErrors(w, r.Errors)
}

func (p *Process) perGB(bytes int64) (cpu, rss string) {
	if p == nil || bytes == 0 {
		return "-", "-"
	}
	return fmt.Sprintf("%.2f", p.CPU.Seconds()/(float64(bytes)/1e9)), fmt.Sprintf("%.1f", float64(p.PeakRSS)/1e6)
}

func writeErrors(w io.Writer, errs map[string]int) error {
	for _, reason := range slices.Sorted(maps.Keys(errs)) {
		if _, err := fmt.Fprintf(w, "%6d × %s\n", errs[reason], strings.TrimSpace(reason)); err != nil {
			return err
		}
	}
	return nil
}
