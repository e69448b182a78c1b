package sheet

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Limits of what is read: four times the largest site that the design thinks
// for, and more columns than anybody scrolls through.
const (
	maxFile    = 32 << 20
	maxRows    = 65536
	maxColumns = 512
	maxCells   = 4 << 20
	maxCell    = 32767 // characters; the limit of .xlsx
)

// Grid is one sheet as it stands.
type Grid struct {
	Name string // empty for .csv
	Rows []GridRow
}

// GridRow is a row that is not empty.
type GridRow struct {
	Number int // as the spreadsheet program counts; in .csv the line
	Last   int // in .csv the line that it ends on; otherwise Number
	Cells  []Cell
}

// Cell is one cell.
type Cell struct {
	Raw    string // as stored
	Number bool   // stored as a number: leading zeros are gone
	Merged int    // rows that the merged cell still covers from here down, this one included; zero if not merged
	Filled bool   // the value stands further up in the same merged cell
}

// text is the cell without what typists, input methods and spreadsheet
// programs put around a value: full-width forms, no-break and zero-width
// spaces, the apostrophe or backtick that keeps a number text.
func (c Cell) text() string { return bare(c.Raw) }

func bare(s string) string { return strings.TrimSpace(strings.TrimLeft(clean(s), "'`‘’")) }

func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\u200b' || r == '\u200c' || r == '\u200d' || r == '\ufeff' || r == '\u2060':
			return -1
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r):
			return -1
		}
		return r
	}, norm.NFKC.String(s))
	return strings.Join(strings.Fields(s), " ")
}

func (r GridRow) cell(i int) Cell {
	if i < len(r.Cells) {
		return r.Cells[i]
	}
	return Cell{}
}

// letters names a column as spreadsheet programs do: 0 is A, 26 is AA.
func letters(i int) string {
	name := ""
	for i++; i > 0; i = (i - 1) / 26 {
		name = string(rune('A'+(i-1)%26)) + name
	}
	return name
}

// Grids reads all sheets of a file. What it is shows in its first bytes, not
// in its name.
func Grids(data []byte) ([]Grid, error) {
	switch {
	case len(data) > maxFile:
		return nil, fmt.Errorf("the file is larger than %d MB: remove pictures and sheets that are not needed", maxFile>>20)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return readXLSX(data)
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")):
		return nil, fmt.Errorf("this is an .xls file, or an .xlsx file with a password: save it as .xlsx without a password")
	default:
		return readCSV(data)
	}
}
