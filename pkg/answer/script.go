package answer

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

// pieces holds the parts of generated scripts that are the same for every
// node. What differs is put before or between them as quoted words.
//
//go:embed scripts/*.sh
var pieces embed.FS

// pieceTexts gives the pieces by name. To read one out of pieces copies it, and a
// rack that boots reads 20,000.
var pieceTexts = sync.OnceValue(func() map[string]string {
	texts := map[string]string{}
	files, _ := fs.Glob(pieces, "scripts/*.sh") // an embedded folder can be read
	for _, f := range files {
		text, _ := pieces.ReadFile(f)
		texts[strings.TrimSuffix(strings.TrimPrefix(f, "scripts/"), ".sh")] = string(text)
	}
	return texts
})

// endOfText ends the here documents of generated scripts.
const endOfText = "RACKSEED_END"

// script is a POSIX shell script being written.
type script struct {
	words
	b     strings.Builder
	files []written
}

// written is a file that a script makes.
type written struct{ path, text string }

func newScript(about string) *script {
	s := &script{}
	s.say("#!/bin/sh", "# "+s.line("comment", about))
	return s
}

// say adds lines as they are.
func (s *script) say(lines ...string) {
	for _, l := range lines {
		s.b.WriteString(l)
		s.b.WriteByte('\n')
	}
}

// piece adds an embedded part, set off by an empty line.
func (s *script) piece(name string) {
	text, ok := pieceTexts()[name]
	if !ok {
		s.err = fmt.Errorf("there is no piece %q", name) // a name that is misspelt; every test of the caller sees it
		return
	}
	s.b.WriteByte('\n')
	s.b.WriteString(text)
}

// set assigns a value to a shell variable.
func (s *script) set(name, field, value string) { s.say(name + "=" + s.shell(field, value)) }

// variable is a shell variable that a piece reads.
type variable struct{ name, value string }

// call adds a command with quoted words. The first argument names where they
// come from.
func (s *script) call(field, command string, args ...string) {
	for _, a := range args {
		command += " " + s.shell(field, a)
	}
	s.say(command)
}

// file adds a call of put, which makes a file of the target what is given.
func (s *script) file(path, text string) { s.put(path, path, text) }

// named is file for a path that a plan has a part in.
func (s *script) named(path, text string) { s.put(path, s.shell("file", path), text) }

func (s *script) put(path, word, text string) { s.make("put 0644 "+word, path, text) }

// make adds a call of a function that makes a file of the target what it reads.
func (s *script) make(call, path, text string) {
	text = strings.TrimSuffix(text, "\n")
	s.files = append(s.files, written{path, text + "\n"})
	s.say(fmt.Sprintf("%s <<'%s'", call, endOfText), text, endOfText)
}

// text is the finished script.
func (s *script) text() (string, error) { return s.b.String(), s.err }
