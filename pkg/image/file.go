package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rackseed/rackseed/pkg/image/iso"
)

// maxIdle bounds the descriptors an image keeps open between requests. Each request has one to
// itself, because sendfile moves the descriptor's offset.
const maxIdle = 32

var (
	// errUnverified says that the file was changed and is being hashed again.
	errUnverified = errors.New("the image file was changed and is being verified")
	// errUnavailable hides fs.ErrNotExist: a disk that is not plugged in is no missing file.
	errUnavailable = errors.New("the image file cannot be opened")
)

// stored is an image with what is needed to serve it. meta does not change: a changed image is a new
// stored.
type stored struct {
	meta metadata
	path string

	mu        sync.Mutex
	index     *iso.Index // read at first use
	idle      []*os.File
	closed    bool
	verifying bool
}

func (l *Library) newStored(meta metadata) *stored {
	s := &stored{meta: meta, path: meta.InPlace}
	if s.path == "" {
		s.path = filepath.Join(l.dir, meta.Hex()+".iso")
	}
	return s
}

// acquire returns a descriptor that nobody else uses, on the content that was hashed.
func (s *stored) acquire() (*os.File, *iso.Index, error) {
	if s.meta.Fault != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrFault, s.meta.Fault)
	}
	f, err := s.take()
	if err != nil {
		// Not wrapped: a disk that is away must not pass for a file that is not in the image.
		return nil, nil, fmt.Errorf("opening image %s: %w: %s", s.meta.Name, errUnavailable, err.Error())
	}
	index, err := s.check(f)
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("opening image %s: %w", s.meta.Name, err)
	}
	return f, index, nil
}

func (s *stored) take() (*os.File, error) {
	s.mu.Lock()
	if last := len(s.idle) - 1; last >= 0 {
		f := s.idle[last]
		s.idle = s.idle[:last]
		s.mu.Unlock()
		return f, nil
	}
	s.mu.Unlock()
	return os.Open(s.path)
}

func (s *stored) check(f *os.File) (*iso.Index, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != s.meta.Size || !info.ModTime().Equal(s.meta.ModTime) {
		return nil, errUnverified
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil {
		if s.index, err = iso.Read(f, s.meta.Size); err != nil {
			return nil, err
		}
	}
	return s.index, nil
}

func (s *stored) release(f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.idle) == maxIdle {
		f.Close()
		return
	}
	s.idle = append(s.idle, f)
}

// close closes the idle descriptors now and the others as they are released.
func (s *stored) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, f := range s.idle {
		f.Close()
	}
	s.idle = nil
}

// File is one file of an image. Close it after use.
type File struct {
	*io.SectionReader // reads, seeks
	os                *os.File
	extents           []iso.Extent
	release           func(*os.File)
}

// Close gives the descriptor back.
func (f *File) Close() error {
	f.release(f.os)
	return nil
}

// sendTo writes the next n bytes in the form that net/http hands to sendfile: a LimitedReader of an
// *os.File for each extent.
func (f *File) sendTo(w io.ReaderFrom, n int64) (int64, error) {
	pos, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	var sent int64
	for _, part := range f.extents {
		if pos >= part.Length {
			pos -= part.Length
			continue
		}
		if _, err := f.os.Seek(part.Offset+pos, io.SeekStart); err != nil {
			return sent, err
		}
		want := min(part.Length-pos, n-sent)
		m, err := w.ReadFrom(&io.LimitedReader{R: f.os, N: want})
		sent += m
		if err == nil && m < want {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return sent, err
		}
		pos = 0
		if sent == n {
			break
		}
	}
	_, err = f.Seek(sent, io.SeekCurrent)
	return sent, err
}

