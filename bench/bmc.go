package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The racks of the BMC part, on the server's loopback.
const (
	ipmiBMCs    = 64
	redfishBMCs = 512
	ipmiNet     = "127.0.10."
	ipmiIdleNet = "127.0.11." // BMCs whose machines are on, and cannot be switched
	ipmiHosts   = "[1-64]"    // as FreeIPMI and Rackseed write it
	redfishAt   = "127.0.20.1"
	bmcUser     = "admin"
	bmcPassword = "Sesame-16-bytes!" // IPMI 1.5 keeps 16 bytes
)

// tool is a client of BMCs.
type tool struct {
	server
	status, cycle []string // what it runs; nil where it cannot
	proved        []string // a power cycle that is seen to have happened: off, then on
	rounds        int      // zero means as many as the bench has; else it is run so often, and never cold
}

// bmc measures power status and power cycle: a rack of IPMI BMCs that are
// OpenIPMI's, and a rack of simulated Redfish BMCs.
func (b *bench) bmc(ctx context.Context) error {
	secret, err := b.lab.file("bmc-password", []byte(bmcPassword+"\n"))
	if err != nil {
		return err
	}
	if err := b.ipmiRack(ctx, secret); err != nil {
		return fmt.Errorf("IPMI: %w", err)
	}
	if err := b.redfishRack(ctx, secret); err != nil {
		return fmt.Errorf("redfish: %w", err)
	}
	return nil
}

func (b *bench) ipmiRack(ctx context.Context, secret string) error {
	if _, err := exec.LookPath("ipmi_sim"); err != nil {
		b.logf("   without IPMI: %v (apt install openipmi)", err)
		return nil
	}
	config, err := b.lab.file("freeipmi.conf", []byte("username "+bmcUser+"\npassword "+bmcPassword+"\n"))
	if err != nil {
		return err
	}
	if err := os.Chmod(config, 0o600); err != nil {
		return fmt.Errorf("writing FreeIPMI's configuration: %w", err)
	}
	free := func(net string, action ...string) []string {
		return append([]string{"ipmipower", "--config-file", config, "-D", "LAN_2_0", "-I", "3", "-W", "opensesspriv", "-l", "ADMIN", "-F", strconv.Itoa(ipmiBMCs), "-h", net + ipmiHosts}, action...)
	}
	peer := server{name: "ipmipower", programs: []string{"ipmipower freeipmi-tools"}}
	own := b.ownTool(ipmiIdleNet+ipmiHosts, "ipmi", secret, ipmiBMCs)
	asking := b.tools(tool{server: peer, status: free(ipmiIdleNet, "--stat")}, tool{server: own.server, status: own.status})
	if err := b.onRack(ctx, ipmiIdleNet, "", fmt.Sprintf("BMC: %d IPMI BMCs (OpenIPMI's ipmi_sim), nothing behind them", ipmiBMCs), asking); err != nil {
		return err
	}

	cycle, err := b.script("ipmipower-cycle", free(ipmiNet, "--off", "--wait-until-off"), free(ipmiNet, "--on", "--wait-until-on"))
	if err != nil {
		return err
	}
	tools := b.tools(
		tool{server: peer, status: free(ipmiNet, "--stat"), cycle: free(ipmiNet, "--cycle"), proved: []string{cycle}},
		b.ownTool(ipmiNet+ipmiHosts, "ipmi", secret, ipmiBMCs),
	)
	if err := b.onRack(ctx, ipmiNet, chassis, fmt.Sprintf("BMC: %d IPMI BMCs (OpenIPMI's ipmi_sim), power behind them", ipmiBMCs), tools); err != nil {
		return err
	}
	fmt.Fprint(b.out, "\nOrdered only is one command to each BMC, and nobody looks: `ipmipower --cycle`, `rackseed power cycle --no-wait`.\n"+
		"Seen off and on is off, read back, on, read back: `ipmipower --off --wait-until-off`, then `--on --wait-until-on`, because it waits\n"+
		"for no cycle; `rackseed power cycle`. For power, ipmi_sim runs a shell for each question and each order, one after the other on the\n"+
		"servers' processor: there that is most of the wall time of either tool, and CPU is what they differ in.\n")
	return nil
}

