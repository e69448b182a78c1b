package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/bmc/batch"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// columns are what a verb's results show beside the machine's name.
func columns(verb string) (heading []string, row func(view.JobResult) []string) {
	switch verb {
	case "power":
		return []string{"POWER"}, func(r view.JobResult) []string {
			return []string{dataOf[struct{ Power string }](r).Power}
		}
	case "bootdev":
		return []string{"DEVICE", "LASTS", "MODE"}, func(r view.JobResult) []string {
			b := dataOf[bmc.Boot](r)
			lasts := ""
			switch {
			case b.Device == "" || b.Device == bmc.DeviceNone:
			case b.Persistent:
				lasts = "persistent"
			default:
				lasts = "once"
			}
			return []string{string(b.Device), lasts, string(b.Mode)}
		}
	case "media":
		return []string{"MEDIUM"}, func(r view.JobResult) []string {
			m := dataOf[bmc.Media](r)
			if r.OK && !m.Inserted {
				return []string{"empty"}
			}
			return []string{m.URL}
		}
	case "inventory":
		return inventoryColumns()
	default:
		return nil, func(view.JobResult) []string { return nil }
	}
}

func inventoryColumns() (heading []string, row func(view.JobResult) []string) {
	return []string{"MANUFACTURER", "MODEL", "SERIAL", "BIOS", "BMC FIRMWARE", "CPUS", "MEMORY", "DISKS", "MACS", "HEALTH"}, func(r view.JobResult) []string {
		i := dataOf[bmc.Inventory](r)
		memory := ""
		if i.Memory > 0 {
			memory = size(i.Memory)
		}
		return []string{i.Manufacturer, i.Model, i.Serial, i.BIOS, i.BMC, count(len(i.CPUs)), memory, count(len(i.Disks)), strings.Join(macsOf(i), " "), i.Health}
	}
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func macsOf(i bmc.Inventory) []string {
	var macs []string
	for _, n := range i.NICs {
		if mac, err := site.ParseMAC(n.MAC); err == nil {
			macs = append(macs, mac.String())
		}
	}
	return macs
}

// dataOf reads the data of a result; a result without data gives the zero
// value.
func dataOf[T any](r view.JobResult) T {
	var v T
	_ = json.Unmarshal(r.Data, &v) // what a newer daemon adds is not shown
	return v
}

// printJob is a job as a table, a line for each machine.
func printJob(w io.Writer, job view.Job) error {
	switch {
	case job.Verb == "bios" && len(job.Args) == 1 && job.Args[0] == "get" && len(job.Results) == 1 && job.Results[0].OK:
		return printSettings(w, dataOf[bmc.FirmwareSettings](job.Results[0]))
	case job.Verb == "bios" && len(job.Args) > 0 && job.Args[0] != "get":
		return printWanted(w, job)
	}
	heading, row := columns(job.Verb)
	rows := make([][]string, 0, len(job.Results))
	for _, r := range job.Results {
		cells := []string{r.Target}
		for _, cell := range recorded(r, row(r)) {
			cells = append(cells, orDash(cell))
		}
		rows = append(rows, append(cells, note(r, len(heading) > 0 && len(r.Data) > 0)))
	}
	return table(w, append(append([]string{"NAME"}, heading...), "NOTE"), rows)
}

// recorded are the cells of a result that has data. One from the log has its
// message only, and no data is not an empty drive.
func recorded(r view.JobResult, cells []string) []string {
	if len(r.Data) == 0 {
		clear(cells)
	}
	return cells
}

// note is the last column: what went wrong, or what the columns do not show.
func note(r view.JobResult, shown bool) string {
	switch {
	case !r.OK && r.Fix != "":
		return r.Phase + ": " + strings.TrimPrefix(r.Message, r.Phase+": ") + ": " + r.Fix
	case !r.OK:
		return r.Phase + ": " + strings.TrimPrefix(r.Message, r.Phase+": ")
	case shown && noteOf(r) != "":
		return noteOf(r)
	case shown && r.Attempts > 1:
		return fmt.Sprintf("after %d tries", r.Attempts)
	case shown:
		return "-"
	default:
		return r.Message
	}
}

// noteOf is what the data of a result leaves in doubt, or saw besides.
func noteOf(r view.JobResult) string { return dataOf[struct{ Note string }](r).Note }

// printWanted sets firmware settings beside the wanted ones: all of a single
// machine, and of many those that say something.
func printWanted(w io.Writer, job view.Job) error {
	var rows [][]string
	for _, r := range job.Results {
		before := len(rows)
		for _, x := range dataOf[[]batch.Setting](r) {
			if len(job.Results) > 1 && x.Right() && x.Pending == nil && x.Unknown == "" {
				continue
			}
			rows = append(rows, []string{r.Target, orDash(x.Concept), orDash(x.Name), shown(x.Want), shown(x.Current), shown(x.Pending), settingNote(x)})
		}
		if len(rows) == before || !r.OK && !differs(r) {
			rows = append(rows, []string{r.Target, "-", "-", "-", "-", "-", note(r, false)})
		}
	}
	return table(w, []string{"NAME", "CONCEPT", "ATTRIBUTE", "WANTED", "NOW", "AFTER A RESET", "NOTE"}, rows)
}

// differs reports whether the settings say all that is wrong.
func differs(r view.JobResult) bool {
	return slices.ContainsFunc(dataOf[[]batch.Setting](r), func(x batch.Setting) bool { return !x.Right() })
}

func settingNote(x batch.Setting) string {
	switch {
	case x.Unknown != "":
		return x.Unknown
	case !x.Right():
		return "not as wanted"
	case x.Pending != nil:
		return "takes effect at the next reset"
	default:
		return "-"
	}
}

func shown(v any) string {
	if v == nil {
		return "-"
	}
	return orDash(fmt.Sprint(v))
}

func printSettings(w io.Writer, s bmc.FirmwareSettings) error {
	rows := make([][]string, 0, len(s.Current))
	for _, name := range slices.Sorted(maps.Keys(s.Current)) {
		pending := "-"
		if p, ok := s.Pending[name]; ok {
			pending = fmt.Sprint(p)
		}
		rows = append(rows, []string{name, fmt.Sprint(s.Current[name]), pending})
	}
	return table(w, []string{"NAME", "NOW", "AFTER A RESET"}, rows)
}

// writeCSV writes the results for a spreadsheet.
func writeCSV(name string, job view.Job) error {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	heading, row := columns(job.Verb)
	w := csv.NewWriter(f)
	head := []string{"name", "address", "rack", "ok", "phase"}
	for _, h := range heading {
		head = append(head, strings.ReplaceAll(strings.ToLower(h), " ", "_"))
	}
	_ = w.Write(append(head, "message", "attempts", "seconds")) // Flush keeps the first error
	for _, r := range job.Results {
		cells := append([]string{r.Target, r.Address, r.Rack, strconv.FormatBool(r.OK), r.Phase}, recorded(r, row(r))...)
		_ = w.Write(append(cells, r.Message, strconv.Itoa(r.Attempts), strconv.FormatFloat(r.Seconds, 'f', 3, 64)))
	}
	w.Flush()
	if err := errors.Join(w.Error(), f.Close()); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
