package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/rackseed/rackseed/pkg/install"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// Library is the image library, as the operator side needs it.
type Library interface {
	Add(ctx context.Context, req view.ImageRequest, progress func(done, total int64)) (site.Image, []string, error)
	Remove(ctx context.Context, digest string) error
	Verify(ctx context.Context, digest string, progress func(done, total int64)) error
}

func (h *Operator) images(w http.ResponseWriter, _ *http.Request) {
	list := []site.Image{}
	s := h.Ledger.State()
	for _, i := range s.Images.All() {
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b site.Image) int { return cmp.Compare(a.Name, b.Name) })
	h.reply(w, list)
}

func (h *Operator) addImage(w http.ResponseWriter, r *http.Request) {
	var req view.ImageRequest
	if !h.decode(w, r, &req) {
		return
	}
	h.addLines(w, func(ctx context.Context, progress func(done, total int64)) (view.ImageResult, error) {
		image, warnings, err := h.take(ctx, req, progress)
		return view.ImageResult{Image: image, Warnings: warnings}, err
	}, r)
}

// lines begins an answer of JSON lines.
func (h *Operator) lines(w http.ResponseWriter) func(view.ImageLine) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, lines := http.NewResponseController(w), json.NewEncoder(w)
	return func(l view.ImageLine) {
		if lines.Encode(l) == nil {
			_ = out.Flush() // a client that left does not stop the work
		}
	}
}

// addLines answers with the progress of taking a medium in, then the image or
// the problem.
func (h *Operator) addLines(w http.ResponseWriter, take func(ctx context.Context, progress func(done, total int64)) (view.ImageResult, error), r *http.Request) {
	say := h.lines(w)
	image, err := take(r.Context(), func(done, total int64) { say(view.ImageLine{Done: done, Total: total}) })
	if err != nil {
		code, refusal := codeFailed, install.Refusal("")
		if errors.As(err, &refusal) {
			code = codeRefused
		}
		say(view.ImageLine{Problem: &view.Problem{Type: "about:blank", Title: "the medium was not added", Detail: err.Error(), Code: code}})
		return
	}
	say(view.ImageLine{Image: &image})
}

func (h *Operator) take(ctx context.Context, req view.ImageRequest, progress func(done, total int64)) (site.Image, []string, error) {
	image, warnings, err := h.Library.Add(ctx, req, progress)
	if err != nil {
		return site.Image{}, nil, err
	}
	_, err = h.Ledger.Do(ctx, func(s *site.State, now time.Time) ([]site.Body, error) {
		if have, ok := s.Images.Get(image.Name); ok {
			if have.Digest == image.Digest {
				return nil, nil
			}
			if user := userOf(s, have.Digest); user != "" {
				return nil, install.Refusal(fmt.Sprintf("image %s is in use: %s is being installed from it; add this one under another --name", image.Name, user))
			}
		}
		image.Added = now
		return []site.Body{site.ImageAdded{Image: image}}, nil
	})
	return image, warnings, err
}

func userOf(s *site.State, digest string) string {
	for _, m := range s.Machines() {
		if m.Running() && m.Attempt.Image == digest {
			return m.Node.Name
		}
	}
	return ""
}

func (h *Operator) removeImage(w http.ResponseWriter, r *http.Request) {
	name, digest, shared := param(r, "name"), "", false
	_, err := h.Ledger.Do(r.Context(), func(s *site.State, _ time.Time) ([]site.Body, error) {
		image, ok := s.Images.Get(name)
		if !ok {
			return nil, errNoImage
		}
		if user := userOf(s, image.Digest); user != "" {
			return nil, install.Refusal(fmt.Sprintf("%s is being installed from image %s", user, name))
		}
		digest, shared = image.Digest, false
		for other, i := range s.Images.All() {
			shared = shared || other != name && i.Digest == digest
		}
		return []site.Body{site.ImageRemoved{Name: name}}, nil
	})
	if err == nil && !shared {
		err = h.Library.Remove(r.Context(), digest)
	}
	refusal := install.Refusal("")
	switch {
	case errors.Is(err, errNoImage):
		h.fail(w, codeNotFound, fmt.Errorf("there is no image %s: see `rackseed image list`", name))
	case errors.As(err, &refusal):
		h.fail(w, codeRefused, err)
	case err != nil:
		h.fail(w, codeFailed, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

var errNoImage = errors.New("no such image")
