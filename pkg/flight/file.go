package flight

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// Names of files. The older of two is the one that was rotated.
const (
	suffixLines   = ".jsonl"
	suffixPackets = ".pcap"
	suffixOlder   = ".1"
	seqFile       = "logged"
)

const (
	maxLine = 16 << 10 // bytes of a line that is read
	maxTail = 1 << 20  // bytes of a file that are read back
)

// writer knows the files. Its methods that write belong to Run.
type writer struct {
	dir      string
	maxFile  int64
	maxTotal int64
	log      *slog.Logger
	left     map[string]bool // machines that an earlier process left a timeline of; not changed after Open
	total    int64           // bytes of all files, at least
	silent   time.Time       // until when a failing disk is not reported again
	lines    bytes.Buffer    // what is written to one file, used again and again
}

// path of a machine's file. A name from the plan or a MAC has no character
// that a file cannot have; anything else is escaped.
func (w *writer) path(key, suffix string) string {
	return filepath.Join(w.dir, url.PathEscape(key)+suffix)
}

// has reports whether an earlier process left a timeline of the machine.
func (w *writer) has(key string) bool { return w.left[key] }

// append reports whether the entries were written.
func (w *writer) append(key string, due []numbered, packets []byte) bool {
	w.lines.Reset()
	encoder := json.NewEncoder(&w.lines)
	for _, e := range due {
		_ = encoder.Encode(e.Entry) // an Entry has nothing that cannot be written
	}
	lines := w.appendTo(w.path(key, suffixLines), w.lines.Bytes(), nil)
	err := errors.Join(lines, w.appendTo(w.path(key, suffixPackets), packets, pcapHeader()))
	if now := time.Now(); err != nil && now.After(w.silent) {
		w.silent = now.Add(time.Minute)
		w.log.Error("the flight recorder cannot write: what it is told is in memory alone", "node", key, "error", err)
	}
	return lines == nil
}

// appendTo adds to a file, which it begins with a header, and rotates it
// when it has become too long.
func (w *writer) appendTo(path string, data, header []byte) error {
	if len(data) == 0 {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		data = append(slices.Clip(header), data...)
	}
	if err == nil {
		_, err = f.Write(data)
	}
	err = errors.Join(err, f.Close())
	w.total += int64(len(data))
	if err == nil && info.Size()+int64(len(data)) > w.maxFile {
		err = os.Rename(path, path+suffixOlder)
	}
	return err
}

// past reads back the newest of what a machine's files hold.
func (w *writer) past(key string) (all []Entry) {
	path := w.path(key, suffixLines)
	newer, size := w.tail(path)
	if size < maxTail {
		all, _ = w.tail(path + suffixOlder)
	}
	return append(all, newer...)
}

func (w *writer) tail(path string) (all []Entry, size int64) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0
	}
	if err != nil {
		w.log.Warn("a timeline cannot be read back", "file", path, "error", err)
		return nil, 0
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, 0
	}
	from := max(0, info.Size()-maxTail)
	data, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		w.log.Warn("a timeline cannot be read back", "file", path, "error", err)
	}
	if from > 0 {
		_, data, _ = bytes.Cut(data, []byte{'\n'})
	}
	all, skipped := ReadEntries(bytes.NewReader(data))
	if skipped > 0 {
		w.log.Info("lines of a timeline were passed over", "file", path, "lines", skipped)
	}
	return all, info.Size()
}

// ReadEntries reads a timeline, one JSON object a line. A line that is none,
// as a power cut leaves it, is passed over and counted.
func ReadEntries(r io.Reader) (all []Entry, skipped int) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		tooLong := false
		for errors.Is(err, bufio.ErrBufferFull) {
			tooLong = true
			line, err = lines.ReadSlice('\n')
		}
		switch line = bytes.TrimSpace(line); {
		case tooLong:
			skipped++
		case len(line) > 0:
			var e Entry
			if json.Unmarshal(line, &e) != nil || e.At.IsZero() || e.Source == "" {
				skipped++
				break
			}
			e.tidy()
			all = append(all, e)
		}
		if err != nil {
			return all, skipped
		}
	}
}

