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
	if job.Verb == "bios" && len(job.Args) == 1 && len(job.Results) == 1 && job.Results[0].OK {
		return printSettings(w, dataOf[bmc.FirmwareSettings](job.Results[0]))
	}
	heading, row := columns(job.Verb)
	rows := make([][]string, 0, len(job.Results))
	for _, r := range job.Results {
		cells := []string{r.Target}
		for _, cell := range row(r) {
			cells = append(cells, orDash(cell))
		}
		rows = append(rows, append(cells, note(r, len(heading) > 0)))
	}
	return table(w, append(append([]string{"NAME"}, heading...), "NOTE"), rows)
}

// note is the last column: what went wrong, or what the columns do not show.
func note(r view.JobResult, shown bool) string {
	switch {
	case !r.OK && r.Fix != "":
		return r.Phase + ": " + strings.TrimPrefix(r.Message, r.Phase+": ") + ": " + r.Fix
	case !r.OK:
		return r.Phase + ": " + strings.TrimPrefix(r.Message, r.Phase+": ")
	case shown && r.Attempts > 1:
		return fmt.Sprintf("after %d tries", r.Attempts)
	case shown:
		return "-"
	default:
		return r.Message
	}
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
		cells := append([]string{r.Target, r.Address, r.Rack, strconv.FormatBool(r.OK), r.Phase}, row(r)...)
		_ = w.Write(append(cells, r.Message, strconv.Itoa(r.Attempts), strconv.FormatFloat(r.Seconds, 'f', 3, 64)))
	}
	w.Flush()
	if err := errors.Join(w.Error(), f.Close()); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
