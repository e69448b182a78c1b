package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rackseed/rackseed/pkg/image/iso"
)

// AddOptions says how an image is added. The zero value serves most.
type AddOptions struct {
	// Name is the operator's handle. Default: distribution and release, such as rocky9, debian12,
	// openeuler22.03, with -aarch64 behind it for that architecture.
	Name string
	// SHA256 is the vendor's checksum in hex; if given, the file must have it.
	SHA256 string
	// InPlace leaves the ISO where it lies, on a USB disk for example, and remembers its path.
	InPlace bool
	// Kernel and Initrd are files that take the place of those on the medium: Debian's netboot pair.
	Kernel, Initrd string
	// Progress is called as bytes are hashed.
	Progress func(done, total int64)
}

// Add recognises an ISO, hashes it, and files it under its digest. The library shares the blocks of
// file where the file system can (reflink, else hard link) and copies otherwise. Adding the same
// content again under its name changes nothing. An interrupted Add leaves no image.
func (l *Library) Add(ctx context.Context, file string, opts AddOptions) (Image, error) {
	img, err := l.add(ctx, file, opts)
	if err != nil {
		return Image{}, fmt.Errorf("adding %s: %w", file, explain(err))
	}
	return img, nil
}

// explain adds the next step to what the ISO reader found.
func explain(err error) error {
	switch {
	case errors.Is(err, iso.ErrTruncated):
		return fmt.Errorf("%w; the download or copy is not complete: resume it (curl -C -) and compare its checksum", err)
	case errors.Is(err, iso.ErrUDF):
		return fmt.Errorf("%w; Rackseed installs from Linux media, which have ISO 9660", err)
	case errors.Is(err, iso.ErrNotISO):
		return fmt.Errorf("%w; check that it is the ISO itself, unpacked, and not a web page or a disk image", err)
	case errors.Is(err, iso.ErrDamaged):
		return fmt.Errorf("%w; compare its checksum with the vendor's and download it again", err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w; give the path of the ISO file on the machine of the daemon", err)
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w; free space there, or add the ISO in place", err)
	}
	return err
}

func (l *Library) add(ctx context.Context, file string, opts AddOptions) (Image, error) {
	src, err := openSource(file)
	if err != nil {
		return Image{}, err
	}
	defer src.Close()
	meta, err := examine(src, opts)
	if err != nil {
		return Image{}, err
	}
	l.mu.RLock()
	err = l.checkName(meta)
	l.mu.RUnlock()
	if err != nil {
		return Image{}, err
	}
	temp, hashed, err := l.stage(src, opts.InPlace)
	if err != nil {
		return Image{}, err
	}
	if temp != "" {
		defer os.Remove(temp)
	}
	if err := hashed.run(ctx, meta.Size, opts.Progress); err != nil {
		return Image{}, err
	}
	defer hashed.close()
	meta.Digest = digestPrefix + hashed.sum
	meta.ModTime = hashed.modTime
	if opts.SHA256 != "" && !strings.EqualFold(opts.SHA256, hashed.sum) {
		return Image{}, fmt.Errorf("%w: its SHA-256 is %s and should be %s; download it again", ErrFault, hashed.sum, opts.SHA256)
	}
	l.bootFiles.Lock()
	defer l.bootFiles.Unlock()
	if err := l.attach(ctx, &meta.Media, opts); err != nil {
		return Image{}, err
	}
	return l.commit(meta, temp, opts.Name == "")
}

// Examine recognises an ISO without adding it to a library.
func Examine(file string) (Media, error) {
	src, err := openSource(file)
	if err != nil {
		return Media{}, fmt.Errorf("looking at %s: %w", file, err)
	}
	defer src.Close()
	meta, err := examine(src, AddOptions{})
	if err != nil {
		return Media{}, fmt.Errorf("looking at %s: %w", file, explain(err))
	}
	return meta.Media, nil
}

// source is the file to be added, by its real path: a link would be linked, not the file.
type source struct {
	*os.File
	path string
	info fs.FileInfo
}

func openSource(file string) (*source, error) {
	where, err := filepath.Abs(file)
	if err == nil {
		where, err = filepath.EvalSymlinks(where)
	}
	if err != nil {
		return nil, err
	}
	// Stat before opening: opening a pipe would wait for its writer.
	info, err := os.Stat(where)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is not a file (%s); give the ISO file", info.Mode().Type())
	}
	f, err := os.Open(where)
	if err != nil {
		return nil, err
	}
	return &source{f, where, info}, nil
}

