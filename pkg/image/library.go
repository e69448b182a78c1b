package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Image is one medium in the library.
type Image struct {
	Name   string    `json:"name"`   // the operator's handle, such as rocky9
	Digest string    `json:"digest"` // of the whole ISO: "sha256:" and 64 hex digits
	Size   int64     `json:"size"`   // bytes
	Media  Media     `json:"media"`
	Added  time.Time `json:"added"`
	// Fault says why the image is not served, as found by the last verification; empty if it is sound.
	Fault string `json:"fault,omitempty"`
}

// Hex is the digest as it stands in URLs.
func (i Image) Hex() string { return strings.TrimPrefix(i.Digest, digestPrefix) }

// Errors that callers tell apart with errors.Is.
var (
	ErrNotFound = errors.New("no such image")
	ErrExists   = errors.New("image exists")
	ErrBusy     = errors.New("the image library is in use by another process")
	ErrFault    = errors.New("image is not what was added")
)

const (
	digestPrefix = "sha256:"
	tempPrefix   = ".adding-"
	bootFolder   = "boot"
)

// Config says where a library lives and what it tells whom.
type Config struct {
	Dir string           // made if it is missing
	Log *slog.Logger     // default: slog.Default()
	Now func() time.Time // default: time.Now
	// Stall is how long a reader may take for the next megabyte before it is cut off. Default 1 min.
	Stall time.Duration
}

// Library is a folder of images, each with its metadata beside it. One process has it open.
type Library struct {
	dir   string
	log   *slog.Logger
	now   func() time.Time
	stall time.Duration
	lock  *os.File

	readers atomic.Int64 // downloads by sendfile under way
	turns   turns        // of the downloads

	ctx     context.Context // ends the verifications that run by themselves
	cancel  context.CancelFunc
	running sync.WaitGroup

	bootFiles sync.Mutex // held while boot files and what refers to them disagree; before mu

	mu     sync.RWMutex
	images map[string]*stored // by hex digest
}

// metadata is the file beside an image.
type metadata struct {
	Image
	// InPlace is the absolute path of an ISO that stays where it lies; empty for our own file.
	InPlace string `json:"in_place,omitempty"`
	// ModTime of the file when it was hashed. With the size it shows that the file was changed,
	// which a hard link does not prevent.
	ModTime time.Time `json:"mod_time"`
}

// Open opens the library and removes what an interrupted Add left. It fails with ErrBusy if another
// process has it open.
func Open(cfg Config) (*Library, error) {
	l := &Library{dir: cfg.Dir, log: cfg.Log, now: cfg.Now, stall: cfg.Stall, images: map[string]*stored{}, turns: newTurns()}
	if l.log == nil {
		l.log = slog.Default()
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.stall == 0 {
		l.stall = time.Minute
	}
	if err := os.MkdirAll(filepath.Join(l.dir, bootFolder), 0o755); err != nil {
		return nil, fmt.Errorf("making the image library: %w", err)
	}
	if err := l.takeLock(); err != nil {
		return nil, err
	}
	if err := l.load(); err != nil {
		l.lock.Close()
		return nil, fmt.Errorf("reading the image library: %w", err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

func (l *Library) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(l.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("locking the image library: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s; ask the running daemon instead", ErrBusy, l.dir)
		}
		return fmt.Errorf("locking the image library: %w", err)
	}
	l.lock = lock
	return nil
}

func (l *Library) load() error {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		file := filepath.Join(l.dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix):
			if err := os.Remove(file); err != nil {
				return err
			}
		case strings.HasSuffix(e.Name(), ".json"):
			meta, err := readMetadata(file)
			if err != nil {
				// One bad file must not take the other images away.
				l.log.Error("ignoring image metadata", "file", file, "error", err)
				continue
			}
			l.images[meta.Hex()] = l.newStored(meta)
		}
	}
	return nil
}

