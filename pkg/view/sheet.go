package view

import "github.com/rackseed/rackseed/pkg/planfile/sheet"

// SheetRequest asks what an asset sheet would bring into a plan.
type SheetRequest struct {
	Name  string `json:"name"`            // of the file, for messages
	Sheet []byte `json:"sheet"`           // .xlsx or .csv, base64
	Plan  string `json:"plan"`            // as written; empty for a new one
	Table string `json:"table,omitempty"` // sheet of the workbook, if several have a table

	Columns       []string `json:"columns,omitempty"`  // HEADING=KEY
	Networks      []string `json:"networks,omitempty"` // HEADING=NETWORK
	Roles         []string `json:"roles,omitempty"`    // WORD=ROLE
	Names         []string `json:"names,omitempty"`    // ROLE=PATTERN
	Replace       []string `json:"replace,omitempty"`  // nodes that were replaced by other hardware
	NumbersAsText bool     `json:"numbers_as_text,omitempty"`
}

// SheetResult is what a sheet brings into a plan. Rows with a finding of
// severity error are not in it.
type SheetResult struct {
	Sheet     string          `json:"sheet"`
	Plan      string          `json:"plan,omitempty"`
	Heading   int             `json:"heading"` // row of the headings; zero means that none was found
	Columns   []sheet.Column  `json:"columns"`
	Rows      int             `json:"rows"`
	Skipped   int             `json:"skipped"`
	Changes   []sheet.Change  `json:"changes"`
	Unchanged int             `json:"unchanged"`
	Missing   []string        `json:"not_in_sheet"`
	Rewritten []string        `json:"rewritten"`
	Findings  []sheet.Finding `json:"findings"`
	Check     []Finding       `json:"plan_findings"` // that the plan has with the sheet in it and had not before
	Written   bool            `json:"written"`
	Backup    string          `json:"backup,omitempty"`
	Text      string          `json:"text,omitempty"` // of the new plan, where it was asked for by the API
}