// examine refuses what cannot be used before any time is spent on it.
func examine(src *source, opts AddOptions) (metadata, error) {
	index, err := iso.Read(src, src.info.Size())
	if err != nil {
		return metadata{}, err
	}
	media, err := recognize(disc{index.FS(src), index.Label, opts.Kernel != ""})
	if err != nil && index.UDF {
		err = fmt.Errorf("%w (it also has a UDF directory, which Rackseed does not read)", err)
	}
	if err != nil {
		return metadata{}, err
	}
	meta := metadata{Image: Image{Name: opts.Name, Size: src.info.Size(), Media: media}}
	if opts.InPlace {
		meta.InPlace = src.path
	}
	if meta.Name == "" {
		meta.Name = defaultName(media)
	}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`).MatchString(meta.Name) || isHex(meta.Name) {
		return metadata{}, fmt.Errorf("name %q: use up to 63 of a-z, 0-9, dot, dash and underscore", meta.Name)
	}
	return meta, nil
}

// defaultName is distribution and release: rocky9, debian12, kylin10, openeuler22.03, ubuntu24.04.
func defaultName(m Media) string {
	pattern := `\d+`
	if m.Family == OpenEuler || m.Family == Ubuntu {
		pattern = `\d+\.\d+`
	}
	name := m.Distro + regexp.MustCompile(pattern).FindString(m.Version)
	if m.Arch != "" && m.Arch != "x86_64" {
		name += "-" + m.Arch
	}
	return strings.ToLower(name)
}

// checkName reports that another image has the name. Before the digest is known, images of one size
// pass for the same. It needs l.mu.
func (l *Library) checkName(meta metadata) error {
	for _, s := range l.images {
		same := s.meta.Digest == meta.Digest || meta.Digest == "" && s.meta.Size == meta.Size
		if s.meta.Name == meta.Name && !same {
			return fmt.Errorf("%w: %s is the name of another image (%.19s…, added %s); give this one another name, or remove that one first",
				ErrExists, meta.Name, s.meta.Digest, s.meta.Added.Format("2006-01-02"))
		}
	}
	return nil
}

// stage brings the content into the library under a temporary name and says what to hash.
func (l *Library) stage(src *source, inPlace bool) (temp string, h *hashing, err error) {
	if inPlace {
		return "", &hashing{from: src.File}, nil
	}
	f, err := os.CreateTemp(l.dir, tempPrefix)
	if err != nil {
		return "", nil, err
	}
	temp = f.Name()
	if err := unix.IoctlFileClone(int(f.Fd()), int(src.Fd())); err == nil {
		return temp, &hashing{from: f, own: f}, nil
	}
	if err := linkOver(src.path, temp); err == nil {
		f.Close()
		if f, err = os.Open(temp); err != nil {
			return "", nil, errors.Join(err, os.Remove(temp))
		}
		return temp, &hashing{from: f, own: f, linked: true}, nil
	}
	return temp, &hashing{from: src.File, to: f, own: f}, nil
}

// linkOver replaces the empty file at temp by a hard link.
func linkOver(file, temp string) error {
	link := temp + "-link"
	if err := os.Link(file, link); err != nil {
		return err
	}
	return os.Rename(link, temp)
}

// hashing reads a file once from its start, writing it to another if there is one.
type hashing struct {
	from, to *os.File
	own      *os.File // the library's file, to be synced and closed; nil in place
	linked   bool     // own is a hard link to the operator's file

	sum     string
	modTime time.Time
}

func (h *hashing) close() {
	if h.own != nil {
		h.own.Close()
	}
}

func (h *hashing) run(ctx context.Context, size int64, progress func(done, total int64)) (err error) {
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	before, err := h.from.Stat()
	if err != nil {
		return err
	}
	if h.sum, err = hashFile(ctx, h.from, h.to, size, progress); err != nil {
		return err
	}
	after, err := h.from.Stat()
	if err != nil {
		return err
	}
	if before.Size() != size || after.Size() != size || !before.ModTime().Equal(after.ModTime()) {
		return errors.New("the file changed while it was read; wait until its download or copy has ended and add it again")
	}
	h.modTime = after.ModTime()
	if h.own == nil {
		return nil
	}
	if !h.linked {
		if err := h.own.Chmod(0o444); err != nil {
			return err
		}
	}
	if err := h.own.Sync(); err != nil {
		return fmt.Errorf("storing the image: %w", err)
	}
	kept, err := h.own.Stat()
	if err != nil {
		return err
	}
	h.modTime = kept.ModTime()
	return nil
}

// hashFile returns the SHA-256 of a file in hex, copying it to to if that is not nil.
func hashFile(ctx context.Context, from, to *os.File, size int64, progress func(done, total int64)) (string, error) {
	sum := sha256.New()
	buf := make([]byte, 1<<20)
	for done := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := from.ReadAt(buf, done)
		sum.Write(buf[:n])
		if to != nil && n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return "", fmt.Errorf("storing the image: %w", err)
			}
		}
		done += int64(n)
		if progress != nil {
			progress(done, size)
		}
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(sum.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// commit makes a staged image part of the library. An image that is there already keeps its name
// unless another was asked for, and its boot files unless new ones were given.
func (l *Library) commit(meta metadata, temp string, anyName bool) (Image, error) {
	hex := meta.Hex()
	l.mu.Lock()
	defer l.mu.Unlock()
	meta.Added = l.now().UTC()
	old := l.images[hex]
	if old != nil {
		switch {
		case anyName:
			meta.Name = old.meta.Name
		case old.meta.Name != meta.Name:
			return Image{}, fmt.Errorf("%w: the library has this image already, as %s", ErrExists, old.meta.Name)
		}
		meta.Added = old.meta.Added
		if len(meta.Media.external()) == 0 {
			meta.Media = old.meta.Media
		}
		if temp == "" && old.meta.InPlace == "" && old.meta.Fault == "" {
			meta.InPlace, meta.ModTime = "", old.meta.ModTime
		}
	}
	if err := l.checkName(meta); err != nil {
		return Image{}, err
	}
	if temp != "" {
		if err := publish(temp, filepath.Join(l.dir, hex+".iso")); err != nil {
			return Image{}, fmt.Errorf("storing the image: %w", err)
		}
	}
	if err := l.writeMetadata(meta); err != nil {
		return Image{}, err
	}
	if old != nil {
		old.close()
	}
	l.images[hex] = l.newStored(meta)
	return meta.Image, nil
}

// External boot files are served below this folder of the image, which no medium has, under their
// own digest: what a URL shows never changes.
const externalFolder = ".rackseed"

// attach stores the boot files given beside the medium and points the media at them.
func (l *Library) attach(ctx context.Context, m *Media, opts AddOptions) error {
	if (opts.Kernel == "") != (opts.Initrd == "") {
		return errors.New("give kernel and initrd together: they must be of the same build")
	}
	if opts.Kernel == "" {
		return nil
	}
	for _, part := range []struct {
		file, name string
		path       *string
	}{{opts.Kernel, "kernel", &m.Kernel}, {opts.Initrd, "initrd", &m.Initrd}} {
		hex, err := l.storeBootFile(ctx, part.file)
		if err != nil {
			return fmt.Errorf("storing %s: %w", part.file, err)
		}
		*part.path = path.Join(externalFolder, hex, part.name)
	}
	return nil
}

func (l *Library) storeBootFile(ctx context.Context, file string) (string, error) {
	src, err := openSource(file)
	if err != nil {
		return "", err
	}
	defer src.Close()
	if src.info.Size() == 0 {
		return "", errors.New("it is empty")
	}
	f, err := os.CreateTemp(l.dir, tempPrefix)
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	h := &hashing{from: src.File, to: f, own: f}
	if err := h.run(ctx, src.info.Size(), nil); err != nil {
		return "", err
	}
	h.close()
	return h.sum, publish(f.Name(), filepath.Join(l.dir, bootFolder, h.sum))
}

// external lists the digests of boot files that are not on the medium.
func (m Media) external() []string {
	var list []string
	for _, name := range []string{m.Kernel, m.Initrd} {
		if rest, ok := strings.CutPrefix(name, externalFolder+"/"); ok {
			hex, _, _ := strings.Cut(rest, "/")
			list = append(list, hex)
		}
	}
	return list
}
