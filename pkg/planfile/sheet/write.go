package sheet

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/xuri/excelize/v2"

	"github.com/rackseed/rackseed/pkg/site"
)

// Lang is the language of the headings.
type Lang string

// The languages.
const (
	Chinese Lang = "zh"
	English Lang = "en"
)

// Sheet gives the machines of a plan as the rows of a sheet, the headings
// first. Read takes it back: merged into the same plan, it changes nothing.
// Passwords are not in it.
func Sheet(p *site.Plan, lang Lang) [][]string {
	headings := map[Key][2]string{
		KeyHostname: {"主机名", "hostname"}, KeyRole: {"角色", "role"}, KeyRack: {"机柜", "rack"}, KeyU: {"U位", "U"},
		KeySerial: {"序列号", "serial"}, KeyUUID: {"UUID", "UUID"}, KeyMAC: {"MAC地址", "MAC"},
		KeyBMCAddress: {"带外IP", "BMC IP"}, KeyBMCUser: {"带外用户", "bmc_user"}, KeyBMCMAC: {"带外MAC", "BMC MAC"}, KeyMemory: {"内存", "memory"},
	}
	at := 0
	if lang == English {
		at = 1
	}
	keys := []Key{KeyHostname, KeyRole, KeyRack, KeyU, KeySerial, KeyUUID, KeyMAC, KeyBMCAddress, KeyBMCMAC, KeyBMCUser, KeyMemory}
	networks := usedNetworks(p)
	var heading []string
	for _, k := range keys {
		heading = append(heading, headings[k][at])
	}
	for _, name := range networks {
		heading = append(heading, networkHeading(p, name, lang))
	}
	rows := [][]string{heading}
	for i := range p.Nodes {
		n := &p.Nodes[i]
		rack := n.Rack
		if rack == "" {
			rack = "-" // an empty cell stands for the rack of the row above
		}
		row := []string{n.Name, n.Role, rack, number(int64(n.U)), n.Serial, uuid(n.UUID), macs(n.MACs), n.BMC.Address, macOf(n.BMC.MAC), n.BMC.Username, memory(n.Hardware.Memory)}
		for _, name := range networks {
			row = append(row, address(n.Addresses[name]))
		}
		rows = append(rows, row)
	}
	return rows
}

func usedNetworks(p *site.Plan) []string {
	used := map[string]bool{}
	for i := range p.Nodes {
		for name := range p.Nodes[i].Addresses {
			used[name] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// networkHeading is the most readable heading that Read takes for the
// network.
func networkHeading(p *site.Plan, name string, lang Lang) string {
	r := newReader(Options{Plan: p})
	candidates := []string{name + " IP"}
	if words := r.addresses[site.NetworkRole(name)]; lang == Chinese && len(words) > 0 {
		candidates = []string{words[0] + "IP", name + " IP"}
	}
	for _, heading := range candidates {
		if key, network, p := r.columnKey(heading); p == nil && key == KeyAddress && network == name {
			return heading
		}
	}
	return "ip:" + name
}

func memory(n int64) string {
	switch {
	case n == 0 || n%(1<<20) != 0:
		return "" // an amount that no sheet can show stays in the plan alone
	case n%(1<<30) == 0:
		return fmt.Sprintf("%dGB", n>>30)
	default:
		return fmt.Sprintf("%dMB", n>>20)
	}
}

// CSV writes rows as UTF-8 with a byte order mark, without which Excel takes
// it for the code page of the machine.
func CSV(rows [][]string) ([]byte, error) {
	b := bytes.NewBufferString("\ufeff")
	w := csv.NewWriter(b)
	w.UseCRLF = true
	if err := w.WriteAll(rows); err != nil {
		return nil, fmt.Errorf("writing the .csv file: %w", err)
	}
	return b.Bytes(), nil
}

// XLSX writes rows as one sheet in which every cell is text: a spreadsheet
// program then leaves MAC addresses and serial numbers as they are.
func XLSX(name string, rows [][]string) (data []byte, err error) {
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.SetSheetName("Sheet1", name); err != nil {
		return nil, fmt.Errorf("naming the sheet: %w", err)
	}
	if err := fill(f, name, rows); err != nil {
		return nil, err
	}
	b, err := f.WriteToBuffer()
	if err != nil {
		return nil, fmt.Errorf("writing the .xlsx file: %w", err)
	}
	return b.Bytes(), nil
}

const textFormat = 49 // ECMA-376 part 1, 18.8.30

func fill(f *excelize.File, name string, rows [][]string) error {
	text, err1 := f.NewStyle(&excelize.Style{NumFmt: textFormat})
	head, err2 := f.NewStyle(&excelize.Style{NumFmt: textFormat, Font: &excelize.Font{Bold: true}, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"D9E2F3"}}})
	w, err3 := f.NewStreamWriter(name)
	if err := errors.Join(err1, err2, err3); err != nil {
		return fmt.Errorf("preparing the .xlsx file: %w", err)
	}
	if len(rows) > 0 {
		if err := w.SetColWidth(1, max(len(rows[0]), 1), 20); err != nil {
			return fmt.Errorf("setting the width of columns: %w", err)
		}
		if err := w.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
			return fmt.Errorf("freezing the headings: %w", err)
		}
	}
	for i, row := range rows {
		cells, style := make([]any, len(row)), text
		if i == 0 {
			style = head
		}
		for j, v := range row {
			cells[j] = excelize.Cell{StyleID: style, Value: v}
		}
		at, err := excelize.CoordinatesToCellName(1, i+1)
		if err != nil {
			return fmt.Errorf("writing row %d: %w", i+1, err)
		}
		if err := w.SetRow(at, cells); err != nil {
			return fmt.Errorf("writing row %d: %w", i+1, err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the rows: %w", err)
	}
	return nil
}
