package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrStop says that the install must not go on.
var ErrStop = errors.New("the plan stops an install over wrong cables")

// Check looks at the cables of a machine whose installer runs, and prints what
// the daemon says of them, one line each. Url is that of the attempt's reports.
// ErrStop is the daemon's word; every other error means that nobody could tell.
func Check(ctx context.Context, url string, out io.Writer) error {
	m, d := Machine{Root: "/"}, newDaemon(url)
	tasks, err := d.tasks(ctx, "cabling")
	if err != nil {
		return err
	}
	for _, n := range m.nics() {
		// An installer uses some ports only; those get back to what they were.
		if off, err := up(n.Name); err == nil && off {
			defer down(n.Name)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(tasks.LLDP)*time.Second+time.Minute)
	defer cancel()
	answer, err := d.send(ctx, "cabling", look(ctx, m, tasks))
	if err != nil {
		return err
	}
	verdict, findings, _ := strings.Cut(strings.TrimSpace(answer), "\n")
	if findings != "" {
		fmt.Fprintln(out, findings)
	}
	switch verdict {
	case "ok", "warn":
		return nil
	case "stop":
		return ErrStop
	default:
		return fmt.Errorf("the daemon's verdict is %q", verdict)
	}
}
