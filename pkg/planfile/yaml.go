package planfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile and maxDepth keep a hostile file from taking the daemon's memory:
// the parser recurses once for each level. A plan that lists 16,000 machines
// one by one has 3 MB and five levels.
const (
	maxFile  = 32 << 20
	maxDepth = 64
)

// parseYAML gives the root of the one document in the file.
func parseYAML(src *source) (ast.Node, error) {
	if err := checkText(src); err != nil {
		return nil, Errors{err}
	}
	tokens := lexer.Tokenize(src.text)
	if err := checkDepth(src, tokens); err != nil {
		return nil, Errors{err}
	}
	// Duplicate keys are left to the decoder, which goes on after the first.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, Errors{syntaxError(src, err)}
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			at := place(doc.Body)
			return nil, Errors{src.error("yaml-documents", at.Line, at.Column, "remove the --- line, and keep one plan in a file", "a second YAML document starts here")}
		}
		root = doc.Body
	}
	if root == nil {
		return nil, Errors{src.error("plan-empty", 1, 1, "start with site: NAME; examples/ has plans to copy", "the file has no plan in it")}
	}
	return root, nil
}

func checkText(src *source) *Error {
	if len(src.text) > maxFile {
		return src.error("file-too-large", 1, 1, "write runs of machines as ranges: cs-computer-[0001-0512]", fmt.Sprintf("the file is larger than %d MB", maxFile>>20))
	}
	if utf8.ValidString(src.text) {
		return nil
	}
	for i, line := range src.lines {
		if !utf8.ValidString(line) {
			valid := strings.ToValidUTF8(line, "\xff")
			return src.error("not-utf8", i+1, utf8.RuneCountInString(valid[:strings.IndexByte(valid, 0xff)])+1,
				"save the file as UTF-8 (a GBK file: iconv -f GB18030 -t UTF-8)", "the text is not UTF-8")
		}
	}
	return src.error("not-utf8", 1, 1, "save the file as UTF-8", "the text is not UTF-8")
}

// checkDepth bounds the nesting that the parser would recurse into.
func checkDepth(src *source, tokens token.Tokens) *Error {
	flow, line, entries := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		deep := false
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
			deep = flow > maxDepth
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			entries++
			deep = entries > maxDepth || t.Position.Column > 8*maxDepth && flow == 0
		case token.MappingValueType:
			deep = t.Prev != nil && t.Prev.Position.Column > 8*maxDepth && flow == 0
		}
		if deep {
			return src.error("nested-too-deep", t.Position.Line, t.Position.Column, "a plan has five levels", "the file is nested too deep")
		}
	}
	return nil
}

func syntaxError(src *source, err error) *Error {
	var located yaml.Error
	if !errors.As(err, &located) || located.GetToken() == nil {
		return src.error("yaml-syntax", 1, 1, "", "this is not YAML: "+err.Error())
	}
	message, at := strings.ReplaceAll(located.GetMessage(), "'\t'", "tab"), located.GetToken().Position
	if strange, column := foreignMark(src.lines[min(at.Line, len(src.lines))-1]); strange != "" {
		return src.error("yaml-full-width", at.Line, column, "retype it in half width (the ASCII character); an editor that shows invisible characters helps", strange+" means nothing in YAML: "+message)
	}
	return src.error("yaml-syntax", at.Line, at.Column, syntaxFix(message), message)
}

// foreignMark finds the first character in a line that a Chinese input method
// or a copy from a document put in place of one that YAML knows.
func foreignMark(line string) (name string, column int) {
	line, _, _ = strings.Cut(line, " #")
	for i, r := range line {
		if strings.ContainsRune("：，［］｛｝“”‘’－\u00a0\u3000\u200b\ufeff", r) {
			return strconv.QuoteRune(r), utf8.RuneCountInString(line[:i]) + 1
		}
	}
	return "", 0
}

func syntaxFix(message string) string {
	for _, known := range []struct{ part, fix string }{
		{"tab", "indent with spaces: YAML allows no tabs"},
		{"mapping value is not allowed", "check the indentation, and quote a value that has a colon followed by a space"},
		{"value is not allowed", "align this line with the keys that it belongs to"},
		{"end token", "close every [ with ] and every { with }"},
		{"end character", "close the quotation mark"},
		{"unexpected key name", "write it as key: value"},
	} {
		if strings.Contains(message, known.part) {
			return known.fix
		}
	}
	return "check the indentation and the quotation marks around here"
}

// place is where a node starts: for a mapping, its first key.
func place(n ast.Node) *token.Position {
	for {
		m, ok := n.(*ast.MappingNode)
		if !ok || m.IsFlowStyle || len(m.Values) == 0 {
			break
		}
		n = m.Values[0].Key
	}
	if v, ok := n.(*ast.MappingValueNode); ok {
		n = v.Key
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position
	}
	return &token.Position{Line: 1, Column: 1}
}
