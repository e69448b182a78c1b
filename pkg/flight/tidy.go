package flight

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/rackseed/rackseed/pkg/site"
)

// The longest texts, in bytes. Longer ones are cut.
const (
	maxWhat   = 40
	maxName   = 200
	maxDetail = 400
)

// key is what the files and the memory know the machine by.
func (e *Entry) key() string {
	switch {
	case e.Node != "":
		return e.Node
	case e.MAC != (site.MAC{}):
		return e.MAC.String()
	default:
		return ""
	}
}

// tidy makes every text one printable line without secrets: some of them
// come from the wire, and all of them go to terminals and into files.
func (e *Entry) tidy() {
	e.Source = Source(line(string(e.Source), maxWhat))
	e.What = line(e.What, maxWhat)
	e.Client = Client(line(string(e.Client), maxWhat))
	e.Cause = line(e.Cause, maxDetail)
	if e.Source == DHCP || e.Source == ProxyDHCP {
		// The daemon's own words, and every message of a rack waits for them.
		e.Name, e.Detail = line(e.Name, maxName), line(e.Detail, maxDetail)
		return
	}
	e.Name = Clean(e.Name, maxName)
	e.Detail = Clean(e.Detail, maxDetail)
}

// Clean makes text one line of at most limit bytes that is fit for a
// terminal, and takes out what a secret looks like: tokens in the URLs of
// answer files and reports, crypt hashes, and what follows a password's name.
func Clean(text string, limit int) string {
	if text = line(text, limit); suspicious(text) {
		text = mask(text)
	}
	return text
}

func line(text string, limit int) string {
	if len(text) > limit || !plain(text) {
		return printable(text, limit)
	}
	return text
}

// plain spares most texts a copy.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func printable(text string, limit int) string {
	var b strings.Builder
	space := false
	for _, c := range text {
		if c == '\t' || c == '\n' || c == '\r' || c == ' ' {
			space = b.Len() > 0
			continue
		}
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			continue
		}
		if b.Len()+utf8.RuneLen(c)+1 > limit {
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(c)
	}
	return b.String()
}

// masked stands for what was taken out.
const masked = "***"

var (
	tokenInURL = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(/(?:answer|report|discover/[^/\s]+/[^/\s]+)/)[^/\s"']{8,}`)
	})
	cryptHash    = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$(?:1|2[abxy]?|5|6|7|y|gy)\$[^\s"':,]+`) })
	passwordText = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(pass(?:word|wd|phrase)?|secret|token|auth-key)("?\s*[=:]\s*|\s+(?:is|--\S+)\s+)("[^"]*"|'[^']*'|\S+)`)
	})
	rootPassword = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)(rootpw\s+(?:--\S+\s+)*)(\S+)`) })
)

func suspicious(text string) bool {
	if strings.Contains(text, "$") || strings.Contains(text, "/answer/") || strings.Contains(text, "/report/") || strings.Contains(text, "/discover/") {
		return true
	}
	for _, word := range [...]string{"pass", "PASS", "Pass", "secret", "SECRET", "Secret", "token", "TOKEN", "Token", "rootpw", "auth-key"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func mask(text string) string {
	text = tokenInURL().ReplaceAllString(text, "${1}"+masked)
	text = cryptHash().ReplaceAllString(text, masked)
	text = rootPassword().ReplaceAllString(text, "${1}"+masked)
	return passwordText().ReplaceAllString(text, "${1}${2}"+masked)
}
