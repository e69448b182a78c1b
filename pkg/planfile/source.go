package planfile

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"

	"github.com/rackseed/rackseed/pkg/site"
)

// source is the text of a plan file, and shows lines of it without showing
// its secrets.
type source struct {
	name   string
	text   string
	lines  []string
	hidden func() []span
}

// span is a run of text from one place up to another; lines and columns count
// from one.
type span struct{ fromLine, fromColumn, toLine, toColumn int }

func newSource(name string, data []byte) *source {
	text := string(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	s := &source{name: name, text: text}
	s.lines = strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n")
	s.hidden = sync.OnceValue(s.findSecrets)
	return s
}

// error builds an error at a place of the file.
func (s *source) error(id string, line, column int, fix, message string) *Error {
	return &Error{ID: id, File: s.name, Line: line, Column: column, Message: message, Fix: fix, excerpt: s.excerpt(line, column)}
}

const maxExcerpt = 160

// excerpt shows a line with a caret below the column, each on a line of its
// own; it is empty outside the file.
func (s *source) excerpt(line, column int) string {
	if line < 1 || line > len(s.lines) {
		return ""
	}
	text := []rune(s.lines[line-1])
	if column < 1 || column > maxExcerpt {
		return ""
	}
	s.mask(line, text)
	text = text[:min(len(text), maxExcerpt)]
	var mark strings.Builder
	for i := range min(column-1, len(text)) {
		mark.WriteRune(blankFor(text[i]))
	}
	return fmt.Sprintf("\n%5d | %s\n      | %s^", line, visible(text), mark.String())
}

// blankFor is as wide as r on a terminal.
func blankFor(r rune) rune {
	switch {
	case r == '\t':
		return '\t'
	case r >= 0x2e80 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff, r >= 0xff00 && r <= 0xff60:
		return '\u3000'
	default:
		return ' '
	}
}

// visible keeps control characters of the file away from the terminal.
func visible(text []rune) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			return '\ufffd'
		}
		return r
	}, string(text))
}

func (s *source) mask(line int, text []rune) {
	for _, h := range s.hidden() {
		if line < h.fromLine || line > h.toLine {
			continue
		}
		from, to := 0, len(text)
		if line == h.fromLine {
			from = h.fromColumn - 1
		}
		if line == h.toLine {
			to = min(to, h.toColumn-1)
		}
		for i := from; i < to; i++ {
			if text[i] != ' ' && text[i] != '\t' {
				text[i] = '*'
			}
		}
	}
}

// secretKey matches keys below which somebody may have written a secret in
// the clear, well-spelt or not.
var secretKey = regexp.MustCompile(`(?i)pas+w|passphrase|pwd|secret|token|credential|^root`)

// findSecrets works on tokens rather than on the tree, because a file whose
// syntax is wrong has no tree and its secrets are to be kept all the same.
func (s *source) findSecrets() []span {
	var spans []span
	tokens := lexer.Tokenize(s.text)
	flow := 0
	for i, t := range tokens {
		flow += nesting(t)
		if i+1 < len(tokens) && tokens[i+1].Type == token.MappingValueType && secretKey.MatchString(t.Value) {
			rest := tokens[i+2:]
			if !namesSource(rest) {
				spans = append(spans, valueSpan(t, tokens[i+1], rest, flow > 0))
			}
		}
	}
	return spans
}

func nesting(t *token.Token) int {
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		return 1
	case token.MappingEndType, token.SequenceEndType:
		return -1
	default:
		return 0
	}
}

// namesSource reports a value that says where a secret is kept, or is sealed.
func namesSource(value []*token.Token) bool {
	if len(value) > 0 && value[0].Type == token.MappingStartType {
		value = value[1:]
	}
	if len(value) < 3 || value[1].Type != token.MappingValueType {
		return false
	}
	switch value[0].Value {
	case "env", "file":
		return true
	case "sealed":
		return site.Secret(value[2].Value).Sealed()
	default:
		return false
	}
}

// valueSpan runs from the colon after key to the token that ends its value:
// inside braces a comma or a closing one, elsewhere a line that is not
// indented deeper than the key.
func valueSpan(key, colon *token.Token, rest []*token.Token, inFlow bool) span {
	out := span{colon.Position.Line, colon.Position.Column + 1, 1 << 30, 1}
	depth := 0
	for _, t := range rest {
		at := t.Position
		var ended bool
		switch {
		case t.Type == token.InvalidType:
			return out
		case depth > 0:
		case inFlow:
			ended = t.Type == token.CollectEntryType || nesting(t) < 0
		default:
			ended = at.Line > key.Position.Line && at.Column <= key.Position.Column
		}
		if ended {
			out.toLine, out.toColumn = at.Line, at.Column
			return out
		}
		depth += nesting(t)
	}
	return out
}
