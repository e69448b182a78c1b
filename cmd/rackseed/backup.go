package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rackseed/rackseed/pkg/client"
	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/store/bolt"
)

// A backup is a gzipped tar of the state directory: its manifest first, then
// the log, then everything else but the media, which are large and can be
// added again.
const (
	manifestName   = "backup.json"
	backupFormat   = 1
	maxBackupEntry = 16 << 30 // bytes; no file of a state directory is near it
)

type manifest struct {
	Format  int       `json:"format"`
	Version string    `json:"version"`
	Site    string    `json:"site"`
	Seq     uint64    `json:"seq"` // of the newest event when the copy began
	Made    time.Time `json:"made"`
}

// notBackedUp are the parts of a state directory that a backup leaves out.
func notBackedUp(name string) bool {
	first, _, _ := strings.Cut(filepath.ToSlash(name), "/")
	return first == "images" || first == "uploads" || name == bolt.FileName || strings.HasPrefix(filepath.Base(name), ".")
}

func newBackupCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Keep a copy of the state: plan, log, key, evidence", Args: cobra.ExactArgs(1),
		Long: `Write a copy of the state directory, also while the daemon runs. The media of the image library are
left out. The copy holds the key that opens sealed passwords: keep it as you keep passwords.`,
		Example: "  rackseed backup site-a.backup",
		RunE: func(c *cobra.Command, args []string) error {
			return withClient(c.Context(), g, func(cl *client.Client) error {
				m, err := backup(c.Context(), cl, g.state, args[0])
				if err != nil {
					return fmt.Errorf("backing up %s: %w", g.state, err)
				}
				if g.json {
					return printJSON(c, m)
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s at event %d; it holds the key of the site, so keep it safe\n", args[0], orDash(m.Site), m.Seq)
				return err
			})
		},
	}
}

// copyLog writes the log as it is now, while it goes on.
func (c *core) copyLog(w io.Writer) error {
	log, ok := c.store.(*bolt.Store)
	if !ok {
		return errors.New("this log is not kept in a file")
	}
	return log.Backup(w)
}

// backup writes beside the file first: what has its name is whole.
func backup(ctx context.Context, cl *client.Client, dir, file string) (m manifest, err error) {
	if _, err := os.Lstat(file); err == nil {
		return m, fmt.Errorf("%s exists: name another file, or remove it first", file)
	}
	st, err := cl.Status(ctx)
	if err != nil {
		return m, err
	}
	m = manifest{Format: backupFormat, Version: version, Site: st.Site, Seq: st.Seq, Made: st.Now}
	out, err := os.OpenFile(file+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file+".part"))
		}
	}()
	if err := errors.Join(writeBackup(ctx, cl, dir, m, out), out.Sync(), out.Close()); err != nil {
		return m, err
	}
	return m, os.Rename(file+".part", file)
}

func writeBackup(ctx context.Context, cl *client.Client, dir string, m manifest, out io.Writer) error {
	zip := gzip.NewWriter(out)
	to := tar.NewWriter(zip)
	head, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := addToBackup(to, manifestName, int64(len(head)), strings.NewReader(string(head))); err != nil {
		return err
	}
	if err := addLog(ctx, cl, to); err != nil {
		return err
	}
	if err := addFiles(to, dir); err != nil {
		return err
	}
	return errors.Join(to.Close(), zip.Close())
}

// addLog copies the log by way of its owner, who goes on writing to it. A tar
// wants sizes beforehand, so the copy rests on disk first.
func addLog(ctx context.Context, cl *client.Client, to *tar.Writer) error {
	rest, err := os.CreateTemp("", "rackseed-log-*")
	if err != nil {
		return err
	}
	defer func() { _ = errors.Join(rest.Close(), os.Remove(rest.Name())) }()
	if err := cl.Log(ctx, rest); err != nil {
		return err
	}
	size, err := rest.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = rest.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	return addToBackup(to, bolt.FileName, size, rest)
}

func addFiles(to *tar.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it went meanwhile
		case err != nil:
			return err
		case name != "." && notBackedUp(name) && e.IsDir():
			return fs.SkipDir
		case notBackedUp(name) || !e.Type().IsRegular():
			return nil
		}
		f, err := root.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		return addToBackup(to, name, info.Size(), f)
	})
}

// addToBackup takes size bytes: a file that grows meanwhile is cut there.
func addToBackup(to *tar.Writer, name string, size int64, from io.Reader) error {
	err := to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Mode: 0o600, Size: size, Format: tar.FormatPAX})
	if err == nil {
		_, err = io.CopyN(to, from, size)
	}
	if err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	return nil
}

func newRestoreCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "restore FILE", Short: "Make a state directory from a backup", Args: cobra.ExactArgs(1),
		Long: `Make the state directory (--state) from a backup. It must not hold a log yet. Nothing is armed
afterwards, and no job goes on: what a backup says of machines may be long past.`,
		Example: "  rackseed restore site-a.backup --state /var/lib/rackseed",
		RunE: func(c *cobra.Command, args []string) error {
			m, missing, err := restore(c.Context(), g.state, args[0])
			if err != nil {
				return fmt.Errorf("restoring %s: %w", g.state, err)
			}
			out := c.OutOrStdout()
			fmt.Fprintf(out, "%s: %s as of event %d, %s; nothing is armed\n", g.state, orDash(m.Site), m.Seq, clock(m.Made))
			for _, name := range missing {
				fmt.Fprintf(out, "add image %s again: `rackseed image add FILE.iso --name %s`\n", name, name)
			}
			return nil
		},
	}
}

// restore builds the directory beside its place, and puts it there whole.
func restore(ctx context.Context, dir, file string) (m manifest, missing []string, err error) {
	if _, err := os.Lstat(filepath.Join(dir, bolt.FileName)); err == nil {
		return m, nil, install.Refusal(fmt.Sprintf("%s holds a log already: move it away, or name another directory with --state", dir))
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return m, nil, err
	}
	temp, err := os.MkdirTemp(parent, ".rackseed-restore-*")
	if err != nil {
		return m, nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if m, err = unpackBackup(file, temp); err != nil {
		return m, nil, err
	}
	if missing, err = settle(ctx, temp); err != nil {
		return m, nil, err
	}
	// An empty directory may wait in its place, as a mount point or an
	// administrator makes it; one that is not empty is not ours to remove.
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m, nil, fmt.Errorf("%w: move it away, or name another directory with --state", err)
	}
	return m, missing, os.Rename(temp, dir)
}

func unpackBackup(file, dir string) (m manifest, err error) {
	in, err := os.Open(file)
	if err != nil {
		return m, err
	}
	defer func() { _ = in.Close() }()
	damaged := func(err error) error {
		return fmt.Errorf("%s is not a whole backup of Rackseed: %w", file, err)
	}
	zip, err := gzip.NewReader(in)
	if err != nil {
		return m, damaged(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return m, err
	}
	defer func() { _ = root.Close() }()
	from := tar.NewReader(zip)
	for first := true; ; first = false {
		h, err := from.Next()
		switch {
		case errors.Is(err, io.EOF) && !first:
			// The checksum stands behind the last entry.
			if _, err := io.Copy(io.Discard, zip); err != nil {
				return m, damaged(err)
			}
			return m, nil
		case err != nil:
			return m, damaged(err)
		case first:
			if err := readManifest(from, h, &m); err != nil {
				return m, damaged(err)
			}
			continue
		}
		if err := unpackEntry(root, h, from); err != nil {
			return m, damaged(err)
		}
	}
}

func readManifest(from io.Reader, h *tar.Header, m *manifest) error {
	if h.Name != manifestName {
		return fmt.Errorf("it begins with %q, not with %s", h.Name, manifestName)
	}
	if err := json.NewDecoder(io.LimitReader(from, 1<<20)).Decode(m); err != nil {
		return fmt.Errorf("reading %s: %w", manifestName, err)
	}
	if m.Format != backupFormat {
		return fmt.Errorf("its format is %d, and this version reads %d: use the version that wrote it, %s", m.Format, backupFormat, m.Version)
	}
	return nil
}

// unpackEntry stays inside root, whatever the name says.
func unpackEntry(root *os.Root, h *tar.Header, from io.Reader) error {
	if h.Typeflag != tar.TypeReg || h.Size > maxBackupEntry || notBackedUp(h.Name) && h.Name != bolt.FileName {
		return fmt.Errorf("it holds %q, which no backup does", h.Name)
	}
	if err := root.MkdirAll(filepath.Dir(h.Name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Sync(), f.Close())
}

// settle opens what was unpacked, which checks it, and takes back every
// consent to wipe a disk: it was given to machines as they were then.
func settle(ctx context.Context, dir string) (missing []string, err error) {
	c, err := openCore(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for name := range c.ledger.State().Images.All() {
		missing = append(missing, name)
	}
	slices.Sort(missing)
	return missing, c.write(ctx, func(ctx context.Context) error {
		_, err := c.ledger.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) { return lapsed(s), nil })
		return err
	})
}

const restored = "the state was restored from a backup"

// lapsed is what a backup may not bring back to life.
func lapsed(s *site.State) []site.Body {
	var bodies []site.Body
	for _, m := range s.Machines() {
		if m.Phase == site.PhaseArmed || m.Running() {
			bodies = append(bodies, site.Disarmed{Node: m.Node.Name, By: "rackseed", Reason: restored})
		}
	}
	for _, j := range s.AllJobs() {
		if j.Running() {
			bodies = append(bodies, site.JobEnded{ID: j.ID, Reason: restored})
		}
	}
	for name := range s.Images.All() {
		bodies = append(bodies, site.ImageRemoved{Name: name})
	}
	return bodies
}
