package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// adoption is what a direct inventory found, as far as the plan can use it.
type adoption struct {
	known  map[string]bmc.Known  // by address
	logins map[string]bmc.Target // that opened the BMC, by address
}

// adopt gives the planned nodes of an inventory their BMCs.
func (f *bmcFlags) adopt(c *cobra.Command, g *globals, job view.Job) error {
	v := &fileVault{dir: g.state}
	if err := v.open(); err != nil {
		return err
	}
	req := view.AdoptRequest{By: operatorName()}
	for _, r := range job.Results {
		if !r.OK {
			continue
		}
		known, login := f.found.known[r.Address], f.found.logins[r.Address]
		req.BMCs = append(req.BMCs, view.FoundBMC{
			Address: r.Address, Protocol: string(cmp.Or(login.Protocol, known.Protocol)), Username: login.Username, Password: v.box.Seal(login.Password),
			Known: site.BMCKnown{
				Protocol: string(known.Protocol), CipherSuite: known.CipherSuite, Certificate: known.Certificate,
				Manufacturer: known.Manufacturer, Model: known.Model, Firmware: known.Firmware,
			},
			Inventory: bmc.Observed(dataOf[bmc.Inventory](r)),
		})
	}
	var result view.AdoptResult
	err := withClient(c.Context(), g, func(cl *client.Client) (err error) {
		result, err = cl.AdoptBMCs(c.Context(), req)
		return err
	})
	if err != nil {
		return err
	}
	for _, a := range result.BMCs {
		if !a.OK {
			continue
		}
		if err := v.forget(a.Address); err != nil {
			fmt.Fprintln(c.ErrOrStderr(), "warning:", err)
		}
	}
	if g.json {
		err = printJSON(c, result)
	} else {
		err = printAdopted(c, job, result)
	}
	if err != nil {
		return err
	}
	return adoptVerdict(job, result)
}

func printAdopted(c *cobra.Command, job view.Job, result view.AdoptResult) error {
	rows := make([][]string, 0, len(job.Results))
	adopted := map[string]view.AdoptedBMC{}
	for _, a := range result.BMCs {
		adopted[a.Address] = a
	}
	for _, r := range job.Results {
		i := dataOf[bmc.Inventory](r)
		a, ok := adopted[r.Address]
		what := "adopted"
		switch {
		case !ok:
			what = "failed"
			a.Note = note(r, true)
		case !a.OK:
			what = "left alone"
		case !a.New:
			what = "known"
		}
		rows = append(rows, []string{r.Address, orDash(i.Serial), orDash(a.Node), what, orDash(a.Note)})
	}
	return table(c.OutOrStdout(), []string{"BMC", "SERIAL", "NODE", "WHAT", "NOTE"}, rows)
}

// adoptVerdict is the exit status: every BMC of the list is somebody's, or
// some are not.
func adoptVerdict(job view.Job, result view.AdoptResult) error {
	ok := 0
	for _, a := range result.BMCs {
		if a.OK {
			ok++
		}
	}
	switch {
	case ok == job.Total:
		return nil
	case ok == 0:
		return &exitError{exitFailed, fmt.Errorf("none of %d BMCs is that of a planned node", job.Total)}
	default:
		return &exitError{exitSome, fmt.Errorf("%d of %d BMCs are those of planned nodes, %d are not", ok, job.Total, job.Total-ok)}
	}
}

// remember keeps what opened each BMC of a direct run.
func (f *bmcFlags) remember(targets []bmc.Target, known map[string]bmc.Known) {
	f.found = adoption{known: known, logins: map[string]bmc.Target{}}
	for _, t := range targets {
		if f.guesser != nil {
			login, ok := f.guesser.Found(t.Address)
			if !ok {
				continue
			}
			t.Username, t.Password = login.Username, login.Password
		}
		f.found.logins[t.Address] = t
	}
}
