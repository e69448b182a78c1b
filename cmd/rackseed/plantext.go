package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

// planTexts keeps plans as they were written, sealed, because an engineer may
// have put a hash of a password into one. It is a convenience for whoever
// edits: what is in force is in the log.
type planTexts struct {
	dir string
	box *seal.Box
}

// keptPlans is how many texts are kept: the one in force, and some to go back
// to by hand.
const keptPlans = 20

func (p planTexts) file(digest string) string { return filepath.Join(p.dir, filepath.Base(digest)) }

// Keep remembers the text of a plan.
func (p planTexts) Keep(digest, text string) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of plans: %w", err)
	}
	if err := replaceFile(p.file(digest), []byte(p.box.Seal(site.Secret(text)).Reveal()), 0o600); err != nil {
		return fmt.Errorf("keeping the plan: %w", err)
	}
	return p.prune()
}

// Text is the plan of a digest as it was written.
func (p planTexts) Text(digest string) (string, error) {
	data, err := os.ReadFile(p.file(digest))
	if err != nil {
		return "", err
	}
	return p.box.Open(site.Secret(data))
}

// prune removes the oldest.
func (p planTexts) prune() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return fmt.Errorf("listing the kept plans: %w", err)
	}
	age := func(e fs.DirEntry) time.Time {
		info, err := e.Info()
		if err != nil {
			return time.Time{} // it is gone already
		}
		return info.ModTime()
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return age(b).Compare(age(a)) })
	for _, e := range entries[min(len(entries), keptPlans):] {
		if err := os.Remove(filepath.Join(p.dir, e.Name())); err != nil {
			return fmt.Errorf("removing an old plan: %w", err)
		}
	}
	return nil
}

// cleanUploads makes the folder where media arrive from a browser, and removes
// those that a daemon left which was killed.
func cleanUploads(state string) error {
	dir := filepath.Join(state, "uploads")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of uploads: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("listing the uploads: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".upload-") {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("removing an upload that was cut: %w", err)
		}
	}
	return nil
}
