package iso

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Index is the directory of one image. It is immutable and safe for concurrent use.
type Index struct {
	Label  string // volume identifier
	Space  int64  // bytes the volume claims to fill
	UDF    bool   // the image also carries a UDF directory, which is not read
	Naming Naming

	nodes   []node
	extents []Extent
	targets []string
	byName  map[key]int32
}

type key struct {
	dir  int32
	name string
}

// node is one entry. A directory's children are nodes[first:first+count], a file's extents
// extents[first:first+count], a link's target targets[first].
type node struct {
	name         string
	mode         fs.FileMode
	parent       int32
	first, count int32
	size         int64
}

// Entry describes one file, directory or symbolic link.
type Entry struct {
	Name    string      // last element of its path; "." for the root
	Mode    fs.FileMode // type bits only: 0, fs.ModeDir, fs.ModeSymlink or fs.ModeIrregular
	Size    int64       // bytes; 0 unless it is a file
	Extents []Extent    // of a file, in order, adjacent ones joined; not to be changed
	Target  string      // of a symbolic link, as written
}

// Lookup finds the file or directory at a slash-separated path, following symbolic links inside the
// image: an absolute link starts at the image's root, and ".." ends there. A leading slash is
// allowed. The error is an *fs.PathError that wraps fs.ErrNotExist, or says that links form a loop.
func (x *Index) Lookup(name string) (Entry, error) {
	i, err := x.walk(name, true)
	if err != nil {
		return Entry{}, &fs.PathError{Op: "lookup", Path: name, Err: err}
	}
	return x.entry(i), nil
}

// Len is the number of entries, the root included.
func (x *Index) Len() int { return len(x.nodes) }

