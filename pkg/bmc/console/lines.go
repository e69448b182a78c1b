// Package console records what machines say on their serial ports.
package console

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	maxLine = 400 // bytes
	perSec  = 50  // lines that are told of one machine, in the long run
	burst   = 1000
)

// Lines cuts what a console says into lines of printable text, and tells so
// many that a machine in a loop cannot fill a disk. It is for one goroutine.
type Lines struct {
	Tell  func(line string)
	Clock func() time.Time // nil means time.Now

	line    []byte
	long    bool // the rest of the line is left out
	escape  escape
	rune    []byte // of UTF-8 that is not whole yet
	left    float64
	at      time.Time
	skipped int
}

// escape is how far a control sequence is (ECMA-48 section 5.4).
type escape int

const (
	text escape = iota
	afterESC
	inCSI
	inString     // OSC, DCS and their like, until BEL or ST
	inStringESC  // that may be the end of one
	afterCharset // ESC ( and one more byte
)

// Write never fails.
func (l *Lines) Write(p []byte) (int, error) {
	for _, c := range p {
		if l.sequence(c) {
			continue
		}
		switch c {
		case '\n':
			l.Flush()
		case '\r':
			// A line that is written over is told as it was last.
			l.rune = l.rune[:0]
			if len(l.line) > 0 {
				l.escape = text
				l.line = append(l.line, '\r')
			}
		case '\b':
			if n := len(l.line); n > 0 {
				_, size := utf8.DecodeLastRune(l.line)
				l.line = l.line[:n-size]
			}
		case '\t':
			l.add(' ')
		default:
			l.add(c)
		}
	}
	return len(p), nil
}

// sequence reports whether a byte belongs to a control sequence.
func (l *Lines) sequence(c byte) bool {
	switch l.escape {
	case text:
		if c != 0x1b {
			return false
		}
		l.escape = afterESC
	case afterESC:
		l.escape = map[byte]escape{'[': inCSI, ']': inString, 'P': inString, 'X': inString, '^': inString, '_': inString, '(': afterCharset, ')': afterCharset}[c]
	case inCSI:
		if c >= 0x40 && c <= 0x7e || c == '\n' {
			l.escape = text
		}
	case inString, inStringESC:
		switch {
		case c == 0x07 || l.escape == inStringESC && c == '\\' || c == '\n':
			l.escape = text
		case c == 0x1b:
			l.escape = inStringESC
		default:
			l.escape = inString
		}
	case afterCharset:
		l.escape = text
	}
	return true
}

// add takes a byte of text, which may be part of a rune.
func (l *Lines) add(c byte) {
	if i := len(l.line) - 1; i >= 0 && l.line[i] == '\r' {
		l.line, l.long = l.line[:0], false
	}
	if l.long {
		return
	}
	if c < utf8.RuneSelf && len(l.rune) == 0 {
		if c >= ' ' && c != 0x7f {
			l.put(rune(c))
		}
		return
	}
	l.rune = append(l.rune, c)
	if !utf8.FullRune(l.rune) {
		return
	}
	r, size := utf8.DecodeRune(l.rune)
	rest := append([]byte(nil), l.rune[size:]...)
	l.rune = l.rune[:0]
	if r != utf8.RuneError && unicode.IsPrint(r) {
		l.put(r)
	}
	for _, c := range rest {
		l.add(c)
	}
}

func (l *Lines) put(r rune) {
	if len(l.line)+utf8.RuneLen(r) > maxLine {
		l.long = true
		return
	}
	l.line = utf8.AppendRune(l.line, r)
}

// Waiting reports whether part of a line is not told yet: a prompt has no end.
func (l *Lines) Waiting() bool { return len(l.line) > 0 }

// Flush tells what there is as a line.
func (l *Lines) Flush() {
	line := strings.TrimSpace(strings.TrimSuffix(string(l.line), "\r"))
	long := l.long
	l.line, l.rune, l.long = l.line[:0], l.rune[:0], false
	if line == "" {
		return
	}
	if !l.room() {
		l.skipped++
		return
	}
	if l.skipped > 0 {
		l.Tell(fmt.Sprintf("… %d lines are left out: the console says too much", l.skipped))
		l.skipped = 0
	}
	if long {
		line += " …"
	}
	l.Tell(line)
}

// room is a bucket that fills with time.
func (l *Lines) room() bool {
	now := time.Now
	if l.Clock != nil {
		now = l.Clock
	}
	t := now()
	if l.at.IsZero() {
		l.left = burst
	} else {
		l.left = min(burst, l.left+t.Sub(l.at).Seconds()*perSec)
	}
	l.at = t
	if l.left < 1 {
		return false
	}
	l.left--
	return true
}
