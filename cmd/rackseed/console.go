package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

func newConsoleCommand(g *globals) *cobra.Command {
	f := &consoleFlags{}
	c := &cobra.Command{
		Use:   "console NODE",
		Short: "The serial console of a machine, through its BMC",
		Long: `Shows the serial console of a machine in this terminal, through its BMC (IPMI serial over LAN).
A console that somebody else has open is taken over. Redfish has no console of its own: where a BMC offers one
by SSH or in its pages, it is not used here.

With --record what the machine says goes into its timeline, too (` + "`rackseed node show NODE --timeline`" + `); with
--record FILE it is appended to a file. --record-for has the daemon record it while nobody looks: it takes no
console from a person, and tries again after the BMC restarts.

At the beginning of a line, ~. ends it, ~~ types a tilde, and ~? lists these. All else goes to the
machine, Ctrl-C too. Without a terminal the standard input is typed and the console is copied to the
standard output until the program is interrupted.`,
		Example: `  rackseed console cs-computer-0001
  rackseed console cs-computer-0001 --record
  rackseed console cs-computer-0001 --record-for 2h
  rackseed console --bmc 10.21.0.11 --user admin --password-file bmc.pass --record boot.log`,
		Args: func(_ *cobra.Command, args []string) error {
			args = f.takeFile(args)
			if f.direct.bmcs == "" && len(args) != 1 || f.direct.bmcs != "" && len(args) != 0 {
				return errors.New("which machine? give one NODE, or its BMC with --bmc ADDRESS")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			args = f.takeFile(args)
			if f.recordFor > 0 || f.stop {
				return f.unattended(c, g, args)
			}
			target, err := f.target(c, g, args)
			if err != nil {
				return err
			}
			return f.run(c, g, target)
		},
	}
	f.direct.add(c.Flags())
	c.Flags().StringVar(&f.plan, "plan", "", "take the BMC from this plan `FILE`, without a daemon")
	c.Flags().StringVar(&f.record, "record", "", "keep what the machine says in its timeline, too, or append it to this `FILE`")
	c.Flags().Lookup("record").NoOptDefVal = toTimeline
	c.Flags().DurationVar(&f.recordFor, "record-for", 0, "have the daemon record it for so long, and look at nothing")
	c.Flags().BoolVar(&f.stop, "stop-recording", false, "have the daemon record it no more")
	return c
}

type consoleFlags struct {
	direct    directFlags
	plan      string
	record    string // a file, or toTimeline
	recordFor time.Duration
	stop      bool
}

// toTimeline is what --record without a file is for.
const toTimeline = "timeline"

// takeFile has --record FILE mean the same as --record=FILE.
func (f *consoleFlags) takeFile(args []string) []string {
	most := 1
	if f.direct.bmcs != "" {
		most = 0
	}
	if len(args) != most+1 || f.record != toTimeline && f.record != args[most] {
		return args
	}
	f.record = args[most]
	return args[:most]
}

// target is the one BMC that it is about.
func (f *consoleFlags) target(c *cobra.Command, g *globals, args []string) (bmc.Target, error) {
	var targets []bmc.Target
	var err error
	if f.direct.bmcs != "" || f.plan != "" {
		selector := ""
		if len(args) > 0 {
			selector = args[0]
		}
		named := &bmcFlags{plan: f.plan, direct: f.direct}
		targets, _, err = named.targets(c.Context(), c, selector)
	} else {
		targets, err = f.ofDaemon(c, g, args[0])
	}
	if err != nil {
		return bmc.Target{}, err
	}
	if len(targets) != 1 {
		return bmc.Target{}, usageError("a console is of one machine, and these are %d", len(targets))
	}
	t := targets[0]
	if f.direct.protocol == string(bmc.Redfish) {
		return t, usageError("the console of %s is IPMI's: leave out --protocol redfish; consoles by SSH or in the BMC's pages are not used", t.Name)
	}
	t.Protocol = bmc.IPMI
	return t, nil
}

// ofDaemon takes the BMC from the daemon's log, and its password with the
// daemon's key.
func (f *consoleFlags) ofDaemon(c *cobra.Command, g *globals, node string) ([]bmc.Target, error) {
	ctx := c.Context()
	s := site.NewState()
	for e, err := range client.Unix(g.socket()).Events(ctx, 0) {
		if err == nil {
			err = s.Apply(e)
		}
		if err != nil {
			return nil, err
		}
	}
	box, err := seal.Open(filepath.Join(g.state, "key"))
	if err != nil {
		return nil, err
	}
	targets, err := planTargets(s, node, passwords{box: box}.reveal, f.direct.passwordFile != "")
	if err != nil {
		return nil, err
	}
	return targets, f.direct.complete(ctx, c, targets)
}

// consoleLogin is how long the BMC may take to log in and to hang up.
const consoleLogin = 30 * time.Second

func (f *consoleFlags) run(c *cobra.Command, g *globals, t bmc.Target) (err error) {
	dial, err := f.direct.dialer()
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	switch f.record {
	case "":
	case toTimeline:
		if f.direct.bmcs != "" || f.plan != "" {
			return usageError("timelines are of nodes in a daemon's plan: give a NODE, or a file with --record FILE")
		}
		tape := tapeOf(c.Context(), g, t.Name)
		defer func() { err = errors.Join(err, tape.end()) }()
		out = io.MultiWriter(out, tape)
	default:
		// A console shows what people type, so the file is theirs alone.
		file, err := os.OpenFile(f.record, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return usageError("recording: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = io.MultiWriter(out, file)
	}
	ctx := c.Context()
	login, cancel := context.WithTimeout(ctx, consoleLogin)
	defer cancel()
	driver, err := dial(login, t)
	if err != nil {
		return fmt.Errorf("the console of %s: %w", t.Name, err)
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), consoleLogin)
		defer cancel()
		_ = driver.Close(bye)
	}()
	console, err := driver.Console(login)
	if err != nil {
		return fmt.Errorf("the console of %s: %w", t.Name, err)
	}
	defer func() { _ = console.Close() }()
	return converse(ctx, t.Name, console, c.InOrStdin(), out, c.ErrOrStderr())
}

// converse joins a console and a person, or two pipes.
func converse(ctx context.Context, name string, console io.ReadWriteCloser, in io.Reader, out, errOut io.Writer) error {
	file, ok := in.(*os.File)
	interactive := ok && term.IsTerminal(int(file.Fd()))
	if interactive {
		before, err := term.MakeRaw(int(file.Fd()))
		if err != nil {
			return fmt.Errorf("preparing the terminal: %w", err)
		}
		defer func() {
			_ = term.Restore(int(file.Fd()), before)
			fmt.Fprint(errOut, resetTerminal)
		}()
		fmt.Fprintf(errOut, "Console of %s. ~. at the beginning of a line ends it, ~? helps.\r\n", name)
	}
	said := make(chan struct{})
	var lost error // read after said
	go func() {
		defer close(said)
		_, lost = io.Copy(out, console)
	}()
	typed := make(chan error, 1)
	// A read of a terminal cannot be called off: this goroutine may end with
	// the program only.
	go func() { typed <- typeAll(console, in, errOut, interactive) }()
	for {
		select {
		case err := <-typed:
			if interactive || err != nil {
				_ = console.Close()
				<-said
				if errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.EOF) {
					err = nil
				}
				return err
			}
			typed = nil // the input is a pipe at its end; the machine may go on
		case <-said:
			if lost != nil {
				return fmt.Errorf("the console of %s ended: %w", name, lost)
			}
			return fmt.Errorf("the console of %s ended: the BMC closed it, or somebody took it over", name)
		case <-ctx.Done():
			_ = console.Close()
			<-said
			return nil
		}
	}
}

