package iso

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// Content reads the file's bytes out of the image behind r.
func (e Entry) Content(r io.ReaderAt) *io.SectionReader {
	if len(e.Extents) == 1 {
		return io.NewSectionReader(r, e.Extents[0].Offset, e.Size)
	}
	return io.NewSectionReader(scattered{r, e.Extents}, 0, e.Size)
}

// scattered reads extents as one run of bytes.
type scattered struct {
	r       io.ReaderAt
	extents []Extent
}

func (s scattered) ReadAt(p []byte, off int64) (int, error) {
	var done int
	for _, e := range s.extents {
		if off >= e.Length {
			off -= e.Length
			continue
		}
		want := min(int64(len(p)-done), e.Length-off)
		n, err := s.r.ReadAt(p[done:done+int(want)], e.Offset+off)
		done += n
		if int64(n) < want {
			return done, err
		}
		if done == len(p) {
			return done, nil
		}
		off = 0
	}
	return done, io.EOF
}

// FS shows the image behind r as a file system. All files are read-only and carry no time.
func (x *Index) FS(r io.ReaderAt) fs.FS { return imageFS{x, r} }

type imageFS struct {
	x *Index
	r io.ReaderAt
}

func (f imageFS) find(op, name string, followLast bool) (Entry, error) {
	if !fs.ValidPath(name) {
		return Entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	i, err := f.x.walk(name, followLast)
	if err != nil {
		return Entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	e := f.x.entry(i)
	e.Name = path.Base(name)
	return e, nil
}

func (f imageFS) Open(name string) (fs.File, error) {
	e, err := f.find("open", name, true)
	if err != nil {
		return nil, err
	}
	switch e.Mode {
	case 0:
		return &openFile{Entry: e, SectionReader: e.Content(f.r)}, nil
	case fs.ModeDir:
		list, err := f.ReadDir(name)
		return &openDir{Entry: e, rest: list}, err
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func (f imageFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	list, err := f.x.List(name)
	if err != nil {
		return nil, err
	}
	entries := make([]fs.DirEntry, len(list))
	for i, e := range list {
		entries[i] = fs.FileInfoToDirEntry(info{e})
	}
	return entries, nil
}

func (f imageFS) Stat(name string) (fs.FileInfo, error) {
	e, err := f.find("stat", name, true)
	return info{e}, err
}

func (f imageFS) Lstat(name string) (fs.FileInfo, error) {
	e, err := f.find("lstat", name, false)
	return info{e}, err
}

func (f imageFS) ReadLink(name string) (string, error) {
	e, err := f.find("readlink", name, false)
	if err == nil && e.Mode != fs.ModeSymlink {
		err = &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return e.Target, err
}

type info struct{ e Entry }

func (i info) Name() string       { return i.e.Name }
func (i info) Size() int64        { return i.e.Size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.e.Mode.IsDir() }
func (i info) Sys() any           { return nil }
func (i info) Mode() fs.FileMode {
	if i.IsDir() {
		return fs.ModeDir | 0o555
	}
	return i.e.Mode | 0o444
}

type openFile struct {
	Entry
	*io.SectionReader
}

func (f *openFile) Size() int64                { return f.Entry.Size }
func (f *openFile) Stat() (fs.FileInfo, error) { return info{f.Entry}, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	Entry
	rest []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return info{d.Entry}, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.Name, Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.rest)
	} else if len(d.rest) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.rest))
	list := slices.Clone(d.rest[:n])
	d.rest = d.rest[n:]
	return list, nil
}
