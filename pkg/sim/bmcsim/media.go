package bmcsim

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// medium is a VirtualMedia slot.
type medium struct {
	ID      string
	Types   []string
	Image   string
	User    string
	Bytes   int64
	Protect bool
}

// anyCertificate is a client as BMCs have: VerifyCertificate is false.
func anyCertificate() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:       &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a simulated BMC, and BMCs do this
		MaxIdleConns:          4,
		IdleConnTimeout:       5 * time.Second,
		ResponseHeaderTimeout: 20 * time.Second,
	}}
}

func (b *BMC) virtualMedia(at string, i int) resource {
	get := func() object {
		m := b.set.media[i]
		o := object{
			"Name": "Virtual " + m.ID, "MediaTypes": m.Types, "Image": null(m.Image), "ImageName": nil, "Inserted": m.Image != "", "WriteProtected": true,
			"ConnectedVia": "NotConnected", "TransferMethod": "Stream", "TransferProtocolType": nil, "UserName": null(m.User), "Password": nil, "VerifyCertificate": false,
			"Actions": object{
				"#VirtualMedia.InsertMedia": object{
					"target": at + "/Actions/VirtualMedia.InsertMedia", "TransferMethod@Redfish.AllowableValues": []string{"Stream"},
					"TransferProtocolType@Redfish.AllowableValues": []string{"HTTP", "HTTPS"},
				},
				"#VirtualMedia.EjectMedia": object{"target": at + "/Actions/VirtualMedia.EjectMedia"},
			},
		}
		if m.Image != "" {
			o["ConnectedVia"], o["ImageName"] = "URI", m.Image[strings.LastIndexByte(m.Image, '/')+1:]
			o["TransferProtocolType"] = strings.ToUpper(m.Image[:strings.IndexByte(m.Image, ':')])
		}
		return o
	}
	return resource{kind: "VirtualMedia.v1_6_3.VirtualMedia", get: get, patch: func(body object) *problem {
		// Before InsertMedia existed (schema 1.1) media were inserted so.
		image, inserting := body["Image"]
		if inserting && image != nil {
			return b.insert(b.life, i, body)
		}
		if inserted, ok := body["Inserted"].(bool); inserting || ok && !inserted {
			return b.eject(i)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		return writable(body, get(), nil)
	}}
}

func (b *BMC) insertAction(i int) resource {
	return resource{post: func(r *http.Request, body object) reply {
		return b.done("Insert media", b.insert(r.Context(), i, body))
	}}
}

func (b *BMC) ejectAction(i int) resource {
	return resource{post: func(*http.Request, object) reply { return b.done("Eject media", b.eject(i)) }}
}

// Insert puts an image into the virtual CD, as somebody did before.
func (b *BMC) Insert(ctx context.Context, image string) error {
	if p := b.insert(ctx, 0, object{"Image": image}); p != nil {
		return fmt.Errorf("inserting %s: %s", image, p.message)
	}
	return nil
}

func (b *BMC) eject(i int) *problem {
	return b.change(func(s *settings) *problem {
		s.media[i] = medium{ID: s.media[i].ID, Types: s.media[i].Types}
		return nil
	})
}

func (b *BMC) insert(ctx context.Context, i int, body object) *problem {
	m, pass, method, protocol, inserted, kind := medium{}, "", "", "", true, ""
	p := writable(body, object{}, map[string]func(any) *problem{
		"Image": text(&m.Image, "Image"), "UserName": text(&m.User, "UserName"), "Password": text(&pass, "Password"),
		"TransferMethod": text(&method, "TransferMethod", "Stream"), "TransferProtocolType": text(&protocol, "TransferProtocolType", "HTTP", "HTTPS"),
		"Inserted": flag(&inserted, "Inserted"), "WriteProtected": flag(&m.Protect, "WriteProtected"), "MediaType": text(&kind, "MediaType"),
	})
	b.mu.Lock()
	occupied, lies := b.set.media[i].Image != "", b.has(FaultLies)
	b.mu.Unlock()
	switch at, err := url.Parse(m.Image); {
	case p != nil:
		return p
	case m.Image == "":
		return fail(http.StatusBadRequest, "ActionParameterMissing", "The action %s requires that the parameter %s be present in the request body.", "VirtualMedia.InsertMedia", "Image")
	case err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https":
		return fail(http.StatusBadRequest, "ActionParameterValueFormatError", "The value '%s' for the parameter %s in the action %s is of a different format than the parameter can accept.", m.Image, "Image", "VirtualMedia.InsertMedia")
	case occupied:
		return fail(http.StatusConflict, "ResourceInUse", "The change to the requested resource failed because the resource is in use or in transition.")
	case lies:
		return nil
	}
	size, err := b.probe(ctx, m.Image, m.User, pass)
	if err != nil {
		return fail(http.StatusBadRequest, "CouldNotEstablishConnection", "The service failed to establish a connection with the URI '%s'. %s", m.Image, err.Error())
	}
	m.Bytes = size
	return b.change(func(s *settings) *problem {
		m.ID, m.Types = s.media[i].ID, s.media[i].Types
		s.media[i] = m
		return nil
	})
}

// sectorOfDescriptor is where ISO 9660 has its primary volume descriptor.
const (
	sector             = 2048
	sectorOfDescriptor = 16
)

// probe does what BMCs do with an image: ask for its size, then read as a
// drive reads, by ranges.
func (b *BMC) probe(ctx context.Context, image, user, password string) (int64, error) {
	ask := func(method, ranges string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, image, nil)
		if err != nil {
			return nil, fmt.Errorf("asking for the image: %w", err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		if ranges != "" {
			req.Header.Set("Range", ranges)
		}
		return b.config.Fetch.Do(req)
	}
	head, err := ask(http.MethodHead, "")
	if err != nil {
		return 0, fmt.Errorf("asking for its size: %w", err)
	}
	_ = head.Body.Close()
	if head.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("asking for its size: %s", head.Status)
	}
	start := sector * sectorOfDescriptor
	part, err := ask(http.MethodGet, fmt.Sprintf("bytes=%d-%d", start, start+sector-1))
	if err != nil {
		return 0, fmt.Errorf("reading it: %w", err)
	}
	defer func() { _ = part.Body.Close() }()
	if !slices.Contains([]int{http.StatusPartialContent, http.StatusOK, http.StatusRequestedRangeNotSatisfiable}, part.StatusCode) {
		return 0, fmt.Errorf("reading it: %s", part.Status)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(part.Body, sector))
	if err != nil {
		return 0, fmt.Errorf("reading it: %w", err)
	}
	return head.ContentLength, nil
}