// resetTerminal takes back what a machine's boot screens do to a window:
// colours, a hidden cursor, the alternate screen, a scroll region.
const resetTerminal = "\x1b[0m\x1b[?25h\x1b[?1049l\x1b[r\x1b[999B\r\n"

func typeAll(console io.Writer, in io.Reader, errOut io.Writer, interactive bool) error {
	keys := escapes{atStart: true}
	buffer := make([]byte, 256)
	for {
		n, err := in.Read(buffer)
		text, verdict := buffer[:n], keepOn
		if interactive {
			text, verdict = keys.feed(text)
		}
		if len(text) > 0 {
			if _, err := console.Write(text); err != nil {
				return err
			}
		}
		switch {
		case verdict == hangUp, errors.Is(err, io.EOF):
			return nil
		case verdict == helpAsked:
			fmt.Fprint(errOut, "\r\n~.  end the console\r\n~~  type a tilde\r\n~?  this\r\n")
		}
		if err != nil {
			return fmt.Errorf("reading the keyboard: %w", err)
		}
	}
}

// escapes finds ~. and its like at the beginnings of lines.
type escapes struct {
	atStart bool // of a line
	tilde   bool // it began with one
}

type escapeVerdict int

const (
	keepOn escapeVerdict = iota
	hangUp
	helpAsked
)

// feed returns what is for the machine.
func (e *escapes) feed(in []byte) (out []byte, verdict escapeVerdict) {
	for _, b := range in {
		switch {
		case e.tilde && b == '.':
			return out, hangUp
		case e.tilde && b == '?':
			e.tilde, verdict = false, helpAsked
			continue
		case e.tilde && b == '~':
			e.tilde, e.atStart = false, false
		case e.tilde:
			e.tilde = false
			out = append(out, '~')
			e.atStart = b == '\r' || b == '\n'
		case e.atStart && b == '~':
			e.tilde = true
			continue
		default:
			e.atStart = b == '\r' || b == '\n'
		}
		out = append(out, b)
	}
	return out, verdict
}
