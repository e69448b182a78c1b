package sheet

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"
)

// maxUnpacked bounds what an .xlsx may unpack to.
const maxUnpacked = 128 << 20

// readXLSX reads every sheet. The library panics on some files that no
// spreadsheet program wrote; for the operator they are all unreadable.
func readXLSX(data []byte) (grids []Grid, err error) {
	defer func() {
		if r := recover(); r != nil {
			grids, err = nil, errors.New("the .xlsx file is damaged: open it in a spreadsheet program and save it again")
		}
	}()
	if err := checkSize(data); err != nil {
		return nil, err
	}
	f, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxUnpacked})
	if err != nil {
		return nil, fmt.Errorf("reading the .xlsx file: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, name := range f.GetSheetList() {
		g, err := readSheet(f, name)
		if err != nil {
			return nil, fmt.Errorf("sheet %s: %w", name, err)
		}
		grids = append(grids, g)
	}
	return grids, nil
}

// checkSize reads the parts as a stream first, because the library lays out
// every cell up to the last of a row: a few kilobytes can ask for gigabytes.
func checkSize(data []byte) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("reading the .xlsx file: %w", err)
	}
	left, cells := int64(maxUnpacked), 0
	for _, part := range z.File {
		r, err := part.Open()
		if err != nil {
			return fmt.Errorf("reading the .xlsx file: %w", err)
		}
		limited := &io.LimitedReader{R: r, N: left + 1}
		err = countCells(limited, &cells)
		if err == nil {
			_, err = io.Copy(io.Discard, limited)
		}
		_ = r.Close()
		if err != nil {
			return fmt.Errorf("reading %s of the .xlsx file: %w", part.Name, err)
		}
		if left = limited.N - 1; left < 0 {
			return fmt.Errorf("the .xlsx file unpacks to more than %d MB: remove what is not needed", maxUnpacked>>20)
		}
	}
	return nil
}

func countCells(r io.Reader, cells *int) error {
	d := xml.NewDecoder(r)
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	rows, last := 0, 0
	for {
		token, err := d.RawToken()
		if err != nil {
			return nil // the end, or no XML: then the library finds no cells either
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "c" && e.Name.Local != "row" {
			continue
		}
		if e.Name.Local == "row" {
			rows, last = rows+1, 0
		} else {
			last++
		}
		if at := attribute(e, "r"); at != "" && e.Name.Local == "c" {
			column, row, err := excelize.CellNameToCoordinates(at)
			if err != nil || column > maxColumns || row > maxRows {
				return fmt.Errorf("cell %s is beyond row %d or column %s: delete the empty rows and columns", at, maxRows, letters(maxColumns-1))
			}
			*cells += max(column-last, 0)
			last = column
		} else if at != "" {
			if len(at) > 5 || len(at) == 5 && at > "65536" {
				return fmt.Errorf("row %s is beyond row %d: delete the empty rows", at, maxRows)
			}
		}
		if *cells++; *cells > maxCells || rows > maxRows || last > maxColumns {
			return fmt.Errorf("there are more than %d rows or %d cells: delete the empty ones", maxRows, maxCells)
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func readSheet(f *excelize.File, name string) (Grid, error) {
	g := Grid{Name: name}
	rows, err := f.Rows(name)
	if err != nil {
		return g, err
	}
	for number := 1; rows.Next(); number++ {
		values, err := rows.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return g, errors.Join(err, rows.Close())
		}
		if len(values) == 0 {
			continue
		}
		row := GridRow{Number: number, Last: number, Cells: make([]Cell, len(values))}
		for i, v := range values {
			row.Cells[i] = Cell{Raw: v}
			if v != "" && v[0] <= '9' {
				row.Cells[i].Number = isNumber(f, name, i+1, number)
			}
		}
		g.Rows = append(g.Rows, row)
	}
	if err := rows.Close(); err != nil {
		return g, err
	}
	if err := spread(f, &g); err != nil {
		return g, err
	}
	filled := g.Rows[:0]
	for _, row := range g.Rows {
		if !row.blank() {
			filled = append(filled, row)
		}
	}
	g.Rows = filled
	return g, nil
}

func isNumber(f *excelize.File, sheet string, column, row int) bool {
	at, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		return false
	}
	kind, err := f.GetCellType(sheet, at)
	return err == nil && (kind == excelize.CellTypeUnset || kind == excelize.CellTypeNumber)
}

// spread gives every cell that a merged cell covers its value.
func spread(f *excelize.File, g *Grid) error {
	merged, err := f.GetMergeCells(g.Name, true)
	if err != nil {
		return fmt.Errorf("reading the merged cells: %w", err)
	}
	index := make(map[int]int, len(g.Rows))
	for i, r := range g.Rows {
		index[r.Number] = i
	}
	for _, m := range merged {
		left, top, err1 := excelize.CellNameToCoordinates(strings.ReplaceAll(m.GetStartAxis(), "$", ""))
		_, bottom, err2 := excelize.CellNameToCoordinates(strings.ReplaceAll(m.GetEndAxis(), "$", ""))
		first, ok := index[top]
		if err1 != nil || err2 != nil || !ok || bottom <= top || left > maxColumns {
			continue
		}
		value := g.Rows[first].cell(left - 1)
		for n := top; n <= min(bottom, maxRows); n++ {
			i, ok := index[n]
			if !ok {
				continue
			}
			row := &g.Rows[i]
			for len(row.Cells) < left {
				row.Cells = append(row.Cells, Cell{})
			}
			c := value
			c.Merged, c.Filled = bottom-n+1, n > top
			row.Cells[left-1] = c
		}
	}
	return nil
}
