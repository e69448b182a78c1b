package loaders_test

import (
	"bytes"
	"debug/pe"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rackseed/rackseed/pkg/ipxe/loaders"
)

func TestOpenFolder(t *testing.T) {
	for _, tt := range []struct {
		name    string
		files   []string
		missing []string
	}{
		{
			name:  "as Debian names them",
			files: []string{"undionly.kpxe", "snponly.efi", "ipxe-amd64.efi", "ipxe-arm64.efi"},
		},
		{
			name:  "as they are served",
			files: []string{"undionly.kpxe", "snponly.efi", "ipxe.efi", "ipxe-arm64.efi", "snponly-arm64.efi"},
		},
		{
			name:    "BIOS only, beside files that are no loaders",
			files:   []string{"undionly.kpxe", "README.md", "ipxe.iso"},
			missing: []string{"snponly.efi", "ipxe.efi", "snponly-arm64.efi", "ipxe-arm64.efi"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, tt.files...)
			set, err := loaders.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.missing, set.Missing(), equateEmpty); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if data, _ := set.Lookup("undionly.kpxe"); string(data) != "bytes of undionly.kpxe" {
				t.Errorf("undionly.kpxe holds %q", data)
			}
			if want := "folder " + dir; set.Origin() != want {
				t.Errorf("origin %q, want %q", set.Origin(), want)
			}
			for _, name := range []string{"README.md", "ipxe.iso", "../" + filepath.Base(dir) + "/undionly.kpxe", ""} {
				if _, ok := set.Lookup(name); ok {
					t.Errorf("Lookup(%q) found something", name)
				}
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	huge := folder(t, "undionly.kpxe")
	if err := os.Truncate(filepath.Join(huge, "undionly.kpxe"), 9<<20); err != nil {
		t.Fatal(err)
	}
	outside := folder(t)
	if err := os.Symlink("/etc/hostname", filepath.Join(outside, "snponly.efi")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, dir, says string }{
		{"a folder that is not there", filepath.Join(t.TempDir(), "none"), "none"},
		{"a folder without loaders", folder(t, "README.md"), "it should hold undionly.kpxe"},
		{"a loader that is too large to be one", huge, "undionly.kpxe"},
		{"a link that leaves the folder", outside, "snponly.efi"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := loaders.Open(tt.dir)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want one that names %q", err, tt.says)
			}
		})
	}
	if _, err := loaders.Open(folder(t)); !errors.Is(err, loaders.ErrNone) {
		t.Errorf("empty folder: %v, want ErrNone", err)
	}
}

// What make embeds must be what each architecture's firmware can start.
func TestEmbedded(t *testing.T) {
	set, err := loaders.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Names()) == 0 {
		t.Skip("needs the boot loaders: make loaders")
	}
	if missing := set.Missing(); len(missing) > 0 {
		t.Errorf("missing %v of %v", missing, set.Names())
	}
	if !strings.Contains(set.Origin(), "iPXE 1.21.1+git20250501") {
		t.Errorf("origin %q names another version", set.Origin())
	}
	for name, machine := range map[string]uint16{
		loaders.UEFI:        pe.IMAGE_FILE_MACHINE_AMD64,
		loaders.UEFIFull:    pe.IMAGE_FILE_MACHINE_AMD64,
		loaders.UEFIARM:     pe.IMAGE_FILE_MACHINE_ARM64,
		loaders.UEFIARMFull: pe.IMAGE_FILE_MACHINE_ARM64,
	} {
		data, _ := set.Lookup(name)
		file, err := pe.NewFile(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if file.Machine != machine {
			t.Errorf("%s is for machine %#x, want %#x", name, file.Machine, machine)
		}
	}
}

var equateEmpty = cmp.Transformer("", func(s []string) string { return strings.Join(s, " ") })

func folder(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("bytes of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
