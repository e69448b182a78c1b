package flight

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// FromEvent is an event of the site's log as a timeline shows it, and false
// for one that is about no machine. Planned tells the names of nodes from
// other subjects.
func FromEvent(ev site.Event, planned func(node string) bool) (Entry, bool) {
	e := Entry{At: ev.At, Seq: ev.Seq, Source: Log, What: ev.Body.Kind()}
	switch b := ev.Body.(type) {
	case site.InstallProgress:
		e.Source, e.Node, e.Attempt, e.What, e.Detail = Installer, b.Node, b.Attempt, b.Stage, b.Detail
	case site.InstallDone:
		e.Source, e.Node, e.Attempt, e.What = Installer, b.Node, b.Attempt, "done"
	case site.InstallFailed:
		e.Source, e.Node, e.Attempt, e.What, e.Name, e.Detail = Installer, b.Node, b.Attempt, "failed", b.Stage, b.Reason
	case site.NodeVerified:
		e.Source, e.Node, e.Attempt, e.What = Installer, b.Node, b.Attempt, "verified"
		if n := len(b.Deviations); n > 0 {
			e.Detail = fmt.Sprintf("%d deviations: %s", n, strings.Join(b.Deviations, "; "))
		}
	case site.InstallStarted:
		e.Node, e.Attempt, e.MAC, e.Addr = b.Node, b.Attempt, b.MAC, b.Addr
	case site.InstallResumed:
		e.Node, e.Attempt = b.Node, b.Attempt
	case site.AnswerServed:
		e.Node, e.Attempt, e.Name, e.Addr = b.Node, b.Attempt, b.File, b.Addr
	case site.EvidenceStored:
		e.Node, e.Attempt, e.Name, e.Bytes = b.Node, b.Attempt, b.File, b.Size
	case site.Armed:
		e.Node, e.Detail = b.Node, sentence("by", b.By, b.Reason)
	case site.Disarmed:
		e.Node, e.Detail = b.Node, sentence("by", b.By, b.Reason)
	case site.NodeHeld:
		e.Node, e.Detail = b.Node, b.Reason
	case site.StrangerSeen:
		e.MAC, e.Detail = b.MAC, strings.TrimSpace(b.Arch+" "+b.Class)
	case site.LeaseGranted:
		e.MAC, e.Addr = b.Lease.MAC, b.Lease.Addr
	case site.LeaseReleased:
		e.MAC, e.Addr = b.MAC, b.Addr
	case site.AddressDeclined:
		e.MAC, e.Addr = b.MAC, b.Addr
	case site.JobStep:
		e.Source, e.Node, e.Name, e.Detail = BMC, b.Node, b.ID, b.What
		e.What = "step"
		if b.Power != "" {
			e.What = "power-" + b.Power
		}
	case site.JobNodeDone:
		e.Source, e.Node, e.Name, e.Detail = BMC, b.Node, b.ID, b.Message
		e.What = map[bool]string{true: "job-done", false: "job-failed"}[b.OK]
	default:
		return fromSubject(e, ev.Body.Subject(), planned)
	}
	return e, e.key() != ""
}

// fromSubject serves the kinds that say no more than whom they are about.
func fromSubject(e Entry, subject string, planned func(string) bool) (Entry, bool) {
	if mac, err := site.ParseMAC(subject); err == nil {
		e.MAC = mac
		return e, true
	}
	e.Node = subject
	return e, planned(subject)
}

func sentence(word, name, reason string) string {
	text := reason
	if name != "" {
		text = strings.TrimSuffix(word+" "+name+": "+reason, ": ")
	}
	return text
}
