package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"sync"
)

// Log is what a program or a machine's serial line has said, kept in memory and in a file.
type Log struct {
	file *os.File

	mu      sync.Mutex
	text    []byte
	ended   error
	changed chan struct{} // closed and replaced when there is more
}

func createLog(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("creating the log: %w", err)
	}
	return &Log{file: file, changed: make(chan struct{})}, nil
}

// escapes are the terminal sequences with which firmware positions and colours its text.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|[=>c])|\r`)

// Write adds to the log. The file keeps every byte.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	l.wake()
	return l.file.Write(p)
}

func (l *Log) end(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = reason
	l.file.Close()
	l.wake()
}

func (l *Log) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// String is the text so far, without terminal escapes and carriage returns.
func (l *Log) String() string {
	text, _, _ := l.read()
	return string(text)
}

func (l *Log) read() (text []byte, more <-chan struct{}, ended error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return escapes.ReplaceAll(l.text, nil), l.changed, l.ended
}

// Tail is the last n lines.
func (l *Log) Tail(n int) string {
	lines := bytes.Split([]byte(l.String()), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-n):], []byte("\n")))
}

// Wait returns the first match of pattern, and its groups, as soon as the text holds it. It fails when
// ctx ends or when the program ends without having said it.
func (l *Log) Wait(ctx context.Context, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("waiting for %q: %w", pattern, err)
	}
	for {
		text, more, ended := l.read()
		if m := re.FindSubmatch(text); m != nil {
			groups := make([]string, len(m))
			for i, group := range m {
				groups[i] = string(group)
			}
			return groups, nil
		}
		if ended != nil {
			return nil, fmt.Errorf("waiting for %q: %w", pattern, ended)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %q: %w", pattern, ctx.Err())
		}
	}
}