// List returns the entries of the directory at path, sorted by name. Links are not followed in it.
func (x *Index) List(name string) ([]Entry, error) {
	i, err := x.walk(name, true)
	if err != nil {
		return nil, &fs.PathError{Op: "list", Path: name, Err: err}
	}
	dir := x.nodes[i]
	if !dir.mode.IsDir() {
		return nil, &fs.PathError{Op: "list", Path: name, Err: fs.ErrNotExist}
	}
	list := make([]Entry, 0, dir.count)
	for child := dir.first; child < dir.first+dir.count; child++ {
		list = append(list, x.entry(child))
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (x *Index) entry(i int32) Entry {
	n := x.nodes[i]
	e := Entry{Name: n.name, Mode: n.mode, Size: n.size}
	switch n.mode {
	case 0:
		e.Extents = x.extents[n.first : n.first+n.count : n.first+n.count]
	case fs.ModeSymlink:
		e.Target = x.targets[n.first]
	}
	return e
}

func (x *Index) walk(name string, followLast bool) (int32, error) {
	const maxLinks = 40 // as Linux
	at, links := int32(0), 0
	for rest := name; rest != ""; {
		var elem string
		elem, rest, _ = strings.Cut(rest, "/")
		switch elem {
		case "", ".":
			continue
		case "..":
			at = x.nodes[at].parent
			continue
		}
		child, ok := x.byName[key{at, elem}]
		if !ok {
			return 0, fs.ErrNotExist
		}
		if x.nodes[child].mode != fs.ModeSymlink || rest == "" && !followLast {
			at = child
			continue
		}
		if links++; links > maxLinks {
			return 0, fmt.Errorf("%w: symbolic links form a loop", fs.ErrNotExist)
		}
		target := x.targets[x.nodes[child].first]
		if strings.HasPrefix(target, "/") {
			at = 0
		}
		rest = target + "/" + rest
	}
	return at, nil
}

// build reads all directories, breadth first, so that the children of one are neighbours.
func (x *Index) build(src *source, names namer, root Extent) error {
	x.nodes = []node{{name: ".", mode: fs.ModeDir}}
	x.byName = make(map[key]int32)
	queue := []subdir{{0, root}}
	seen := map[int64]bool{root.Offset: true}
	for len(queue) > 0 {
		dir := queue[0]
		queue = queue[1:]
		first := int32(len(x.nodes))
		b := dirBuilder{x: x, src: src, names: names, dir: dir.node}
		err := records(src, dir.extent, b.record)
		if err == nil {
			err = b.end()
		}
		if err != nil {
			return fmt.Errorf("reading directory %q: %w", x.path(dir.node), err)
		}
		x.nodes[dir.node].first = first
		x.nodes[dir.node].count = int32(len(x.nodes)) - first
		for _, sub := range b.subdirs {
			if seen[sub.extent.Offset] {
				return fmt.Errorf("%w: directory %q appears twice", ErrDamaged, x.path(sub.node))
			}
			seen[sub.extent.Offset] = true
			queue = append(queue, sub)
		}
	}
	return nil
}

// path is for messages: it shows at most the last ten elements.
func (x *Index) path(i int32) string {
	var elems []string
	for ; i != 0 && len(elems) < 10; i = x.nodes[i].parent {
		elems = append(elems, x.nodes[i].name)
	}
	slices.Reverse(elems)
	return "/" + strings.Join(elems, "/")
}

// subdir is a directory still to be read.
type subdir struct {
	node   int32
	extent Extent
}

// dirBuilder turns the records of one directory into nodes.
type dirBuilder struct {
	x       *Index
	src     *source
	names   namer
	dir     int32
	subdirs []subdir
	open    struct { // a file of which more extents follow
		id      string
		attr    attributes
		extents []Extent
	}
}

func (b *dirBuilder) record(rec record) error {
	if rec.flags&flagAssociated != 0 {
		return nil
	}
	if rec.flags&flagDirectory == 0 {
		return b.file(rec)
	}
	if err := b.end(); err != nil {
		return err
	}
	attr, err := b.names.attributes(b.src, rec)
	if err != nil || attr.relocated {
		return err
	}
	b.addDir(attr, rec.extent)
	return nil
}

func (b *dirBuilder) file(rec record) error {
	if rec.interleaved {
		return fmt.Errorf("%w: interleaved file %.80q", ErrDamaged, rec.id)
	}
	if len(b.open.extents) > 0 {
		if string(rec.id) != b.open.id {
			return b.end()
		}
	} else {
		attr, err := b.names.attributes(b.src, rec)
		if err != nil {
			return err
		}
		if attr.childAt != 0 {
			return b.moved(attr)
		}
		b.open.id, b.open.attr = string(rec.id), attr
	}
	if attr := b.open.attr; attr.mode == 0 && rec.extent.Length > 0 && rec.extent.end() > b.src.size {
		return fmt.Errorf("%w: file %q ends at byte %d and the image at %d", ErrTruncated, attr.name, rec.extent.end(), b.src.size)
	}
	b.open.extents = appendExtent(b.open.extents, rec.extent)
	if rec.flags&flagMoreFollow != 0 {
		return nil
	}
	b.add()
	return nil
}

// end reports a file whose last extent never came.
func (b *dirBuilder) end() error {
	if len(b.open.extents) > 0 {
		return fmt.Errorf("%w: file %q lacks its last extent", ErrDamaged, b.open.attr.name)
	}
	return nil
}

// moved follows a CL record to the directory that stands in for it elsewhere (IEEE P1282 4.1.5).
func (b *dirBuilder) moved(attr attributes) error {
	var buf [sectorSize]byte
	if err := b.src.sector(attr.childAt, &buf); err != nil {
		return fmt.Errorf("reading relocated directory %q: %w", attr.name, err)
	}
	self, err := parseRecord(buf[:])
	if err != nil {
		return fmt.Errorf("reading relocated directory %q: %w", attr.name, err)
	}
	b.addDir(attr, Extent{Offset: attr.childAt, Length: self.extent.Length})
	return nil
}

func (b *dirBuilder) addDir(attr attributes, extent Extent) {
	if i, ok := b.insert(node{name: attr.name, mode: fs.ModeDir}); ok {
		b.subdirs = append(b.subdirs, subdir{i, extent})
	}
}

func (b *dirBuilder) add() {
	attr, extents := b.open.attr, b.open.extents
	b.open.extents = b.open.extents[:0]
	n := node{name: attr.name, mode: attr.mode, first: int32(len(b.x.extents))}
	if attr.mode == fs.ModeSymlink {
		n.first = int32(len(b.x.targets))
	}
	if attr.mode == 0 {
		n.count = int32(len(extents))
		for _, e := range extents {
			n.size += e.Length
		}
	}
	if _, ok := b.insert(n); !ok {
		return
	}
	switch attr.mode {
	case 0:
		b.x.extents = append(b.x.extents, extents...)
	case fs.ModeSymlink:
		b.x.targets = append(b.x.targets, attr.target)
	}
}

// insert keeps the first of two entries with one name, as Linux finds it.
func (b *dirBuilder) insert(n node) (int32, bool) {
	k := key{b.dir, n.name}
	if _, taken := b.x.byName[k]; taken {
		return 0, false
	}
	n.parent = b.dir
	i := int32(len(b.x.nodes))
	b.x.nodes = append(b.x.nodes, n)
	b.x.byName[k] = i
	return i, true
}

func appendExtent(list []Extent, e Extent) []Extent {
	if e.Length == 0 && len(list) > 0 {
		return list
	}
	if last := len(list) - 1; last >= 0 && list[last].end() == e.Offset {
		list[last].Length += e.Length
		return list
	}
	return append(list, e)
}
