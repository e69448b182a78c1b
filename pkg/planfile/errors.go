package planfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// maxErrors is how many errors are shown of one file: after that many, it is
// likely to be something else than a plan.
const maxErrors = 50

// Error is one thing that is wrong with the text of a plan.
type Error struct {
	ID      string // stable, such as unknown-key
	File    string
	Line    int // one-based
	Column  int // one-based, in characters
	Message string
	Fix     string

	excerpt string
}

// Error gives place, message and fix on one line, and the line of the file
// with a mark below it.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s%s", e.File, e.Line, e.Column, withFix(e.Message, e.Fix), e.excerpt)
}

// Errors is everything that is wrong with the text of a plan, from top to
// bottom.
type Errors []*Error

func (e Errors) Error() string {
	var b strings.Builder
	for i, one := range e {
		if i == maxErrors {
			fmt.Fprintf(&b, "\nand %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(one.Error())
	}
	return b.String()
}

// Unwrap lets errors.As reach each one.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// Findings gives the errors in the form in which Document.Check gives the
// rest.
func (e Errors) Findings() []Finding {
	out := make([]Finding, len(e))
	for i, one := range e {
		out[i] = Finding{
			Finding: site.Finding{ID: one.ID, Severity: site.SeverityError, Message: one.Message, Fix: one.Fix},
			Line:    one.Line, Column: one.Column,
		}
	}
	return out
}

func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return e
}
