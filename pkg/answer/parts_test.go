package answer

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

// parts are the embedded pieces of scripts. They are most of every answer and
// the same in all, so tests that read many answers leave them out.
type parts []struct{ name, text string }

// embedded gives all pieces, longer ones first.
func embedded(t testing.TB) parts {
	t.Helper()
	files, err := fs.Glob(pieces, "scripts/*.sh")
	if err != nil || len(files) == 0 {
		t.Fatalf("no pieces: %v", err)
	}
	all := make(parts, len(files))
	for i, f := range files {
		text, err := fs.ReadFile(pieces, f)
		if err != nil {
			t.Fatal(err)
		}
		all[i].name, all[i].text = "[pkg/answer/"+f+"]\n", string(text)
	}
	slices.SortFunc(all, func(a, b struct{ name, text string }) int { return cmp.Compare(len(b.text), len(a.text)) })
	return all
}

// leftOut puts the names of pieces in place of their texts.
func (p parts) leftOut(text string) string {
	for _, piece := range p {
		text = strings.ReplaceAll(text, piece.text, piece.name)
		text = strings.ReplaceAll(text, indented(piece.text), indented(piece.name))
	}
	return text
}

// putBack undoes leftOut.
func (p parts) putBack(text string) string {
	for _, piece := range p {
		text = strings.ReplaceAll(text, indented(piece.name), indented(piece.text))
		text = strings.ReplaceAll(text, piece.name, piece.text)
	}
	return text
}

// indented is a text as it stands in a document of YAML.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString("      ")
		}
		b.WriteString(line)
	}
	return b.String()
}