// Open opens a file of an image, or the whole ISO if name is empty. The digest is 64 hex digits;
// names are as Media has them. The error wraps ErrNotFound, ErrFault or fs.ErrNotExist.
func (l *Library) Open(digest, name string) (*File, error) {
	s, err := l.byDigest(digest)
	if err != nil {
		return nil, err
	}
	if rest, ok := strings.CutPrefix(name, externalFolder+"/"); ok {
		return l.openExternal(s, rest)
	}
	osFile, index, err := l.acquire(s)
	if err != nil {
		return nil, err
	}
	entry := iso.Entry{Size: s.meta.Size, Extents: []iso.Extent{{Length: s.meta.Size}}}
	if name != "" {
		entry, err = index.Lookup(name)
		if err == nil && entry.Mode != 0 {
			err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
	}
	if err != nil {
		s.release(osFile)
		return nil, err
	}
	return &File{entry.Content(osFile), osFile, entry.Extents, s.release}, nil
}

// list returns the entries of a directory of an image.
func (l *Library) list(digest, name string) ([]iso.Entry, error) {
	s, err := l.byDigest(digest)
	if err != nil {
		return nil, err
	}
	f, index, err := l.acquire(s)
	if err != nil {
		return nil, err
	}
	defer s.release(f)
	return index.List(name)
}

func (l *Library) byDigest(digest string) (*stored, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if s, ok := l.images[digest]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: digest %.70q", ErrNotFound, digest)
}

// acquire starts a verification where the file is not the one that was hashed.
func (l *Library) acquire(s *stored) (*os.File, *iso.Index, error) {
	f, index, err := s.acquire()
	if errors.Is(err, errUnverified) {
		l.verifyAgain(s)
	}
	return f, index, err
}

func (l *Library) openExternal(s *stored, rest string) (*File, error) {
	for i, name := range []string{s.meta.Media.Kernel, s.meta.Media.Initrd} {
		if name != externalFolder+"/"+rest {
			continue
		}
		f, err := os.Open(filepath.Join(l.dir, bootFolder, s.meta.Media.external()[i]))
		if err != nil {
			return nil, fmt.Errorf("opening a boot file of image %s: %w", s.meta.Name, err)
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		whole := []iso.Extent{{Length: info.Size()}}
		return &File{io.NewSectionReader(f, 0, info.Size()), f, whole, func(f *os.File) { f.Close() }}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: rest, Err: fs.ErrNotExist}
}

// Verify hashes an image again, with its external boot files. A match makes a changed file served
// again; a difference takes the image out of service and returns an error that wraps ErrFault.
func (l *Library) Verify(ctx context.Context, ref string, progress func(done, total int64)) error {
	l.mu.RLock()
	s, err := l.find(ref)
	l.mu.RUnlock()
	if err != nil {
		return err
	}
	return l.verify(ctx, s, progress)
}

func (l *Library) verify(ctx context.Context, s *stored, progress func(done, total int64)) error {
	meta := s.meta
	meta.Fault = ""
	err := l.compare(ctx, s, &meta, progress)
	if err != nil && !errors.Is(err, ErrFault) {
		return fmt.Errorf("verifying image %s: %w", meta.Name, err)
	}
	if err != nil {
		meta.Fault = strings.TrimPrefix(err.Error(), ErrFault.Error()+": ")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.images[meta.Hex()] == s { // else it was removed or replaced meanwhile
		if err := l.writeMetadata(meta); err != nil {
			return err
		}
		s.close()
		l.images[meta.Hex()] = l.newStored(meta)
	}
	if err != nil {
		return fmt.Errorf("verifying image %s: %w; remove it and add the vendor's ISO again", meta.Name, err)
	}
	return nil
}

func (l *Library) compare(ctx context.Context, s *stored, meta *metadata, progress func(done, total int64)) error {
	h, err := rehash(ctx, s.path, progress)
	switch {
	case errors.Is(err, fs.ErrNotExist) && meta.InPlace == "":
		return fmt.Errorf("%w: the file is gone", ErrFault)
	case err != nil:
		return err // a disk that is not plugged in is no damage
	case h.sum != meta.Hex():
		return fmt.Errorf("%w: its SHA-256 is now %s", ErrFault, h.sum)
	}
	meta.ModTime = h.modTime
	for _, want := range meta.Media.external() {
		h, err := rehash(ctx, filepath.Join(l.dir, bootFolder, want), nil)
		if err == nil && h.sum != want || errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: boot file %s is lost or changed", ErrFault, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func rehash(ctx context.Context, file string, progress func(done, total int64)) (*hashing, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	h := &hashing{from: f}
	return h, h.run(ctx, info.Size(), progress)
}

// verifyAgain hashes a changed image, once at a time, while its requests are told to come back.
func (l *Library) verifyAgain(s *stored) {
	l.mu.RLock() // so that Close does not wait before the goroutine counts
	defer l.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.verifying || s.closed || l.ctx.Err() != nil {
		return
	}
	s.verifying = true
	l.log.Warn("image file was changed: verifying it before it is served again", "image", s.meta.Name, "file", s.path)
	l.running.Go(func() {
		err := l.verify(l.ctx, s, nil)
		if err != nil {
			l.log.Error("image is not served", "image", s.meta.Name, "error", err)
		}
		s.mu.Lock()
		s.verifying = false
		s.mu.Unlock()
	})
}
