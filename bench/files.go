package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/rackseed/rackseed/pkg/storm"
)

// tftp measures storms of downloads, and the slowest client on a lossy cable.
func (b *bench) tftp(ctx context.Context) error {
	servers := b.servers(dnsmasqTFTP(), tftpdHPA(), atftpd(), rackseed())
	files, err := b.content(1<<20, 1)
	if err != nil {
		return err
	}
	storms := []*tftpStorm{
		{clients: 200, rate: measure{name: "200 × 1 MiB", unit: "MB/s", against: "dnsmasq", goal: 1}},
		{clients: 200, window: 4, rate: measure{name: "200 × 1 MiB, windowsize 4", unit: "MB/s", against: "dnsmasq", goal: 1.5}},
		{clients: 50, loss: 1, rate: measure{name: "50 × 1 MiB, 1 % loss", unit: "MB/s", against: "dnsmasq"}},
		{clients: 50, window: 4, loss: 1, rate: measure{name: "50 × 1 MiB, windowsize 4, 1 % loss", unit: "MB/s", against: "dnsmasq"}},
	}
	var rows []*measure
	for _, t := range storms {
		t.cpu = measure{name: t.rate.name, unit: "CPU s/GB", against: "dnsmasq", less: true}
		t.slowest = measure{name: t.rate.name, unit: "slowest, s", against: "dnsmasq", less: true}
		if t.loss > 0 {
			t.slowest.limit = 3
		}
		t.failed = measure{name: t.rate.name, unit: "failed", zero: true}
		rows = append(rows, &t.rate, &t.slowest, &t.cpu, &t.failed)
	}
	for _, s := range servers {
		r, err := s.start(ctx, b, work{files: files})
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		for _, t := range storms {
			if err = t.run(ctx, b, s, r); err != nil {
				break
			}
		}
		r.stop()
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	b.print("TFTP, blksize 1468", servers, rows)
	return nil
}

type tftpStorm struct {
	clients, window, loss      int
	rate, slowest, cpu, failed measure
}

func (t *tftpStorm) run(ctx context.Context, b *bench, s server, r *rig) error {
	rounds := b.rounds()
	if t.loss > 0 {
		if err := b.lab.loss(ctx, t.loss); err != nil {
			return err
		}
		defer func() { _ = b.lab.loss(context.WithoutCancel(ctx), 0) }()
		rounds = 1
	}
	for range rounds {
		var got storm.TFTPResult
		err := order{TFTP: &storm.TFTPConfig{
			Server: tftpServer(), File: r.loader, Clients: t.clients, WindowSize: t.window, Tries: 20,
			Limit: time.Minute, Sources: netip.MustParsePrefix(reservedNet), PIDs: r.pids(),
		}}.run(ctx, b.lab, &got)
		if err != nil {
			return err
		}
		b.logf("   %-10s %-34s %5.0f MB/s, slowest %s, window %d, %d failed %v",
			s.name, t.rate.name, got.MBPerSecond, got.Latency.Max.Round(time.Millisecond), got.WindowSize, got.Clients-got.Finished, got.Errors)
		t.rate.add(s.name, got.MBPerSecond)
		slowest := got.Latency.Max
		if !got.OK() {
			slowest = got.Elapsed // those that never finished are slower than that
		}
		t.slowest.add(s.name, slowest.Seconds())
		t.cpu.add(s.name, got.Process.CPU.Seconds()/(float64(got.Bytes)/1e9))
		t.failed.add(s.name, float64(got.Clients-got.Finished+got.Different))
	}
	return nil
}

const imageSize = 100_000_000

// http measures one large file: nginx sends it from a file, Rackseed out of an ISO.
func (b *bench) http(ctx context.Context) error {
	servers := b.servers(nginx(), rackseed())
	files, err := b.content(1, imageSize)
	if err != nil {
		return err
	}
	var rows []*measure
	loads := []*httpLoad{{clients: 1}, {clients: 50}, {clients: 200}}
	for _, l := range loads {
		name := fmt.Sprintf("%d clients × 100 MB", l.clients)
		l.rate = measure{name: name, unit: "MB/s", against: "nginx"}
		if l.clients > 1 {
			l.rate.goal = 1
		}
		l.cpu = measure{name: name, unit: "CPU s/GB", against: "nginx", less: true}
		l.failing = measure{name: name, unit: "failed", zero: true}
		rows = append(rows, &l.rate, &l.cpu, &l.failing)
	}
	// In turns, so that what disturbs the machine for a while disturbs both.
	for range b.rounds() {
		for _, s := range servers {
			if err := b.httpRound(ctx, s, files, loads); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	b.print("HTTP: nginx from a file, Rackseed out of an ISO", servers, rows)
	return nil
}

type httpLoad struct {
	clients            int
	rate, cpu, failing measure
}

func (b *bench) httpRound(ctx context.Context, s server, files string, loads []*httpLoad) error {
	r, err := s.start(ctx, b, work{files: files, image: imageSize})
	if err != nil {
		return err
	}
	defer r.stop()
	for _, l := range loads {
		times := 1
		if l.clients == 1 {
			times = 9 // a tenth of a second says little
		}
		for range times {
			var got storm.HTTPResult
			err := order{HTTP: &storm.HTTPConfig{
				URL: r.image, Clients: l.clients, Sources: netip.MustParsePrefix(reservedNet), PIDs: r.pids(),
			}}.run(ctx, b.lab, &got)
			if err != nil {
				return err
			}
			b.logf("   %-10s %3d clients: %5.0f MB/s, %d failed %v", s.name, l.clients, got.MBPerSecond, got.Failed, got.Errors)
			l.rate.add(s.name, got.MBPerSecond)
			l.cpu.add(s.name, got.Process.CPU.Seconds()/(float64(got.Bytes)/1e9))
			l.failing.add(s.name, float64(got.Clients-got.Finished+got.Different))
		}
	}
	return nil
}

// boot lets a whole rack boot at once.
func (b *bench) boot(ctx context.Context) error {
	servers := b.servers(dnsmasqAndNginx(), rackseed())
	files, err := b.content(300_000, imageSize)
	if err != nil {
		return err
	}
	wall := measure{name: "wall", unit: "s", against: pairName, less: true, goal: .6}
	cpu := measure{name: "CPU", unit: "s", against: pairName, less: true, goal: .6}
	failed := measure{name: "machines that failed", unit: "of 512", zero: true}
	again := measure{name: "DHCP retransmissions", unit: "512 machines", against: pairName, less: true}
	slowLease := measure{name: "slowest lease", unit: "s", against: pairName, less: true}
	slowLoader := measure{name: "slowest loader", unit: "s", against: pairName, less: true}
	rss := measure{name: "RSS, peak", unit: "MB", against: pairName, less: true, limit: 100}
	for _, s := range servers {
		for range b.rounds() {
			r, err := s.start(ctx, b, work{reserved: rack, files: files, image: imageSize})
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			got, err := b.bootStorm(ctx, r)
			r.stop()
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			b.logf("   %-14s %s, CPU %s, %d failed %v, %d DHCP again", s.name, got.Elapsed.Round(time.Millisecond), got.Process.CPU, got.Failed, got.Errors, got.DHCP.Retransmitted)
			wall.add(s.name, got.Elapsed.Seconds())
			cpu.add(s.name, got.Process.CPU.Seconds())
			failed.add(s.name, float64(got.Failed))
			again.add(s.name, float64(got.DHCP.Retransmitted))
			slowLease.add(s.name, got.DHCP.Latency.Max.Seconds())
			slowLoader.add(s.name, got.Loader.Max.Seconds())
			rss.add(s.name, float64(got.Process.PeakRSS)/1e6)
		}
	}
	b.print("Boot storm: 512 machines, each DORA + TFTP 300 KB + script + answer + 100 MB", servers,
		[]*measure{&wall, &cpu, &failed, &again, &slowLease, &slowLoader, &rss})
	return nil
}

func (b *bench) bootStorm(ctx context.Context, r *rig) (storm.BootResult, error) {
	first, _ := client(0)
	c := storm.BootConfig{
		DHCP:   storm.DHCPConfig{Server: dhcpServer(), Clients: rack, MAC: &first, Arch: 7, PIDs: r.pids(), Limit: 3 * time.Minute},
		TFTP:   storm.TFTPConfig{Server: tftpServer(), File: r.loader, WindowSize: 4, Probe: true},
		Script: r.script, Answer: r.answer, Image: r.image,
		FromLease: true,
	}
	var got storm.BootResult
	err := order{Boot: &c}.run(ctx, b.lab, &got)
	return got, err
}
