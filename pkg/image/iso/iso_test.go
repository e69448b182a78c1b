package iso_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/kdomanski/iso9660"

	"github.com/rackseed/rackseed/pkg/image/iso"
)

// tree has the names that have tripped other readers.
var tree = map[string]string{
	".treeinfo":                         "[general]\n",
	".disk/info":                        "Debian\n",
	"EFI/BOOT/BOOTX64.EFI":              "MZ",
	"empty":                             "",
	"Packages/g/gcc-c++-11.4~rc1.rpm":   "rpm",
	"Packages/g/libstdc++_Upper.rpm":    "rpm",
	"a name with spaces & ünicode.txt":  "text",
	strings.Repeat("long", 60) + ".txt": "long",
	"1/2/3/4/5/6/7/8/9/10/11/deep":      "deep",
	"dists/trixie/Release":              "Suite: stable\n",
}

func xorriso(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("xorriso"); err != nil {
		t.Skip("needs xorriso: apt install xorriso")
	}
	out := filepath.Join(t.TempDir(), "test.iso")
	cmd := exec.Command("xorriso", append([]string{"-as", "mkisofs", "-quiet", "-V", "TEST_LABEL", "-o", out}, args...)...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v\n%s", err, msg)
	}
	return out
}

func writeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range tree {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"dists/stable": "trixie", "debian": ".", "outside": "/../etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, file string) (*os.File, *iso.Index) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	x, err := iso.Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return f, x
}

func TestRockRidge(t *testing.T) {
	for name, args := range map[string][]string{
		"rock ridge":              {"-R"},
		"rock ridge and joliet":   {"-R", "-J", "-joliet-long"},
		"long ISO 9660 names too": {"-R", "-iso-level", "3", "-full-iso9660-filenames"},
	} {
		t.Run(name, func(t *testing.T) {
			f, x := open(t, xorriso(t, append(args, writeTree(t))...))
			if x.Naming != iso.RockRidge || x.Label != "TEST_LABEL" {
				t.Errorf("naming %q, label %q", x.Naming, x.Label)
			}
			checkTree(t, x.FS(f))
			if got, err := fs.ReadFile(x.FS(f), "debian/debian/dists/stable/Release"); string(got) != tree["dists/trixie/Release"] {
				t.Errorf("through links: %q, %v", got, err)
			}
			if _, err := x.Lookup("outside"); err == nil {
				t.Error("a link to the host's /etc/passwd was found")
			}
		})
	}
}

func TestFileSystemKeepsItsPromises(t *testing.T) {
	f, x := open(t, xorriso(t, "-R", "-m", "outside", "-m", "debian", writeTree(t)))
	if err := fstest.TestFS(x.FS(f), ".treeinfo", "empty", "dists/trixie/Release", "dists/stable"); err != nil {
		t.Error(err)
	}
}

func TestJolietWhereThereIsNoRockRidge(t *testing.T) {
	f, x := open(t, xorriso(t, "-J", "-joliet-long", "--norock", writeTree(t)))
	if x.Naming != iso.Joliet {
		t.Fatalf("naming %q, want %q", x.Naming, iso.Joliet)
	}
	for _, name := range []string{".treeinfo", "Packages/g/gcc-c++-11.4~rc1.rpm", "a name with spaces & ünicode.txt"} {
		if got, err := fs.ReadFile(x.FS(f), name); string(got) != tree[name] {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The writer makes plain ISO 9660: upper case on the medium, lower case as Linux shows it.
func TestPlainNames(t *testing.T) {
	w, err := iso9660.NewWriter()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Cleanup()
	if err := w.AddFile(strings.NewReader("kernel"), "images/pxeboot/vmlinuz"); err != nil {
		t.Fatal(err)
	}
	var img bytes.Buffer
	if err := w.WriteTo(&img, "PLAIN"); err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(img.Bytes())
	x, err := iso.Read(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(x.FS(r), "images/pxeboot/vmlinuz"); string(got) != "kernel" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestFileOver4GiB(t *testing.T) {
	if testing.Short() {
		t.Skip("writes an image of 5 GiB")
	}
	const size = 5<<30 + 12345
	dir := t.TempDir()
	big, err := os.Create(filepath.Join(dir, "install.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	marks := map[int64]string{0: "start", 1<<32 - 2048 - 3: "across the extents", size - 3: "end"}
	for at, mark := range marks {
		if _, err := big.WriteAt([]byte(mark), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := big.Truncate(size); err != nil {
		t.Fatal(err)
	}
	f, x := open(t, xorriso(t, "-R", "-iso-level", "3", dir))
	e, err := x.Lookup("install.img")
	if err != nil {
		t.Fatal(err)
	}
	if e.Size != size {
		t.Errorf("size %d, want %d", e.Size, int64(size))
	}
	list, err := x.List("")
	if err != nil || len(list) != 1 {
		t.Errorf("root lists %d entries, %v, want 1", len(list), err)
	}
	content := e.Content(f)
	for at, mark := range marks {
		got := make([]byte, min(int64(len(mark)), size-at))
		if _, err := content.ReadAt(got, at); err != nil || string(got) != mark[:len(got)] {
			t.Errorf("at %d: %q, %v, want %q", at, got, err, mark)
		}
	}
}

func TestScatteredExtents(t *testing.T) {
	r := strings.NewReader("..abc....de.f")
	e := iso.Entry{Size: 6, Extents: []iso.Extent{{Offset: 2, Length: 3}, {Offset: 9, Length: 2}, {Offset: 12, Length: 1}}}
	if err := iotest.TestReader(e.Content(r), []byte("abcdef")); err != nil {
		t.Error(err)
	}
}

func checkTree(t *testing.T, fsys fs.FS) {
	t.Helper()
	got := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := fs.ReadFile(fsys, name)
		got[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree, got); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}