// onRack compares the tools on a rack of its own. The power of its machines is
// kept by a shell function, or, without one, always on.
func (b *bench) onRack(ctx context.Context, net, power, title string, tools []tool) error {
	stop, err := b.startIPMI(ctx, net, power)
	if err != nil {
		return err
	}
	defer stop()
	var rest func(context.Context) error
	if power != "" {
		rest = b.chassisOn
	}
	return b.compare(ctx, title, "ipmipower", tools, rest)
}

func (b *bench) redfishRack(ctx context.Context, secret string) error {
	count := redfishBMCs
	if b.quick {
		count = ipmiBMCs
	}
	first, stop, err := b.startRedfish(ctx, count, secret)
	if err != nil {
		return err
	}
	defer stop()
	const parallel = 32
	list := filepath.Join(b.lab.dir, "redfish-hosts")
	var hosts strings.Builder
	for i := range count {
		fmt.Fprintln(&hosts, redfishHost(i))
	}
	if err := os.WriteFile(list, []byte(hosts.String()), 0o600); err != nil {
		return fmt.Errorf("writing the list of BMCs: %w", err)
	}
	credentials, err := b.lab.file("redfishtool.json", fmt.Appendf(nil, `{"user": %q, "password": %q}`, bmcUser, bmcPassword))
	if err != nil {
		return err
	}
	many := func(words ...string) []string {
		return append([]string{"xargs", "-a", list, "-I", "HOST", "-P", strconv.Itoa(parallel),
			"redfishtool", "-r", "HOST", "-S", "Always", "-c", credentials, "Systems", "-F"}, words...)
	}
	tools := b.tools(
		tool{server: server{name: "redfishtool", programs: []string{"redfishtool redfishtool"}}, rounds: 1, status: many(), cycle: many("reset", "ForceRestart")},
		b.ownTool(first, "redfish", secret, parallel),
	)
	if err := b.compare(ctx, fmt.Sprintf("BMC: %d simulated Redfish BMCs, %d at a time", count, parallel), "redfishtool", tools, nil); err != nil {
		return err
	}
	fmt.Fprint(b.out, "\nOrdered only: `redfishtool Systems reset ForceRestart`, `rackseed power cycle --no-wait`. redfishtool looks at nothing afterwards.\n")
	return nil
}

// ownTool is Rackseed as an operator runs it, without a daemon.
func (b *bench) ownTool(list, protocol, secret string, parallel int) tool {
	run := func(action ...string) []string {
		return append([]string{b.rackseed, "power", "--state", filepath.Join(b.lab.dir, "bmc-state"), "--bmc", list, "--protocol", protocol,
			"--user", bmcUser, "--password-file", secret, "--parallel", strconv.Itoa(parallel)}, action...)
	}
	return tool{server: server{name: ours}, status: run("status"), cycle: run("cycle", "--no-wait"), proved: run("cycle")}
}

// tools leaves out what is not wanted or not there.
func (b *bench) tools(of ...tool) []tool {
	var kept []tool
	for _, t := range of {
		if b.wants(t.server) {
			kept = append(kept, t)
		}
	}
	return kept
}

// script is a program that runs commands one after the other while they
// succeed. Their words are this file's own.
func (b *bench) script(name string, commands ...[]string) (path string, err error) {
	text := "#!/bin/sh\nset -e\n"
	for _, c := range commands {
		text += "'" + strings.Join(c, "' '") + "'\n"
	}
	if path, err = b.lab.file(name, []byte(text)); err != nil {
		return "", err
	}
	return path, os.Chmod(path, 0o755)
}

// act is one thing that every tool is told to do.
type act struct {
	name string
	goal float64 // of the wall time
	run  func(tool) []string
}

func acts() []act {
	return []act{
		{"power status", 1, func(t tool) []string { return t.status }},
		{"power cycle, ordered only", 1, func(t tool) []string { return t.cycle }},
		{"power cycle, seen off and on", 1, func(t tool) []string { return t.proved }},
	}
}

