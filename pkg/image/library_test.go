package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rackseed/rackseed/pkg/image/iso"
)

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		serveForStrace()
		return
	}
	goleak.VerifyTestMain(m)
}

// makeISO makes a Rocky medium with the given files added: name → content.
func makeISO(t testing.TB, extra map[string][]byte) string {
	t.Helper()
	if _, err := exec.LookPath("xorriso"); err != nil {
		t.Skip("needs xorriso: apt install xorriso")
	}
	dir := t.TempDir()
	write := func(name string, data []byte) {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range with(el, elTreeinfo("Rocky Linux", "9.4", "x86_64")) {
		write(name, f.Data)
	}
	for name, data := range extra {
		write(name, data)
	}
	if err := os.Symlink("BaseOS", filepath.Join(dir, "base")); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "rocky.iso")
	cmd := exec.Command("xorriso", "-as", "mkisofs", "-quiet", "-R", "-iso-level", "3", "-V", "Rocky-9-4-x86_64-dvd", "-o", out, dir)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v\n%s", err, msg)
	}
	return out
}

var added = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openLibrary(t testing.TB, dir string) *Library {
	t.Helper()
	l, err := Open(Config{Dir: dir, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return added }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustAdd(t testing.TB, l *Library, file string, opts AddOptions) Image {
	t.Helper()
	img, err := l.Add(context.Background(), file, opts)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func content(l *Library, img Image, name string) (string, error) {
	f, err := l.Open(img.Hex(), name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return string(data), err
}

func TestImageSurvivesReopening(t *testing.T) {
	file, dir := makeISO(t, nil), t.TempDir()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l := openLibrary(t, dir)
	var last int64
	img := mustAdd(t, l, file, AddOptions{Progress: func(done, total int64) {
		if done < last || total != int64(len(data)) {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}})
	if last != int64(len(data)) {
		t.Errorf("progress ended at %d of %d", last, len(data))
	}
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); img.Digest != want || img.Name != "rocky9" || !img.Added.Equal(added) {
		t.Errorf("added %+v, want digest %s", img, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// The operator may delete what was added.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	l = openLibrary(t, dir)
	for _, ref := range []string{"rocky9", img.Digest, img.Hex(), img.Hex()[:12]} {
		got, err := l.Lookup(ref)
		if diff := cmp.Diff(img, got); err != nil || diff != "" {
			t.Errorf("Lookup(%s): %v (-want +got):\n%s", ref, err, diff)
		}
	}
	if got, err := content(l, img, "base/repodata/repomd.xml"); got != strings.TrimPrefix(index, "repodata/repomd.xml=") {
		t.Errorf("through a link: %q, %v", got, err)
	}
	if err := l.Verify(context.Background(), "rocky9", nil); err != nil {
		t.Error(err)
	}
	if got, err := content(l, img, ""); got != string(data) {
		t.Errorf("the whole ISO differs, %v", err)
	}
}

func TestOneProcessHasTheLibrary(t *testing.T) {
	dir := t.TempDir()
	openLibrary(t, dir)
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, ErrBusy) {
		t.Errorf("second Open: %v, want %v", err, ErrBusy)
	}
}

func TestAddingAgain(t *testing.T) {
	l := openLibrary(t, t.TempDir())
	file := makeISO(t, nil)
	first := mustAdd(t, l, file, AddOptions{Name: "gold"})
	for _, opts := range []AddOptions{{}, {Name: "gold"}, {InPlace: true}, {SHA256: strings.ToUpper(first.Hex())}} {
		if again := mustAdd(t, l, file, opts); again.Name != "gold" || again.Digest != first.Digest {
			t.Errorf("%+v: %+v", opts, again)
		}
	}
	if _, err := l.Add(context.Background(), file, AddOptions{Name: "silver"}); !errors.Is(err, ErrExists) {
		t.Errorf("same image, other name: %v, want %v", err, ErrExists)
	}
	other := makeISO(t, map[string][]byte{"other": bytes.Repeat([]byte{1}, 1<<20)})
	if _, err := l.Add(context.Background(), other, AddOptions{Name: "gold"}); !errors.Is(err, ErrExists) {
		t.Errorf("other image, same name: %v, want %v", err, ErrExists)
	}
	if _, err := l.Add(context.Background(), other, AddOptions{SHA256: first.Hex()}); !errors.Is(err, ErrFault) {
		t.Errorf("other checksum: %v, want %v", err, ErrFault)
	}
	if list := l.List(); len(list) != 1 {
		t.Errorf("library has %d images, want 1", len(list))
	}
	checkNoLeftovers(t, l, 1)
}

func checkNoLeftovers(t *testing.T, l *Library, images int) {
	t.Helper()
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := 2 + 2*images; len(names) != want { // .lock, boot, and two files each
		t.Errorf("library folder has %q", names)
	}
}

func TestRefusedFiles(t *testing.T) {
	l := openLibrary(t, t.TempDir())
	file := makeISO(t, map[string][]byte{"tail": bytes.Repeat([]byte{7}, 3<<20)})
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, data []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, tt := range []struct {
		name, file string
		want       error
		says       string
	}{
		{"half-copied", put("half.iso", data[:len(data)/2]), iso.ErrTruncated, "resume it"},
		{"one byte short", put("short.iso", data[:len(data)-1]), iso.ErrTruncated, "resume it"},
		{"compressed", put("x.iso.gz", append([]byte{0x1f, 0x8b}, make([]byte, 1<<17)...)), iso.ErrNotISO, "unpacked"},
		{"empty", put("empty.iso", nil), iso.ErrNotISO, "check"},
		{"a folder", t.TempDir(), nil, "give the ISO file"},
		{"missing", filepath.Join(t.TempDir(), "none.iso"), fs.ErrNotExist, "none.iso"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := l.Add(context.Background(), tt.file, AddOptions{})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %v that says %q", err, tt.want, tt.says)
			}
		})
	}
	if _, err := l.Add(context.Background(), file, AddOptions{Name: "../evil"}); err == nil {
		t.Error("a name with a path was accepted")
	}
	checkNoLeftovers(t, l, 0)
}

func TestInterruptedAddLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	l := openLibrary(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	file := makeISO(t, map[string][]byte{"tail": make([]byte, 4<<20)})
	_, err := l.Add(ctx, file, AddOptions{Progress: func(done, total int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled Add: %v", err)
	}
	checkNoLeftovers(t, l, 0)

	// A killed process cannot clean up; the next one does.
	l.Close()
	for _, name := range []string{tempPrefix + "123", tempPrefix + "123-link"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkNoLeftovers(t, openLibrary(t, dir), 0)
}

func TestFileThatGrowsWhileItIsAdded(t *testing.T) {
	l := openLibrary(t, t.TempDir())
	file := makeISO(t, map[string][]byte{"tail": make([]byte, 4<<20)})
	_, err := l.Add(context.Background(), file, AddOptions{InPlace: true, Progress: func(done, total int64) {
		if done < total {
			appendTo(t, file, "more")
		}
	}})
	if err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("Add: %v", err)
	}
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestRemoveWhileInUse(t *testing.T) {
	l := openLibrary(t, t.TempDir())
	img := mustAdd(t, l, makeISO(t, nil), AddOptions{})
	f, err := l.Open(img.Hex(), ".treeinfo")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Remove("rocky9"); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(f); err != nil || len(data) == 0 {
		t.Errorf("reading on: %d bytes, %v", len(data), err)
	}
	f.Close()
	if _, err := f.os.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("descriptor after use: %v, want %v", err, os.ErrClosed)
	}
	if _, err := l.Open(img.Hex(), ".treeinfo"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Open: %v, want %v", err, ErrNotFound)
	}
	if err := l.Remove("rocky9"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Remove: %v, want %v", err, ErrNotFound)
	}
	checkNoLeftovers(t, l, 0)
}

func TestFlippedByteTakesTheImageOutOfService(t *testing.T) {
	dir := t.TempDir()
	l := openLibrary(t, dir)
	img := mustAdd(t, l, makeISO(t, map[string][]byte{"tail": make([]byte, 1<<20)}), AddOptions{})
	stored := filepath.Join(dir, img.Hex()+".iso")
	info, err := os.Stat(stored)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, stored, info.Size()-300_000)
	// As a failing disk does it: the time stays.
	if err := os.Chtimes(stored, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(context.Background(), "rocky9", nil); !errors.Is(err, ErrFault) {
		t.Errorf("Verify: %v, want %v", err, ErrFault)
	}
	for range 2 {
		if _, err := content(l, img, ".treeinfo"); !errors.Is(err, ErrFault) {
			t.Errorf("Open: %v, want %v", err, ErrFault)
		}
		if got, _ := l.Lookup("rocky9"); !strings.Contains(got.Fault, "SHA-256 is now") {
			t.Errorf("fault %q", got.Fault)
		}
		l.Close()
		l = openLibrary(t, dir) // it is remembered
	}
	flip(t, stored, info.Size()-300_000)
	if err := l.Verify(context.Background(), "rocky9", nil); err != nil {
		t.Errorf("Verify of the restored file: %v", err)
	}
	if _, err := content(l, img, ".treeinfo"); err != nil {
		t.Errorf("Open of the restored file: %v", err)
	}
}

func flip(t *testing.T, file string, at int64) {
	t.Helper()
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func TestInPlaceImageIsVerifiedWhenItChanges(t *testing.T) {
	l := openLibrary(t, t.TempDir())
	file := makeISO(t, nil)
	img := mustAdd(t, l, file, AddOptions{InPlace: true})
	if _, err := content(l, img, ".treeinfo"); err != nil {
		t.Fatal(err)
	}

	// Copied again with the same bytes: refused while it is hashed, then served.
	if err := os.Chtimes(file, time.Time{}, added); err != nil {
		t.Fatal(err)
	}
	if _, err := content(l, img, ".treeinfo"); !errors.Is(err, errUnverified) {
		t.Errorf("Open of a touched file: %v, want %v", err, errUnverified)
	}
	l.running.Wait()
	if _, err := content(l, img, ".treeinfo"); err != nil {
		t.Errorf("Open after verification: %v", err)
	}

	// The disk is gone and comes back: no fault of the image, and no 404 either.
	if err := os.Rename(file, file+"-away"); err != nil {
		t.Fatal(err)
	}
	l.images[img.Hex()].dropIdle()
	if _, err := content(l, img, ".treeinfo"); !errors.Is(err, errUnavailable) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open without the disk: %v, want %v", err, errUnavailable)
	}
	if err := os.Rename(file+"-away", file); err != nil {
		t.Fatal(err)
	}
	if _, err := content(l, img, ".treeinfo"); err != nil {
		t.Errorf("Open with the disk back: %v", err)
	}

	// Other bytes.
	appendTo(t, file, "changed")
	if _, err := content(l, img, ".treeinfo"); !errors.Is(err, errUnverified) {
		t.Errorf("Open of a changed file: %v, want %v", err, errUnverified)
	}
	l.running.Wait()
	if _, err := content(l, img, ".treeinfo"); !errors.Is(err, ErrFault) {
		t.Errorf("Open after verification: %v, want %v", err, ErrFault)
	}
	if err := l.Remove(img.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the operator's file: %v", err)
	}
}

func TestBootFilesBesideTheMedium(t *testing.T) {
	dir := t.TempDir()
	l := openLibrary(t, dir)
	kernel, initrd := filepath.Join(t.TempDir(), "linux"), filepath.Join(t.TempDir(), "initrd.gz")
	for _, file := range []string{kernel, initrd} {
		if err := os.WriteFile(file, []byte(filepath.Base(file)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := makeISO(t, nil)
	if _, err := l.Add(context.Background(), file, AddOptions{Kernel: kernel}); err == nil {
		t.Error("a kernel without an initrd was accepted")
	}
	img := mustAdd(t, l, file, AddOptions{Kernel: kernel, Initrd: initrd})
	for name, want := range map[string]string{img.Media.Kernel: "linux", img.Media.Initrd: "initrd.gz"} {
		if got, err := content(l, img, name); got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if again := mustAdd(t, l, file, AddOptions{}); again.Media.Kernel != img.Media.Kernel {
		t.Errorf("adding the ISO again lost the boot files: %s", again.Media.Kernel)
	}
	for _, name := range []string{".rackseed/../" + img.Hex() + ".json", ".rackseed/" + img.Hex() + "/kernel", img.Media.Kernel + "/x"} {
		if _, err := content(l, img, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want %v", name, err, fs.ErrNotExist)
		}
	}
	boot := filepath.Join(dir, bootFolder, img.Media.external()[1])
	if err := os.Remove(boot); err != nil {
		t.Fatal(err)
	}
	if err := l.Verify(context.Background(), img.Name, nil); !errors.Is(err, ErrFault) {
		t.Errorf("Verify without a boot file: %v, want %v", err, ErrFault)
	}
	if err := l.Remove(img.Name); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, bootFolder)); len(left) != 0 {
		t.Errorf("boot files left: %v", left)
	}
}

func (s *stored) dropIdle() {
	s.close()
	s.closed = false
}