// mend ends a line that a power cut left half, and cuts off half a packet: what
// follows them could not be read.
func (w *writer) mend(key string) {
	if err := errors.Join(mendLines(w.path(key, suffixLines)), mendPackets(w.path(key, suffixPackets))); err != nil {
		w.log.Warn("what a power cut left half in a machine's files cannot be mended", "node", key, "error", err)
	}
}

func mendLines(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	if info, statErr := f.Stat(); statErr == nil && info.Size() > 0 {
		_, err = f.ReadAt(last, info.Size()-1)
	}
	if err == nil && last[0] != '\n' {
		_, err = f.Write([]byte{'\n'})
	}
	return errors.Join(err, f.Close())
}

func mendPackets(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	whole := pcapHeadSize
	for _, record := range pcapRecords(data) {
		whole += len(record)
	}
	switch {
	case whole == len(data):
		return nil
	case len(data) < pcapHeadSize || whole == pcapHeadSize:
		return os.Remove(path)
	default:
		return os.Truncate(path, int64(whole))
	}
}

// saveSeq takes down how far the site's log is in the files. It may lag, and
// then some of it is recorded twice and read once.
func (w *writer) saveSeq(seq uint64) {
	path := filepath.Join(w.dir, seqFile)
	err := os.WriteFile(path+".new", []byte(strconv.FormatUint(seq, 10)+"\n"), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		w.log.Debug("how far the log is recorded was not taken down", "error", err)
	}
}

func (w *writer) readSeq() uint64 {
	data, err := os.ReadFile(filepath.Join(w.dir, seqFile))
	if err != nil {
		return 0
	}
	seq, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

// shrink removes what is oldest when the files are too much together: a full
// disk would stop the site's log, too.
func (w *writer) shrink() {
	if w.total <= w.maxTotal {
		return
	}
	files, total := w.files()
	slices.SortFunc(files, func(a, b kept) int {
		if a.rotated() != b.rotated() {
			return map[bool]int{true: -1, false: 1}[a.rotated()]
		}
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.name, b.name))
	})
	for _, f := range files {
		if total <= w.maxTotal*3/4 {
			break
		}
		if err := os.Remove(filepath.Join(w.dir, f.name)); err != nil {
			w.log.Warn("an old timeline could not be removed", "file", f.name, "error", err)
			continue
		}
		total -= f.size
	}
	w.total = total
}

// kept is a file of the recorder.
type kept struct {
	name string
	size int64
	at   time.Time
}

func (k kept) rotated() bool { return strings.HasSuffix(k.name, suffixOlder) }

func (w *writer) files() (files []kept, total int64) {
	list, err := os.ReadDir(w.dir)
	if err != nil {
		return nil, 0
	}
	for _, f := range list {
		name := strings.TrimSuffix(f.Name(), suffixOlder)
		if !strings.HasSuffix(name, suffixLines) && !strings.HasSuffix(name, suffixPackets) {
			continue
		}
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, kept{f.Name(), info.Size(), info.ModTime()})
			total += info.Size()
		}
	}
	return files, total
}

// prune removes the files of the strangers that were not seen for longest,
// when there are more than limit.
func (w *writer) prune(limit int) error {
	_, w.total = w.files()
	w.left = map[string]bool{}
	list, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	type aged struct {
		key string
		at  time.Time
	}
	var strangers []aged
	for _, f := range list {
		name, ok := strings.CutSuffix(strings.TrimSuffix(f.Name(), suffixOlder), suffixLines)
		if !ok {
			continue
		}
		key, err := url.PathUnescape(name)
		if err != nil || w.left[key] {
			continue
		}
		w.left[key] = true
		if _, err := site.ParseMAC(key); err != nil {
			continue
		}
		if info, err := f.Info(); err == nil {
			strangers = append(strangers, aged{key, info.ModTime()})
		}
	}
	slices.SortFunc(strangers, func(a, b aged) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.key, b.key)) })
	for _, s := range strangers[:max(0, len(strangers)-limit)] {
		delete(w.left, s.key)
		for _, suffix := range []string{suffixLines, suffixLines + suffixOlder, suffixPackets, suffixPackets + suffixOlder} {
			if err := os.Remove(w.path(s.key, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("removing the timeline of a machine that no plan names: %w", err)
			}
		}
	}
	return nil
}