// chassisOn waits until every machine of the IPMI rack has its power: ipmi_sim
// switches on a second after a cycle, which would disturb whoever is next.
func (b *bench) chassisOn(ctx context.Context) error {
	for i := 0; i < ipmiBMCs; {
		text, err := os.ReadFile(filepath.Join(b.lab.dir, fmt.Sprintf("ipmi/%d/is-power", i+1)))
		if err != nil {
			return fmt.Errorf("looking at a machine's power: %w", err)
		}
		if strings.TrimSpace(string(text)) == "1" {
			i++
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// compare has every tool do the same, in turns, so that whatever else the
// machine does meanwhile disturbs all alike. rest waits until what was done
// before is over; nil is a rack where it is.
func (b *bench) compare(ctx context.Context, title, against string, tools []tool, rest func(context.Context) error) error {
	var servers []server
	for _, t := range tools {
		servers = append(servers, t.server)
	}
	failed := &measure{name: "runs that failed", unit: "", zero: true}
	var rows []*measure
	for _, a := range acts() {
		m, err := b.do(ctx, a, against, tools, failed, rest)
		if err != nil {
			return err
		}
		rows = append(rows, m...)
	}
	b.print(title, servers, append(rows, failed))
	return nil
}

// perRound is how often a tool is run where the others are run once: a rack
// is asked in a second.
const perRound = 3

func (b *bench) do(ctx context.Context, a act, against string, tools []tool, failed *measure, rest func(context.Context) error) ([]*measure, error) {
	wall := &measure{name: a.name + ", wall", unit: "ms", against: against, less: true, goal: a.goal}
	cpu := &measure{name: a.name + ", CPU", unit: "ms", against: against, less: true}
	sockets := &measure{name: a.name + ", sockets", unit: "peak", against: against, less: true}
	rss := &measure{name: a.name + ", RSS", unit: "MB, peak", against: against, less: true, limit: 100}
	// The first turn finds everything cold, and is not counted.
	for turn := range perRound*b.rounds() + 1 {
		for _, t := range tools {
			args := a.run(t)
			costly := t.rounds > 0 && (turn == 0 || turn > t.rounds)
			if args == nil || costly || ctx.Err() != nil {
				continue
			}
			if rest != nil {
				if err := rest(ctx); err != nil {
					return nil, err
				}
			}
			u, err := b.lab.usage(ctx, args)
			if turn == 0 && err == nil {
				continue
			}
			if err != nil && t.name == ours {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			bad := 0.0
			if err != nil {
				bad = 1
			}
			b.logf("   %-12s %-28s %6d ms wall, %6d ms CPU, %4d sockets, %4d MB", t.name, a.name, u.wall.Milliseconds(), u.cpu.Milliseconds(), u.sockets, u.rss>>20)
			failed.count(t.name, bad)
			wall.add(t.name, float64(u.wall.Microseconds())/1000)
			cpu.add(t.name, float64(u.cpu.Microseconds())/1000)
			sockets.add(t.name, float64(u.sockets))
			rss.add(t.name, float64(u.rss)/1e6)
		}
	}
	if wall.values == nil {
		return nil, ctx.Err()
	}
	return []*measure{wall, cpu, sockets, rss}, ctx.Err()
}

// usage is what a command took, its children included.
type usage struct {
	wall, cpu time.Duration
	sockets   int
	rss       int64 // bytes
}

// usage runs a command beside the simulated BMCs, on the load's processor.
func (l *lab) usage(ctx context.Context, args []string) (usage, error) {
	var u usage
	cmd := l.inside(ctx, l.server, l.cpus[1], args[0], args[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return u, fmt.Errorf("starting %s: %w", args[0], err)
	}
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			sockets, rss := holdings(session(cmd.Process.Pid))
			u.sockets, u.rss = max(u.sockets, sockets), max(u.rss, rss)
		}
	}()
	err := cmd.Wait()
	u.wall = time.Since(start)
	close(done)
	<-watched
	if ru, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.cpu = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
		u.rss = max(u.rss, ru.Maxrss<<10)
	}
	if err != nil {
		return u, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, lastLines(out.String()))
	}
	return u, nil
}

func lastLines(text string) string {
	if len(text) > 500 {
		text = "…" + text[len(text)-500:]
	}
	return text
}

// session lists the processes of a session, which began with pid.
func session(pid int) (pids []int) {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	want := strconv.Itoa(pid)
	for _, d := range dirs {
		p, err := strconv.Atoi(d.Name())
		if err != nil || p < pid {
			continue
		}
		text, err := os.ReadFile("/proc/" + d.Name() + "/stat")
		if err != nil {
			continue
		}
		// After the name in parentheses: state, parent, group, session.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 3 && fields[3] == want {
			pids = append(pids, p)
		}
	}
	return pids
}

