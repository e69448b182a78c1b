package answer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// words writes values of a plan or profile into a document, each in the way
// of the place where it stands, and remembers the first value that has no
// way to stand there. A document is only good if err is nil in the end.
type words struct{ err error }

func (w *words) refuse(field, v, why string) string {
	if w.err == nil {
		w.err = fmt.Errorf("%s: %q %s", field, v, why)
	}
	return ""
}

// line is text up to the end of a line, in a comment or in a quoted here
// document, where nothing is expanded.
func (w *words) line(field, v string) string {
	if !utf8.ValidString(v) || strings.ContainsFunc(v, endsLines) {
		return w.refuse(field, v, "has a line break or another control character: write it on one line")
	}
	if v == endOfText {
		return w.refuse(field, v, "is the mark that ends a generated file")
	}
	return v
}

// endsLines covers what Python's splitlines, which anaconda reads kickstarts
// with, takes for the end of a line.
func endsLines(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// shell is one word of a POSIX shell.
func (w *words) shell(field, v string) string {
	return "'" + strings.ReplaceAll(w.line(field, v), "'", `'\''`) + "'"
}

// kickstart is one word of a kickstart command. Pykickstart splits commands
// as Python's shlex does: a backslash in double quotes escapes itself and
// the quote, and nothing else is special there.
func (w *words) kickstart(field, v string) string {
	v = w.line(field, v)
	if strings.HasPrefix(v, "-") {
		return w.refuse(field, v, "would be taken for an option")
	}
	if v != "" && onlyOf(v, "._:/@+,=-") {
		return v
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

// kernel is a kernel argument. It passes iPXE, which expands ${}, the
// kernel, which knows double quotes, and the shells of initramfs, so only
// what is plain to all of them may stand there.
func (w *words) kernel(field, v string) string {
	if v == "" || !onlyOf(v, "._:/=,@+-[]") {
		return w.refuse(field, v, "cannot stand in a kernel argument: use letters, digits and . _ : / = , @ + -")
	}
	return v
}

// debconf is the value of a preseed line. A backslash at the end would join
// the next line to it, and blanks around it are lost.
func (w *words) debconf(field, v string) string {
	v = w.line(field, v)
	if strings.HasSuffix(v, `\`) || strings.TrimSpace(v) != v {
		return w.refuse(field, v, "cannot stand in a preseed file: it ends in a backslash or has blanks around it")
	}
	return v
}

// item is a word that stands bare wherever it is used: the name of a kernel
// parameter, a host, a limit.
func (w *words) item(field, v string) string {
	if v == "" || !onlyOf(v, "._:/@+*-") {
		return w.refuse(field, v, "is not a name: use letters, digits and . _ : / @ + * -")
	}
	return v
}

// name is an item that is part of a file's name.
func (w *words) name(field, v string) string {
	if v == "" || !onlyOf(v, "._+-") || strings.HasPrefix(v, ".") {
		return w.refuse(field, v, "is not a file's name: use letters, digits and . _ + -")
	}
	return v
}

// value is what follows a key in a configuration file. A backslash at its end
// would join the next line to it.
func (w *words) value(field, v string) string {
	v = w.line(field, v)
	if strings.HasSuffix(v, `\`) || strings.TrimSpace(v) != v {
		return w.refuse(field, v, "cannot stand in a configuration file: it ends in a backslash or has blanks around it")
	}
	return v
}

// cpus is a list of CPUs as the kernel writes it: 0-3,32.
func (w *words) cpus(field, v string) string {
	if v == "" || strings.Trim(v, "0123456789,-") != "" {
		return w.refuse(field, v, "is not a list of CPUs: write it like 0-3,32-35")
	}
	return v
}

// environment is NAME=VALUE in a unit of systemd, which expands % and \.
func (w *words) environment(field, v string) string {
	name, _, ok := strings.Cut(v, "=")
	if !ok || name == "" || !onlyOf(name, "_") || !onlyOf(v, "._:/=,@+-") {
		return w.refuse(field, v, "is no variable: write it like NAME=VALUE, with letters, digits and . _ : / = , @ + -")
	}
	return v
}

// address is the URL of a repository; dnf expands $releasever in it.
func (w *words) address(field, v string) string {
	if v == "" || !onlyOf(v, "._:/=,@+-~%&?$[]") {
		return w.refuse(field, v, "is not a URL that a repository can have")
	}
	return v
}

// onlyOf reports that s holds ASCII letters, digits and extra, nothing else.
func onlyOf(s, extra string) bool {
	for n := range len(s) {
		c := s[n]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c < utf8.RuneSelf && strings.IndexByte(extra, c) >= 0) {
			return false
		}
	}
	return true
}
