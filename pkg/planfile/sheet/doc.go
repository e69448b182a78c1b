// Package sheet reads the asset sheets that customers keep of their machines,
// .xlsx and .csv, and merges them into a site plan. It takes bytes and gives
// rows, changes and findings; files are its caller's.
//
// A sheet is never guessed at. What a cell says is taken when there is one
// way to read it; everything else is a finding that names the sheet, the row,
// the column and the text of the cell, and the row is left out.
package sheet

import (
	"fmt"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// Finding is one thing that is wrong with a sheet, with its place. An error
// keeps its row out of the plan; a warning does not.
type Finding struct {
	ID       string        `json:"id"` // stable, such as mac-malformed
	Severity site.Severity `json:"severity"`
	Sheet    string        `json:"sheet,omitempty"`
	Row      int           `json:"row,omitempty"`    // as the spreadsheet program counts; zero means the whole sheet
	Column   string        `json:"column,omitempty"` // letter
	Heading  string        `json:"heading,omitempty"`
	Cell     string        `json:"cell,omitempty"` // its text; never that of a password
	Message  string        `json:"message"`
	Fix      string        `json:"fix,omitempty"`
}

// String gives place, message and fix on one line.
func (f Finding) String() string {
	var place []string
	if f.Sheet != "" {
		place = append(place, "sheet "+f.Sheet)
	}
	if f.Row > 0 {
		place = append(place, fmt.Sprintf("row %d", f.Row))
	}
	if f.Column != "" {
		column := "column " + f.Column
		if f.Heading != "" {
			column += " (" + f.Heading + ")"
		}
		place = append(place, column)
	}
	var b strings.Builder
	if len(place) > 0 {
		b.WriteString(strings.Join(place, ", ") + ": ")
	}
	b.WriteString(string(f.Severity) + ": " + f.Message)
	if f.Cell != "" && f.Cell != f.Heading && !strings.Contains(f.Message, f.Cell) {
		fmt.Fprintf(&b, " (the cell says %q)", f.Cell)
	}
	if f.Fix != "" {
		b.WriteString(": " + f.Fix)
	}
	return b.String() + " [" + f.ID + "]"
}

// HasErrors reports whether a finding keeps a row, or the sheet, out.
func HasErrors(findings []Finding) bool {
	for _, f := range findings {
		if f.Severity == site.SeverityError {
			return true
		}
	}
	return false
}
