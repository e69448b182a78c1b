package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/rackseed/rackseed/pkg/answer"
	"github.com/rackseed/rackseed/pkg/image/iso"
	"github.com/rackseed/rackseed/pkg/site"
)

// remastering writes a vendor's medium again with answers on it. The boot
// records and the label stay: the installer looks for its own by label.
type remastering struct {
	media fs.FS
	dir   string      // for what takes the place of files
	maps  [][2]string // file here, path on the medium
	args  string
}

// efiBoot is the FAT image that firmware starts from, with a boot menu of
// its own.
const efiBoot = "images/efiboot.img"

func remaster(ctx context.Context, in, out string, media site.Image, files []answer.File) error {
	for _, program := range []string{"xorriso", "mcopy"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing: install the packages xorriso and mtools, or leave out --remaster and attach the small medium beside the vendor's", program)
		}
	}
	args, below, err := remasterArgs(media)
	if err != nil {
		return err
	}
	f, err := os.Open(in)
	if err != nil {
		return fmt.Errorf("reading the vendor's medium: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("reading the vendor's medium: %w", err)
	}
	index, err := iso.Read(f, info.Size())
	if err != nil {
		return fmt.Errorf("reading the vendor's medium: %w", err)
	}
	dir, err := os.MkdirTemp("", "rackseed-iso-")
	if err != nil {
		return fmt.Errorf("making a working directory: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &remastering{media: index.FS(f), dir: dir, args: args}
	for _, file := range files {
		if err := r.put(below+file.Name, file.Data); err != nil {
			return err
		}
	}
	if err := r.menus(ctx); err != nil {
		return err
	}
	return r.write(ctx, in, out)
}

// remasterArgs are what boot menus get, and where the answers go.
func remasterArgs(media site.Image) (args, below string, err error) {
	if media.Family == "ubuntu" {
		// GRUB ends a command at a semicolon.
		return `autoinstall "ds=nocloud;s=/cdrom/rackseed/"`, "rackseed/", nil
	}
	if strings.ContainsFunc(media.Label, func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", r)
	}) {
		return "", "", fmt.Errorf("the medium is labelled %q, which boot menus spell in different ways: leave out --remaster and attach the small medium beside it", media.Label)
	}
	return "inst.ks=hd:LABEL=" + media.Label + ":/ks.cfg inst.text inst.noninteractive inst.nosave=all_ks inst.geoloc=0", "", nil
}

func (r *remastering) put(name string, data []byte) error {
	local := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(local), 0o700); err != nil {
		return fmt.Errorf("preparing %s: %w", name, err)
	}
	if err := os.WriteFile(local, data, 0o644); err != nil {
		return fmt.Errorf("preparing %s: %w", name, err)
	}
	r.maps = append(r.maps, [2]string{local, "/" + name})
	return nil
}

// menus points every boot menu at the answers.
func (r *remastering) menus(ctx context.Context) error {
	found := false
	for _, name := range []string{"EFI/BOOT/grub.cfg", "boot/grub2/grub.cfg", "boot/grub/grub.cfg", "boot/grub/loopback.cfg", "isolinux/isolinux.cfg"} {
		text, err := fs.ReadFile(r.media, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading %s of the medium: %w", name, err)
		}
		found = true
		if err := r.put(name, []byte(withArguments(string(text), r.args))); err != nil {
			return err
		}
	}
	if !found {
		return errors.New("the medium has no boot menu that Rackseed knows: leave out --remaster and attach the small medium beside it")
	}
	return r.efiMenu(ctx)
}

// efiMenu edits the menu inside the FAT image, if there is one.
func (r *remastering) efiMenu(ctx context.Context) error {
	data, err := fs.ReadFile(r.media, efiBoot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s of the medium: %w", efiBoot, err)
	}
	if err := r.put(efiBoot, data); err != nil {
		return err
	}
	fat, menu := filepath.Join(r.dir, filepath.FromSlash(efiBoot)), filepath.Join(r.dir, "efi-grub.cfg")
	if err := exec.CommandContext(ctx, "mcopy", "-n", "-i", fat, "::/EFI/BOOT/grub.cfg", menu).Run(); err != nil {
		return nil // this image goes on to the menu on the medium
	}
	text, err := os.ReadFile(menu)
	if err != nil {
		return fmt.Errorf("reading the menu of %s: %w", efiBoot, err)
	}
	if err := os.WriteFile(menu, []byte(withArguments(string(text), r.args)), 0o644); err != nil {
		return fmt.Errorf("writing the menu of %s: %w", efiBoot, err)
	}
	if out, err := exec.CommandContext(ctx, "mcopy", "-o", "-i", fat, menu, "::/EFI/BOOT/grub.cfg").CombinedOutput(); err != nil {
		return fmt.Errorf("writing the menu of %s: %w: %s", efiBoot, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// withArguments adds arguments to each kernel of a boot menu of GRUB or of
// isolinux.
func withArguments(menu, args string) string {
	var b strings.Builder
	for line := range strings.Lines(menu) {
		text := strings.TrimRight(line, "\r\n")
		words := strings.Fields(text)
		if len(words) > 1 {
			switch words[0] {
			case "linux", "linuxefi", "linux16", "append":
				text = withoutWord(text, "rd.live.check") // of a checksum that is no longer right
				if at := strings.Index(text, " ---"); at >= 0 {
					text = text[:at] + " " + args + text[at:]
				} else {
					text += " " + args
				}
			}
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

func withoutWord(line, word string) string {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	var kept []string
	for _, w := range strings.Fields(line) {
		if w != word {
			kept = append(kept, w)
		}
	}
	return indent + strings.Join(kept, " ")
}

// write has xorriso copy the medium with what takes the place of its files.
func (r *remastering) write(ctx context.Context, in, out string) error {
	temp := filepath.Join(filepath.Dir(out), "."+path.Base(filepath.ToSlash(out))+".rackseed-new")
	defer os.Remove(temp)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing the medium: %w", err)
	}
	args := []string{"-no_rc", "-abort_on", "FAILURE", "-indev", in, "-outdev", temp, "-boot_image", "any", "replay", "-overwrite", "on"}
	for _, m := range r.maps {
		args = append(args, "-map", m[0], m[1])
	}
	if text, err := exec.CommandContext(ctx, "xorriso", append(args, "-end")...).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return fmt.Errorf("xorriso did not write the medium: %w: %s", err, lines[len(lines)-1])
	}
	if err := os.Chmod(temp, 0o600); err != nil {
		return fmt.Errorf("writing the medium: %w", err)
	}
	if err := os.Rename(temp, out); err != nil {
		return fmt.Errorf("writing the medium: %w", err)
	}
	return nil
}
