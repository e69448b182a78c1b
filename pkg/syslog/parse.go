// Package syslog receives what installers and booting systems log over the
// network: by UDP and by TCP, in the old form (RFC 3164) and the new one (RFC
// 5424), framed by counts or by newlines (RFC 6587). It keeps nothing: each
// message goes to the caller, bounded for each source.
package syslog

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Severity of RFC 5424 section 6.2.1; lower is worse.
type Severity int

// The severities.
const (
	Emergency Severity = iota
	Alert
	Critical
	Error
	Warning
	Notice
	Info
	Debug
)

// String gives the keyword of syslog.conf.
func (s Severity) String() string {
	names := [...]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
	if s < 0 || int(s) >= len(names) {
		return "notice"
	}
	return names[s]
}

// Message is one log message, as its sender wrote it: nothing in it is proved.
type Message struct {
	Facility int       // RFC 5424 section 6.2.1; 1, user, when not given
	Severity Severity  // Notice when not given
	Time     time.Time // by the sender's clock; zero when it names none with a year
	Host     string
	App      string // program, or tag
	PID      string
	Text     string
}

// maxHeader bounds the fields before the text: RFC 5424 allows 48 for a
// program and 255 for a host.
const maxHeader = 255

// Parse reads one message. It never fails: what follows no rule is the text,
// because a line that cannot be parsed is often the one that matters.
func Parse(b []byte) Message {
	b = bytes.TrimRight(b, "\x00\r\n ")
	m := Message{Facility: 1, Severity: Notice}
	rest, ok := m.priority(b)
	if !ok {
		m.Text = string(b)
		return m
	}
	if after, ok := bytes.CutPrefix(rest, []byte("1 ")); ok && m.newForm(after) {
		return m
	}
	m.oldForm(rest)
	return m
}

// priority reads <PRI>, facility times eight plus severity.
func (m *Message) priority(b []byte) (rest []byte, ok bool) {
	end := bytes.IndexByte(b, '>')
	if len(b) == 0 || b[0] != '<' || end < 2 || end > 4 {
		return b, false
	}
	n, err := strconv.Atoi(string(b[1:end]))
	if err != nil || n < 0 || n > 191 {
		return b, false
	}
	m.Facility, m.Severity = n/8, Severity(n%8)
	return b[end+1:], true
}

// newForm reads "TIMESTAMP HOST APP PID MSGID DATA MSG" of RFC 5424.
func (m *Message) newForm(b []byte) bool {
	var fields [5]string
	for i := range fields {
		field, rest, ok := bytes.Cut(b, []byte{' '})
		if !ok || len(field) == 0 || len(field) > maxHeader {
			return false
		}
		if string(field) != "-" {
			fields[i] = string(field)
		}
		b = rest
	}
	text, ok := skipData(b)
	if !ok {
		return false
	}
	if at, err := time.Parse(time.RFC3339Nano, fields[0]); err == nil {
		m.Time = at.UTC()
	}
	m.Host, m.App, m.PID = fields[1], fields[2], fields[3]
	m.Text = strings.TrimPrefix(strings.TrimLeft(string(text), " "), "\ufeff")
	return true
}

// skipData passes over structured data: "-", or elements in brackets, whose
// quoted values may hold brackets behind a backslash.
func skipData(b []byte) (rest []byte, ok bool) {
	if len(b) > 0 && b[0] == '-' {
		return b[1:], true
	}
	for len(b) > 0 && b[0] == '[' {
		quoted, closed := false, false
		for i := 1; i < len(b) && !closed; i++ {
			switch {
			case b[i] == '\\' && quoted:
				i++
			case b[i] == '"':
				quoted = !quoted
			case b[i] == ']' && !quoted:
				b, closed = b[i+1:], true
			}
		}
		if !closed {
			return nil, false
		}
		ok = true
	}
	return b, ok
}

// oldForm reads "Mmm dd hh:mm:ss HOST TAG[PID]: MSG", of which senders leave
// out what they like: busybox the host, the kernel nothing but the text.
func (m *Message) oldForm(b []byte) {
	text := string(b)
	if rest, ok := cutStamp(text); ok {
		text = rest
		if host, rest, ok := strings.Cut(text, " "); ok && !isTag(host) && isName(host) {
			m.Host, text = host, rest
		}
	} else if stamp, rest, ok := strings.Cut(text, " "); ok {
		// rsyslog's forward format has the time of RFC 3339 and no version.
		if at, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			m.Time, text = at.UTC(), rest
			if host, rest, ok := strings.Cut(text, " "); ok && !isTag(host) && isName(host) {
				m.Host, text = host, rest
			}
		}
	}
	if tag, rest, ok := strings.Cut(text, ": "); ok && isTag(tag+":") {
		m.tag(tag)
		text = rest
	} else if tag, ok := strings.CutSuffix(text, ":"); ok && isTag(text) {
		m.tag(tag)
		text = ""
	}
	m.Text = strings.TrimLeft(text, " ")
}

func (m *Message) tag(tag string) {
	name, pid, ok := strings.Cut(strings.TrimSuffix(tag, "]"), "[")
	m.App = name
	if ok {
		m.PID = pid
	}
}

const stamp = time.Stamp + " "

// cutStamp takes the time of RFC 3164 off, which has no year and no zone, so
// that it says nothing.
func cutStamp(text string) (rest string, ok bool) {
	if len(text) < len(stamp) || text[len(stamp)-1] != ' ' {
		return text, false
	}
	if _, err := time.Parse(time.Stamp, text[:len(stamp)-1]); err != nil {
		return text, false
	}
	return text[len(stamp):], true
}

// isTag reports a program's name with a colon behind it.
func isTag(s string) bool {
	name, ok := strings.CutSuffix(s, ":")
	if !ok {
		return false
	}
	if i := strings.IndexByte(name, '['); i > 0 && strings.HasSuffix(name, "]") {
		name = name[:i]
	}
	return len(name) <= 64 && isName(name)
}

func isName(s string) bool {
	if s == "" || len(s) > maxHeader {
		return false
	}
	for i := range len(s) {
		c := s[i]
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !word && !strings.ContainsRune("-_./:()", rune(c)) {
			return false
		}
	}
	return true
}