// holdings sums the open sockets and the resident memory of processes.
func holdings(pids []int) (sockets int, rss int64) {
	for _, p := range pids {
		dir := fmt.Sprintf("/proc/%d/", p)
		files, err := os.ReadDir(dir + "fd")
		if err != nil {
			continue
		}
		for _, f := range files {
			if to, err := os.Readlink(dir + "fd/" + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
				sockets++
			}
		}
		if text, err := os.ReadFile(dir + "statm"); err == nil {
			if fields := strings.Fields(string(text)); len(fields) > 1 {
				pages, _ := strconv.ParseInt(fields[1], 10, 64)
				rss += pages * int64(os.Getpagesize())
			}
		}
	}
	return sockets, rss
}

// chassis keeps the power of a machine behind ipmi_sim, which has a shell call it
// with the machine's folder, get or set, and parameters.
const chassis = `chassis() {
	dir=$1 operation=$2
	shift 2
	case $operation in
	get)
		for p; do
			value=0
			[ "$p" = boot ] && value=none
			[ -e "$dir/is-$p" ] && read -r value <"$dir/is-$p"
			echo "$p:$value"
		done
		;;
	set)
		while [ $# -gt 1 ]; do
			echo "$2" >"$dir/is-$1"
			shift 2
		done
		;;
	esac
}
`

// startIPMI runs a rack of BMCs until stop. The shell function power keeps the
// power of their machines.
func (b *bench) startIPMI(ctx context.Context, net, power string) (stop func(), err error) {
	var procs []*process
	stop = func() {
		for _, p := range procs {
			p.stop()
		}
	}
	for i := range ipmiBMCs {
		dir, err := b.lab.fresh(fmt.Sprintf("ipmi/%d", i+1))
		if err != nil {
			stop()
			return nil, err
		}
		control := ""
		if power != "" {
			control = fmt.Sprintf(`chassis_control ". %s/power; chassis %[1]s"`, dir)
		}
		for name, text := range map[string]string{
			"power": power, "is-power": "1\n",
			"lan.conf": fmt.Sprintf(`name "node"
set_working_mc 0x20
startlan 1
  addr %s 623
  priv_limit admin
  allowed_auths_admin none md2 md5 straight
  guid 0102030405060708090a0b0c0d0e0f10
endlan
%s
user 1 true "" "test" user 10 none md2 md5 straight
user 2 true "%s" "%s" admin 10 none md2 md5 straight
`, net+strconv.Itoa(i+1), control, bmcUser, bmcPassword),
			"emu": "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nsel_enable 0x20 1000 0x0a\nmc_enable 0x20\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				stop()
				return nil, fmt.Errorf("writing a BMC's configuration: %w", err)
			}
		}
		p, err := b.lab.start(fmt.Sprintf("ipmi_sim-%d", i+1), nil, "ipmi_sim", "-n", "-c", filepath.Join(dir, "lan.conf"), "-f", filepath.Join(dir, "emu"), "-s", dir)
		if err != nil {
			stop()
			return nil, err
		}
		procs = append(procs, p)
	}
	probe := b.ownTool(net+ipmiHosts, "ipmi", filepath.Join(b.lab.dir, "bmc-password"), ipmiBMCs).status
	if b.rackseed == noRackseed {
		probe = []string{"sleep", "10"}
	}
	if err := procs[len(procs)-1].until(ctx, b.answersAt(probe)); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// answersAt reports whether a command ends well.
func (b *bench) answersAt(args []string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := b.lab.usage(ctx, args)
		return err
	}
}

func redfishHost(i int) string {
	return fmt.Sprintf("127.0.%d.%d:443", 20+(i+1)/256, (i+1)%256)
}

// startRedfish runs a rack of simulated BMCs until stop, and gives the list
// of them as Rackseed writes it.
func (b *bench) startRedfish(ctx context.Context, count int, secret string) (list string, stop func(), err error) {
	program := filepath.Join(b.lab.dir, "bmcrack")
	if err := command(ctx, "go", "build", "-o", program, "./test/bmcrack"); err != nil {
		return "", nil, err
	}
	p, err := b.lab.start("bmcrack", nil, program, "--count", strconv.Itoa(count), "--at", redfishAt+":443", "--password-file", secret, "--on", "--transition", "0s")
	if err != nil {
		return "", nil, err
	}
	err = p.until(ctx, func(context.Context) error {
		text, err := os.ReadFile(p.log)
		if err == nil && strings.Count(string(text), "https://") < count {
			err = errors.New("not every BMC is there yet")
		}
		return err
	})
	if err != nil {
		p.stop()
		return "", nil, err
	}
	var parts []string
	for i := range count {
		parts = append(parts, redfishHost(i))
	}
	return strings.Join(parts, ","), p.stop, nil
}
