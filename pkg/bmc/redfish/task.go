package redfish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// errStillRunning is a task that had not ended when patience did.
var errStillRunning = errors.New("the BMC's task is still running")

type task struct {
	TaskState  string
	TaskStatus string
	Messages   infos
}

// await follows the task monitor of a 202 reply until the task ends. A task
// that waits for a reset of the host is done as far as a session can see.
func (d *driver) await(ctx context.Context, a answer) error {
	if a.status != http.StatusAccepted {
		return nil
	}
	if a.location == "" {
		// The place of the monitor is in the header (DSP0266, 12.2), or only
		// in the task that is the body.
		var made struct {
			TaskMonitor string
			Path        string `json:"@odata.id"`
		}
		_ = decode(a.body, &made) // a body that is none leads nowhere
		if a.location = local(cmp.Or(made.TaskMonitor, made.Path)); a.location == "" {
			return nil
		}
	}
	for end := time.Now().Add(d.options.Task); ; {
		reply, err := d.do(ctx, http.MethodGet, a.location, nil, nil)
		if status(err) == http.StatusNotFound || status(err) == http.StatusGone {
			return nil // a monitor may go away with its task
		}
		if err != nil {
			return fmt.Errorf("waiting for the BMC's task: %w", err)
		}
		var t task
		if err := decode(reply.body, &t); err != nil && len(reply.body) > 0 {
			return fmt.Errorf("reading the BMC's task: %w", err)
		}
		done, err := d.ended(t, reply.status)
		if done || err != nil {
			return err
		}
		if !time.Now().Before(end) {
			return fmt.Errorf("%w after %s: %s is %s", errStillRunning, d.options.Task, a.location, t.TaskState)
		}
		if err := pause(ctx, d.options.Poll); err != nil {
			return err
		}
	}
}

// ended reads the state of a task (DSP0266, Task.TaskState; Failed,
// CompletedWithErrors and Scheduled are not the standard's and met all the
// same). A monitor that answers anything but 202 has ended and shows the
// result.
func (d *driver) ended(t task, code int) (bool, error) {
	switch t.TaskState {
	case "Exception", "Killed", "Cancelled", "Interrupted", "Failed", "CompletedWithErrors":
		return true, d.taskFailure(t)
	case "Completed":
		if t.TaskStatus == "Critical" {
			return true, d.taskFailure(t)
		}
		return true, nil
	case "Pending", "Suspended", "Service", "Scheduled":
		return true, nil
	case "New", "Starting", "Running", "Stopping", "Cancelling",
		"Uploading", "Downloading", "Verifying", "Updating", "Mounting": // the second line is H3C's
		return false, nil
	}
	return code != http.StatusAccepted, nil
}

func (d *driver) taskFailure(t task) error {
	var said []string
	for _, m := range t.Messages {
		if m.Message == "" {
			m.Message = m.MessageID
		}
		said = append(said, strings.TrimSpace(m.Message+" "+m.Resolution))
	}
	return errors.New(d.redact(strings.TrimSpace("the BMC's task ended as " + t.TaskState + ": " + strings.Join(said, " "))))
}
