package profile

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"
)

// shippedPrefix leads to a shipped profile that one of the site hides.
const shippedPrefix = "shipped/"

// Over lays the profiles of a site over the shipped ones: of two with one
// name, that of the site counts. As shipped/NAME the other is still there, so
// that a site's compute can extend shipped/compute.
func Over(custom, shipped fs.FS) fs.FS { return overlay{custom, shipped} }

// Texts is a site's profiles by name, as a file system.
func Texts(profiles map[string]string) fs.FS { return texts(profiles) }

type texts map[string]string

func (t texts) Open(name string) (fs.File, error) {
	if profile, ok := strings.CutSuffix(name, ".yaml"); ok {
		if text, ok := t[profile]; ok {
			return &textFile{textInfo{name, int64(len(text))}, strings.NewReader(text)}, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (t texts) ReadDir(string) ([]fs.DirEntry, error) {
	var list []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(t)) {
		list = append(list, fs.FileInfoToDirEntry(textInfo{name + ".yaml", int64(len(t[name]))}))
	}
	return list, nil
}

type textFile struct {
	info textInfo
	*strings.Reader
}

func (f *textFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *textFile) Close() error               { return nil }

type textInfo struct {
	name string
	size int64
}

func (i textInfo) Name() string     { return i.name }
func (i textInfo) Size() int64      { return i.size }
func (textInfo) Mode() fs.FileMode  { return 0o444 }
func (textInfo) ModTime() time.Time { return time.Time{} }
func (textInfo) IsDir() bool        { return false }
func (textInfo) Sys() any           { return nil }

type overlay struct{ custom, shipped fs.FS }

func (o overlay) Open(name string) (fs.File, error) {
	if rest, ok := strings.CutPrefix(name, shippedPrefix); ok {
		return o.shipped.Open(rest)
	}
	f, err := o.custom.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return o.shipped.Open(name)
	}
	return f, err
}

// ReadDir lists both; it is how fs.Glob looks.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	mine, err1 := fs.ReadDir(o.custom, name)
	theirs, err2 := fs.ReadDir(o.shipped, name)
	if err1 != nil && err2 != nil {
		return nil, err2
	}
	all := append(slices.Clone(mine), theirs...)
	slices.SortStableFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return slices.CompactFunc(all, func(a, b fs.DirEntry) bool { return a.Name() == b.Name() }), nil
}