func readMetadata(file string) (metadata, error) {
	var meta metadata
	data, err := os.ReadFile(file)
	if err != nil {
		return meta, err
	}
	if err := json.Unmarshal(data, &meta); err != nil {
		return meta, err
	}
	if want := meta.Hex() + ".json"; !isHex(meta.Hex()) || want != filepath.Base(file) {
		return meta, fmt.Errorf("it describes digest %q", meta.Digest)
	}
	return meta, nil
}

func (l *Library) writeMetadata(meta metadata) error {
	data, err := json.MarshalIndent(meta, "", "  ")
	if err != nil {
		return fmt.Errorf("writing image metadata: %w", err)
	}
	f, err := os.CreateTemp(l.dir, tempPrefix)
	if err != nil {
		return fmt.Errorf("writing image metadata: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing image metadata: %w", err)
	}
	if err := publish(f.Name(), filepath.Join(l.dir, meta.Hex()+".json")); err != nil {
		return fmt.Errorf("writing image metadata: %w", err)
	}
	return nil
}

// publish renames a synced file into its folder so that it survives a power cut.
func publish(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Close ends verifications that run by themselves and closes what no request is using.
func (l *Library) Close() error {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	l.running.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.images {
		s.close()
	}
	return l.lock.Close()
}

// List returns all images, sorted by name.
func (l *Library) List() []Image {
	l.mu.RLock()
	defer l.mu.RUnlock()
	list := make([]Image, 0, len(l.images))
	for _, s := range l.images {
		list = append(list, s.meta.Image)
	}
	slices.SortFunc(list, func(a, b Image) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Lookup finds an image by name, by digest with or without its prefix, or by the first eight or
// more digits of it. The error wraps ErrNotFound.
func (l *Library) Lookup(ref string) (Image, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s, err := l.find(ref)
	if err != nil {
		return Image{}, err
	}
	return s.meta.Image, nil
}

// find needs l.mu.
func (l *Library) find(ref string) (*stored, error) {
	hex := strings.TrimPrefix(ref, digestPrefix)
	if s, ok := l.images[hex]; ok {
		return s, nil
	}
	const shortest = 8
	var found []*stored
	for digits, s := range l.images {
		switch {
		case s.meta.Name == ref:
			return s, nil
		case len(hex) >= shortest && strings.HasPrefix(digits, hex):
			found = append(found, s)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("%w: %q fits %d digests; give more digits", ErrNotFound, ref, len(found))
	}
	return nil, fmt.Errorf("%w: %q; rackseed image list shows what there is", ErrNotFound, ref)
}

// Remove takes an image out of the library. Requests that are being answered from it finish. An ISO
// that was added in place stays where it is.
func (l *Library) Remove(ref string) error {
	l.bootFiles.Lock()
	defer l.bootFiles.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.find(ref)
	if err != nil {
		return err
	}
	hex := s.meta.Hex()
	// Metadata goes first: without it the rest is only left-over space.
	if err := os.Remove(filepath.Join(l.dir, hex+".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing image %s: %w", s.meta.Name, err)
	}
	if err := syncDir(l.dir); err != nil {
		return fmt.Errorf("removing image %s: %w", s.meta.Name, err)
	}
	delete(l.images, hex)
	s.close()
	if err := os.Remove(filepath.Join(l.dir, hex+".iso")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing image %s: %w", s.meta.Name, err)
	}
	return l.dropBootFiles()
}

// dropBootFiles removes external boot files that no image refers to. It needs l.mu.
func (l *Library) dropBootFiles() error {
	entries, err := os.ReadDir(filepath.Join(l.dir, bootFolder))
	if err != nil {
		return fmt.Errorf("removing boot files: %w", err)
	}
	wanted := map[string]bool{}
	for _, s := range l.images {
		for _, hex := range s.meta.Media.external() {
			wanted[hex] = true
		}
	}
	for _, e := range entries {
		if wanted[e.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(l.dir, bootFolder, e.Name())); err != nil {
			return fmt.Errorf("removing boot files: %w", err)
		}
	}
	return nil
}

var hexDigest = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })

func isHex(s string) bool { return hexDigest().MatchString(s) }
