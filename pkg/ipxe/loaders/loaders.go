// Package loaders holds the iPXE programs that a machine's firmware loads first, under the names they
// are served by. `make loaders` takes them from Debian's ipxe package and embeds them; a build without
// them reads the same files from a folder.
package loaders

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rackseed/rackseed/pkg/ipxe"
)

// The names that DHCP hands out and TFTP and HTTP serve.
const (
	BIOS         = ipxe.LoaderBIOS  // BIOS, through the card's own UNDI driver
	UEFI         = ipxe.LoaderX64   // UEFI x64, through the firmware's own network driver
	UEFIFull     = "ipxe.efi"       // UEFI x64 with iPXE's drivers, where the firmware's own is broken
	UEFIARM      = ipxe.LoaderARM64 // UEFI arm64, through the firmware's own network driver
	UEFIARMFull  = "ipxe-arm64.efi" // UEFI arm64 with iPXE's drivers
	originFile   = "ORIGIN"
	maxLoaderLen = 8 << 20
)

// ErrNone says that a folder, or the binary, holds no loader at all.
var ErrNone = errors.New("no boot loaders")

//go:embed all:files
var embedded embed.FS

// Set is an immutable set of loaders by served name.
type Set struct {
	files  map[string][]byte
	origin string
}

// Needed returns the names that booting every supported machine takes.
func Needed() []string {
	return []string{BIOS, UEFI, UEFIFull, UEFIARM, UEFIARMFull}
}

// Open reads the loaders embedded in the binary, or those in dir when it is not empty. /usr/lib/ipxe of
// Debian 13's ipxe package is such a folder. A folder without any loader is ErrNone; the embedded set may
// be empty, which Missing tells.
func Open(dir string) (*Set, error) {
	if dir == "" {
		files, err := fs.Sub(embedded, "files")
		if err != nil {
			return nil, fmt.Errorf("opening the embedded boot loaders: %w", err)
		}
		return read(files)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the folder of boot loaders: %w", err)
	}
	defer root.Close()
	set, err := read(root.FS())
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	if len(set.files) == 0 {
		return nil, fmt.Errorf("folder %s: %w: it should hold %s", dir, ErrNone, strings.Join(Needed(), ", "))
	}
	if set.origin == "" {
		set.origin = "folder " + dir
	}
	return set, nil
}

func read(dir fs.FS) (*Set, error) {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("listing boot loaders: %w", err)
	}
	set := &Set{files: map[string][]byte{}}
	for _, entry := range entries {
		name := entry.Name()
		if name != originFile && !isLoader(name) {
			continue
		}
		data, err := readSmall(dir, name)
		if err != nil {
			return nil, err
		}
		if name == originFile {
			set.origin, _, _ = strings.Cut(string(data), "\n")
			continue
		}
		set.files[name] = data
	}
	set.alias(UEFIFull, "ipxe-amd64.efi")
	// Debian builds no snponly for arm64; the full build also drives the firmware's own network protocol.
	set.alias(UEFIARM, UEFIARMFull)
	return set, nil
}

// readSmall keeps an ISO image or a device in the folder from filling the memory.
func readSmall(dir fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(dir, name)
	if err != nil {
		return nil, fmt.Errorf("reading boot loader: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxLoaderLen {
		return nil, fmt.Errorf("boot loader %s: not a file of at most %d bytes", name, maxLoaderLen)
	}
	data, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, fmt.Errorf("reading boot loader: %w", err)
	}
	return data, nil
}

func isLoader(name string) bool {
	return slices.ContainsFunc([]string{".kpxe", ".kkpxe", ".pxe", ".efi"}, func(suffix string) bool {
		return strings.HasSuffix(name, suffix)
	})
}

func (s *Set) alias(name, of string) {
	if _, ok := s.files[name]; ok {
		return
	}
	if data, ok := s.files[of]; ok {
		s.files[name] = data
	}
}

// Lookup returns the loader that is served as name. The bytes are shared: do not change them.
func (s *Set) Lookup(name string) (data []byte, ok bool) {
	data, ok = s.files[name]
	return data, ok
}

// Names returns every served name, sorted.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Missing returns those of Needed that are not there. When it is not empty, `make loaders` before the
// build, or Open on a folder that holds them, is the remedy.
func (s *Set) Missing() []string {
	return slices.DeleteFunc(Needed(), func(name string) bool {
		_, ok := s.files[name]
		return ok
	})
}

// Origin is one line on where the loaders came from: package and version, or the folder. It is empty
// when the binary embeds none.
func (s *Set) Origin() string { return s.origin }
