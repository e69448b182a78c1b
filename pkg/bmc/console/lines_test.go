package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"lines", "a\r\nb\nc", []string{"a", "b", "c"}},
		{"empty ones are nothing", "\r\n\r\n  \r\na\r\n", []string{"a"}},
		{"colours, cursors, titles", "\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b[2J\x1b[10;3Hy\x1b(B\n", []string{"red xy"}},
		{"a title that ends otherwise", "\x1b]2;t\x1b\\x\n", []string{"x"}},
		{"a progress bar is told as it was last", "10%\r20%\r100%\r\n", []string{"100%"}},
		{"typing errors", "logn\bin:\n", []string{"login:"}},
		{"Chinese", "正在安装\n", []string{"正在安装"}},
		{"bytes that are nothing", "a\x00\x01\xff\xfe\x7fb\xe6\n", []string{"ab"}},
		{"a sequence that is cut by a line", "\x1b[3\nx\n", []string{"x"}},
		{"a long line", strings.Repeat("x", 1000) + "\n", []string{strings.Repeat("x", maxLine) + " …"}},
	} {
		for _, step := range []int{1, 3, 4096} {
			var got []string
			l := &Lines{Tell: func(s string) { got = append(got, s) }}
			for in := []byte(c.in); len(in) > 0; in = in[min(step, len(in)):] {
				_, _ = l.Write(in[:min(step, len(in))])
			}
			l.Flush()
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, %d bytes at a time: %q, want %q", c.name, step, got, c.want)
			}
		}
	}
}

func TestLinesAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	var got []string
	l := &Lines{Tell: func(s string) { got = append(got, s) }, Clock: func() time.Time { return now }}
	for i := range 5000 {
		fmt.Fprintf(l, "panic %d\n", i)
	}
	if len(got) != burst {
		t.Fatalf("%d lines of a storm", len(got))
	}
	now = now.Add(time.Second)
	fmt.Fprintln(l, "and on")
	if len(got) != burst+2 || !strings.Contains(got[burst], "4000 lines are left out") || got[burst+1] != "and on" {
		t.Errorf("%q", got[burst:])
	}
}

func FuzzLines(f *testing.F) {
	for _, s := range []string{"a\r\nb", "\x1b[1m\x1b]x\x07", "正\xe6\xad", "\b\b\r\r\n", "\x1bP\x1b\x1b\\"} {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		step = max(1, step%64)
		l := &Lines{Tell: func(s string) {
			if len(s) > maxLine+len(" …") || !utf8.ValidString(s) || s == "" || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q", s)
			}
		}}
		for ; len(in) > 0; in = in[min(step, len(in)):] {
			_, _ = l.Write(in[:min(step, len(in))])
		}
		l.Flush()
	})
}
