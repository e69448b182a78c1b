package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/view"
)

// stall is how long an upload may send nothing before it is cut off: a
// browser that went away keeps no half medium on the disk.
const stall = time.Minute

// uploadImage takes a medium out of the request's body into the library. It
// answers like addImage, once the body has arrived.
func (h *Operator) uploadImage(w http.ResponseWriter, r *http.Request) {
	file, err := h.receive(w, r)
	if err != nil {
		h.fail(w, codeUsage, fmt.Errorf("receiving the medium: %w", err))
		return
	}
	defer func() { _ = os.Remove(file) }() // the library has its own copy or link
	said := filepath.Base(filepath.Clean("/" + r.URL.Query().Get("file")))
	h.addLines(w, func(ctx context.Context, progress func(done, total int64)) (view.ImageResult, error) {
		image, warnings, err := h.take(ctx, view.ImageRequest{File: file, Name: r.URL.Query().Get("name")}, progress)
		if err != nil {
			err = renamed{err, file, said}
		}
		return view.ImageResult{Image: image, Warnings: warnings}, err
	}, r)
}

// renamed speaks of an uploaded file by the name that its sender knows.
type renamed struct {
	error
	file, said string
}

func (e renamed) Error() string { return strings.ReplaceAll(e.error.Error(), e.file, e.said) }
func (e renamed) Unwrap() error { return e.error }

// receive writes the body to a file in Uploads, beside the library, so that
// taking it in copies nothing.
func (h *Operator) receive(w http.ResponseWriter, r *http.Request) (name string, err error) {
	f, err := os.CreateTemp(h.Uploads, ".upload-*.iso")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	n, err := io.Copy(f, &stallReader{r.Body, http.NewResponseController(w)})
	if err == nil && r.ContentLength >= 0 && n != r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return f.Name(), err
}

// stallReader gives each read a deadline of its own.
type stallReader struct {
	from io.Reader
	out  *http.ResponseController
}

func (s *stallReader) Read(p []byte) (int, error) {
	_ = s.out.SetReadDeadline(time.Now().Add(stall)) // a test's recorder has none
	return s.from.Read(p)
}

// verifyImage hashes an image again: progress, then whether it is what was
// added.
func (h *Operator) verifyImage(w http.ResponseWriter, r *http.Request) {
	image, ok := h.Ledger.State().Images.Get(param(r, "name"))
	if !ok {
		h.fail(w, codeNotFound, fmt.Errorf("there is no image %s: see `rackseed image list`", param(r, "name")))
		return
	}
	say := h.lines(w)
	err := h.Library.Verify(r.Context(), image.Digest, func(done, total int64) { say(view.ImageLine{Done: done, Total: total}) })
	if err != nil {
		say(view.ImageLine{Problem: &view.Problem{Type: "about:blank", Title: "the image did not verify", Detail: err.Error(), Code: codeFailed}})
		return
	}
	say(view.ImageLine{Verified: true})
}
