// Command rackseed provisions bare-metal servers: one daemon that serves
// DHCP, TFTP and HTTP boot, and the commands that work with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/install"
)

// version is set by the build.
var version = "devel"

func main() {
	paceGC(os.Getenv)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// The exit statuses of every command.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2 // wrong usage, or a plan that does not check
	exitSome    = 3 // some machines of a batch failed, the rest are done
	exitRefused = 4 // refused for safety
)

// exitError is an error that ends the command with a status of its own. A nil
// err means that everything there is to say was said.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(errOut, "rackseed:", text)
	}
	return statusOf(err)
}

func statusOf(err error) int {
	var exit *exitError
	var problem *client.Error
	var refusal install.Refusal
	switch {
	case errors.As(err, &exit):
		return exit.status
	case errors.As(err, &refusal):
		return exitRefused
	case errors.As(err, &problem) && problem.Code == "refused":
		return exitRefused
	case errors.As(err, &problem) && (problem.Code == "usage" || problem.Code == "not-found"):
		return exitUsage
	default:
		return exitFailed
	}
}

// globals are the flags that every command has.
type globals struct {
	state string
	json  bool
}

func (g *globals) socket() string { return filepath.Join(g.state, "rackseed.sock") }

func newRootCommand() *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "rackseed",
		Short: "Bare-metal provisioning from a laptop: DHCP, TFTP, HTTP boot, answer files",
		Long: `Rackseed turns a laptop and a rack of unboxed servers into installed, tuned nodes.

  rackseed demo                                       a simulated rack, without root or a network
  rackseed doctor --interface enp3s0                  what this machine and the wire look like
  rackseed serve --plan site.yaml --interface enp3s0  the daemon
  rackseed install cs-controller-01 --no-power        arm a machine; switch it on to install it`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		text, _, conversion := strings.Cut(err.Error(), ": strconv.")
		if conversion {
			text += ": it cannot be read, or is out of range"
		}
		return usageError("%s: see `%s --help`", text, c.CommandPath())
	})
	root.PersistentFlags().StringVar(&g.state, "state", defaultState(), "directory of the log, the image library and the daemon's socket")
	root.PersistentFlags().BoolVar(&g.json, "json", false, "print JSON")
	const daemon = "The daemon and this program"
	add := func(title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: title, Title: title + ":"})
		for _, c := range commands {
			c.GroupID = title
		}
		root.AddCommand(commands...)
	}
	add("First steps", newDemoCommand(g), newDoctorCommand(g), newPlanCommand(g), newImageCommand(g), newServeCommand(g))
	add("Machines", newNodeCommand(g), newInstallCommand(g), newDisarmCommand(g), newExplainCommand(g), newRenderCommand(g), newEventsCommand(g), newReportCommand(g))
	add("BMCs", newPowerCommand(g), newBootdevCommand(g), newBIOSCommand(g), newMediaCommand(g), newInventoryCommand(g), newConsoleCommand(g), newBMCCommand(g), newJobCommand(g))
	add("Beside and behind the installation", newBundleCommand(g), newISOCommand(), newExportCommand(g))
	add(daemon, newDHCPCommand(g), newOperatorCommand(g), newBackupCommand(g), newRestoreCommand(g), newStormCommand(), newVersionCommand(g))
	root.SetHelpCommandGroupID(daemon)
	root.SetCompletionCommandGroupID(daemon)
	addHelpers(root)
	finish(root)
	return root
}

// addHelpers adds what cobra would add by itself, with examples.
func addHelpers(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Example = "  rackseed help plan check"
		case "completion":
			c.Example = "  source <(rackseed completion bash)"
			for _, shell := range c.Commands() {
				shell.Example = "  rackseed completion " + shell.Name() + " > rackseed-completion"
			}
		}
	}
}

// finish gives wrong commands and wrong arguments the exit status of wrong
// usage.
func finish(c *cobra.Command) {
	wrapArgs(c)
	if c.HasSubCommands() {
		c.Args, c.SuggestionsMinimumDistance = cobra.ArbitraryArgs, 2
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			hint := fmt.Sprintf("see `%s --help`", c.CommandPath())
			if like := c.SuggestionsFor(args[0]); len(like) > 0 {
				hint = fmt.Sprintf("did you mean `%s %s`?", c.CommandPath(), like[0])
			}
			return usageError("there is no command `%s %s`: %s", c.CommandPath(), args[0], hint)
		}
	}
	for _, sub := range c.Commands() {
		finish(sub)
	}
}

func wrapArgs(c *cobra.Command) {
	check := c.Args
	if check == nil {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		err := check(c, args)
		switch _, takes, _ := strings.Cut(c.Use, " "); {
		case err == nil:
			return nil
		case takes != "" && strings.HasPrefix(err.Error(), "accepts "): // cobra counts, and names nothing
			return usageError("`%s` takes %s, and %d arguments were given: see `%[1]s --help`", c.CommandPath(), takes, len(args))
		default:
			return usageError("%w: see `%s --help`", err, c.CommandPath())
		}
	}
}

// rootState is where root keeps the state, by the file hierarchy.
const rootState = "/var/lib/rackseed"

func defaultState() string {
	if os.Geteuid() == 0 {
		return rootState
	}
	return userState(rootState)
}

// userState is the state of somebody who is not root: by XDG, unless only
// root has one. Then the daemon is root's, and an empty state beside it would
// say that there are no machines.
func userState(root string) string {
	own := "rackseed-state"
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		own = filepath.Join(dir, "rackseed")
	} else if home, err := os.UserHomeDir(); err == nil {
		own = filepath.Join(home, ".local", "state", "rackseed")
	}
	if !isFolder(own) && isFolder(root) {
		return root
	}
	return own
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func newVersionCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Example: "  rackseed version --json",
		RunE: func(c *cobra.Command, _ []string) error {
			if g.json {
				return printJSON(c, map[string]string{"version": version})
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "rackseed", version)
			return err
		},
	}
}
