package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// keepAnswers puts the answer files of every failed attempt beside the logs
// that its installer sent, secrets masked. What a daemon that was killed left
// out is made good at the start.
func (d *daemon) keepAnswers(ctx context.Context) error {
	s := d.core.ledger.State()
	for _, m := range s.Machines() {
		if m.Phase == site.PhaseFailed {
			d.keepAnswer(ctx, m)
		}
	}
	for e, err := range d.core.ledger.Follow(ctx, s.Seq) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		failed, ok := e.Body.(site.InstallFailed)
		if !ok {
			continue
		}
		if m, ok := d.core.ledger.State().Machine(failed.Node); ok && m.Attempt.Number == failed.Attempt {
			d.keepAnswer(ctx, m)
		}
	}
	return nil
}

// answersName is the file of an attempt's answers.
func answersName(node string, attempt int) string {
	return fmt.Sprintf("%s-attempt%d-answers.txt", node, attempt)
}

func (d *daemon) keepAnswer(ctx context.Context, m *site.Machine) {
	name, log := answersName(m.Node.Name, m.Attempt.Number), d.log.With("node", m.Node.Name, "attempt", m.Attempt.Number)
	if slices.ContainsFunc(m.Evidence, func(e site.Evidence) bool { return e.File == name }) {
		return
	}
	text, err := d.answersOf(m)
	if err != nil {
		log.Warn("the answer files of a failed attempt are not kept", "error", err)
		return
	}
	kept, err := evidenceFolder(filepath.Join(d.core.dir, "evidence")).keep(name, m.Attempt.Number, text)
	if err != nil {
		log.Error("the answer files of a failed attempt are lost", "error", err)
		return
	}
	_, err = d.core.ledger.Do(ctx, func(s *site.State, _ time.Time) ([]site.Body, error) {
		now, ok := s.Machine(m.Node.Name)
		if !ok || now.Attempt.Number != m.Attempt.Number || now.Phase != site.PhaseFailed {
			return nil, nil // it has been armed again
		}
		return []site.Body{site.EvidenceStored{Node: m.Node.Name, Attempt: kept.Attempt, File: kept.File, SHA256: kept.SHA256, Size: kept.Size}}, nil
	})
	if err != nil && ctx.Err() == nil {
		log.Error("the answer files of a failed attempt are kept, but not on record", "file", name, "error", err)
	}
}

// answersOf writes the answer files of the machine's attempt, one after the
// other, as its installer got them; only secrets are masked.
func (d *daemon) answersOf(m *site.Machine) ([]byte, error) {
	s := d.core.ledger.State()
	image, ok := s.ImageByDigest(m.Attempt.Image)
	if !ok {
		return nil, fmt.Errorf("its image %s is not in the library any more", m.Attempt.Image)
	}
	x := &explainer{server: d.server(), box: d.core.box}
	answers, err := x.compose(false).Answers(s, m.Node, image, m.Attempt.Number, m.Attempt.MAC, x.server.HTTP, tokenMask)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "# Answer files of %s, attempt %d, image %s (%s)\n", m.Node.Name, m.Attempt.Number, image.Name, image.Digest)
	for _, f := range answers.Files {
		fmt.Fprintf(&text, "\n# ---- %s\n%s", f.Name, f.Data)
	}
	return text.Bytes(), nil
}

// keep writes a file whole or not at all.
func (dir evidenceFolder) keep(name string, attempt int, data []byte) (site.Evidence, error) {
	f, err := os.CreateTemp(string(dir), ".answers-*")
	if err != nil {
		return site.Evidence{}, fmt.Errorf("keeping evidence: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	sum, n, err := hashTo(f, bytes.NewReader(data))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(string(dir), name))
	}
	if err != nil {
		return site.Evidence{}, fmt.Errorf("keeping evidence: %w", err)
	}
	return site.Evidence{Attempt: attempt, File: name, SHA256: sum, Size: n}, nil
}
