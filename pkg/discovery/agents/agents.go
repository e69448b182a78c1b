// Package agents holds the programs that look at machines from inside, for
// each architecture. `make agent` builds cmd/rackseed-discover and embeds it; a
// build without them looks at no machine, and says so.
package agents

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/rackseed/rackseed/pkg/bootplan"
	"github.com/rackseed/rackseed/pkg/cpio"
)

//go:embed all:files
var embedded embed.FS

// architectures are those of images, and what Go calls them.
func architectures() map[string]string {
	return map[string]string{"x86_64": "amd64", "aarch64": "arm64"}
}

// Set is the agents of a build. It may be used by several goroutines.
type Set struct {
	files fs.FS

	mu    sync.Mutex
	ready map[string][]byte // by what Lookup was asked for
}

// Open gives the agents embedded in the binary.
func Open() (*Set, error) {
	files, err := fs.Sub(embedded, "files")
	if err != nil {
		return nil, fmt.Errorf("opening the embedded discovery agents: %w", err)
	}
	return &Set{files: files, ready: map[string][]byte{}}, nil
}

// Missing lists the architectures that the build has no agent for.
func (s *Set) Missing() []string {
	var out []string
	for _, arch := range []string{"x86_64", "aarch64"} {
		if _, err := fs.Stat(s.files, file(arch)); err != nil {
			out = append(out, arch)
		}
	}
	return out
}

func file(arch string) string { return "discover-" + architectures()[arch] + ".gz" }

// Lookup gives the agent for an architecture, x86_64 or aarch64: alone, or as
// a ramdisk. The bytes are shared: do not change them.
func (s *Set) Lookup(arch string, ramdisk bool) ([]byte, bool) {
	if _, known := architectures()[arch]; !known {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprintf("%s %t", arch, ramdisk)
	if data, ok := s.ready[key]; ok {
		return data, true
	}
	data, err := s.read(arch)
	if err != nil {
		return nil, false // Missing tells
	}
	if ramdisk {
		data = pack(data)
	}
	s.ready[key] = data
	return data, true
}

func (s *Set) read(arch string) ([]byte, error) {
	packed, err := fs.ReadFile(s.files, file(arch))
	if err != nil {
		return nil, fmt.Errorf("reading the discovery agent: %w", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the discovery agent: %w", err)
	}
	return io.ReadAll(z)
}

// pack puts the agent where the kernel starts it.
func pack(agent []byte) []byte {
	var a cpio.Archive
	name := strings.TrimPrefix(bootplan.AgentInit, "/")
	a.Folder(name[:strings.IndexByte(name, '/')], 0o755)
	a.File(name, 0o755, agent)
	return a.Bytes()
}
