package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// healthTime is how long a log may take to answer before it counts as stuck.
const healthTime = 2 * time.Second

// health is whether the process serves. That it answers at all shows that its
// sockets are open.
func (c *core) health() view.Health {
	var h view.Health
	h.Add(view.HealthCheck{Name: "process", OK: true, What: "the daemon answers"})
	h.Add(c.logCheck())
	return h
}

// logCheck passes a question through the single writer, and remembers what
// became of the latest commit: a full disk shows only there.
func (c *core) logCheck() view.HealthCheck {
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	_, err := c.ledger.Do(ctx, func(*site.State, time.Time) ([]site.Body, error) { return nil, nil })
	if err == nil {
		err = c.ledger.Failing()
	}
	if err != nil {
		return view.HealthCheck{Name: "log", What: "the log does not take events: " + err.Error(), Fix: "make room on the disk of the state directory; after any other error restart the daemon, which checks the log"}
	}
	return view.HealthCheck{Name: "log", OK: true, What: "the log takes events"}
}

// ready is whether a machine that is armed now could be installed.
func (c *core) ready(serving view.Serving) view.Health {
	s := c.ledger.State()
	h := c.health()
	plan := planCheck(s)
	if serving.Plan != "" {
		plan = view.HealthCheck{Name: plan.Name, What: serving.Plan, Fix: "rackseed plan apply FILE"}
	}
	h.Add(plan)
	h.Add(wireCheck(serving))
	h.Add(imageCheck(s))
	return h
}

func planCheck(s *site.State) view.HealthCheck {
	if s.PlanDigest == "" {
		return view.HealthCheck{Name: "plan", What: "no plan is in force", Fix: "rackseed plan apply FILE"}
	}
	return view.HealthCheck{Name: "plan", OK: true, What: fmt.Sprintf("the plan of %s with %d nodes is in force", orElse(s.Settings.Site, "a site without a name"), s.Len())}
}

func wireCheck(serving view.Serving) view.HealthCheck {
	switch {
	case serving.Note != "":
		return view.HealthCheck{Name: "wire", What: serving.Note, Fix: "wait, or see `rackseed doctor`"}
	case serving.HTTP == "":
		return view.HealthCheck{Name: "wire", What: "nothing is served", Fix: "rackseed serve"}
	case serving.DHCP == site.DHCPOff:
		return view.HealthCheck{Name: "wire", OK: true, What: "DHCP is off, as ordered; TFTP and HTTP are served"}
	default:
		return view.HealthCheck{Name: "wire", OK: true, What: fmt.Sprintf("DHCP answers in %s mode on %s", serving.DHCP, strings.Join(serving.Interfaces, ", "))}
	}
}

// imageCheck compares what planned nodes install from with the library.
func imageCheck(s *site.State) view.HealthCheck {
	var missing []string
	for _, m := range s.Machines() {
		name := s.Settings.ImageOf(m.Node)
		if _, ok := s.Images.Get(name); name != "" && !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return view.HealthCheck{Name: "images", What: "not in the library: " + strings.Join(missing, ", "), Fix: "rackseed image add FILE.iso --name " + missing[0]}
	}
	return view.HealthCheck{Name: "images", OK: true, What: fmt.Sprintf("every image that the plan uses is among the %d of the library", s.Images.Len())}
}
