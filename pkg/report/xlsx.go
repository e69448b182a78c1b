package report

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/xuri/excelize/v2"

	"github.com/rackseed/rackseed/pkg/view"
)

// XLSX writes the report as a workbook. Every cell is text: a spreadsheet
// program then leaves MACs and serial numbers as they are, and computes
// nothing that a machine put into its name.
func XLSX(r view.Report, lang Lang) (data []byte, err error) {
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	w := words(lang)
	for i, s := range sheets(r, w) {
		if i == 0 {
			err = f.SetSheetName("Sheet1", s.name)
		} else {
			_, err = f.NewSheet(s.name)
		}
		if err == nil {
			err = fill(f, s)
		}
		if err != nil {
			return nil, fmt.Errorf("writing the sheet %s: %w", s.name, err)
		}
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		return nil, fmt.Errorf("writing the workbook: %w", err)
	}
	return b.Bytes(), nil
}

type table struct {
	name string
	rows [][]string // the first is the heading
}

func sheets(r view.Report, w catalogue) []table {
	head := func(keys ...string) [][]string {
		row := make([]string, len(keys))
		for i, k := range keys {
			row[i] = w.of(k)
		}
		return [][]string{row}
	}
	nodes := table{w.of("nodes"), head("node", "role", "rack", "U", "state", "reason", "model", "serial", "UUID", "firmware", "bmc", "cpus", "memory", "image", "attempts", "took", "deviations")}
	addresses := table{w.of("addresses"), head("node", "network", "address")}
	disks := table{w.of("disks"), head("node", "disk")}
	nics := table{w.of("nics"), head("node", "name", "MAC", "link", "Mbit/s", "neighbour")}
	attempts := table{w.of("attempts"), head("node", "attempt", "armed", "why", "started", "ended", "took", "result", "stage", "reason", "image")}
	answers := table{w.of("answer"), head("node", "attempt", "file", "SHA-256", "at", "address")}
	phases := table{w.of("phase"), head("node", "attempt", "phase", "took", "note")}
	deviations := table{w.of("deviations"), head("node", "deviation")}
	images := table{w.of("image"), head("name", "system", "version", "SHA-256")}
	for _, i := range r.Images {
		images.rows = append(images.rows, []string{i.Name, i.Distro, i.Version, i.SHA256})
	}
	for _, n := range r.Nodes {
		nodes.rows = append(nodes.rows, nodeRow(n, w))
		for _, network := range slices.Sorted(maps.Keys(n.Addresses)) {
			addresses.rows = append(addresses.rows, []string{n.Name, network, n.Addresses[network].String()})
		}
		for _, d := range n.Disks {
			disks.rows = append(disks.rows, []string{n.Name, disk(d)})
		}
		for _, i := range n.NICs {
			nics.rows = append(nics.rows, []string{n.Name, i.Name, i.MAC.String(), i.Link, number(i.Speed), i.Neighbour.Switch + " " + i.Neighbour.Port})
		}
		for _, d := range n.Deviations {
			deviations.rows = append(deviations.rows, []string{n.Name, d})
		}
		for _, a := range n.Attempts {
			at := strconv.Itoa(a.Number)
			attempts.rows = append(attempts.rows, []string{n.Name, at, a.ArmedBy, a.Why, when(a.Started), when(a.Ended), took(a), w.of(a.Result), a.Stage, a.Reason, a.Image})
			for _, s := range a.Answers {
				answers.rows = append(answers.rows, []string{n.Name, at, s.File, s.SHA256, when(s.At), s.Addr.String()})
			}
			for _, p := range a.Phases {
				phases.rows = append(phases.rows, []string{n.Name, at, w.of(p.Name), seconds(p.Seconds), p.Note})
			}
		}
	}
	return []table{nodes, attempts, phases, deviations, addresses, nics, disks, answers, images}
}

func nodeRow(n view.ReportNode, w catalogue) []string {
	uuid, lasted := "", ""
	if !n.UUID.IsZero() {
		uuid = n.UUID.String()
	}
	if a := newest(n); a != nil {
		lasted = took(*a)
	}
	return []string{
		n.Name, n.Role, n.Rack, number(n.U), w.of(string(n.State)), n.Reason, n.Manufacturer + " " + n.Model, n.Serial, uuid, n.Firmware, n.BMC,
		number(n.CPUs), size(n.Memory), n.Image, strconv.Itoa(len(n.Attempts)), lasted, strconv.Itoa(len(n.Deviations)),
	}
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

const textFormat = 49 // ECMA-376 part 1, 18.8.30

func fill(f *excelize.File, s table) error {
	text, err1 := f.NewStyle(&excelize.Style{NumFmt: textFormat, Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}})
	head, err2 := f.NewStyle(&excelize.Style{NumFmt: textFormat, Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"D9E2F3"}}})
	w, err3 := f.NewStreamWriter(s.name)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	err1 = w.SetColWidth(1, len(s.rows[0]), 22)
	err2 = w.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for i, row := range s.rows {
		cells, style := make([]any, len(row)), text
		if i == 0 {
			style = head
		}
		for j, v := range row {
			cells[j] = excelize.Cell{StyleID: style, Value: v}
		}
		at, err := excelize.CoordinatesToCellName(1, i+1)
		if err == nil {
			err = w.SetRow(at, cells)
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	return w.Flush()
}
