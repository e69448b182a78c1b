package client

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// inProcess carries requests to a handler of this process. The answer is
// read while the handler still writes it, as over a connection.
type inProcess struct{ handler http.Handler }

// RoundTrip runs the handler until it returns; whoever closes the body of
// the response makes its writes fail.
func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	body, pipe := io.Pipe()
	w := &pipeWriter{pipe: pipe, header: http.Header{}, begun: make(chan int, 1)}
	go func() {
		p.handler.ServeHTTP(w, r)
		w.WriteHeader(http.StatusOK)
		_ = pipe.Close() // never fails
	}()
	select {
	case status := <-w.begun:
		return &http.Response{
			Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: w.header, Body: body, ContentLength: -1, Request: r,
		}, nil
	case <-r.Context().Done():
		_ = body.Close() // never fails
		return nil, r.Context().Err()
	}
}

type pipeWriter struct {
	pipe   *io.PipeWriter
	header http.Header
	once   sync.Once
	begun  chan int
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) { w.once.Do(func() { w.begun <- status }) }

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(p)
}

// Flush has nothing to do: a write returns when it was read.
func (w *pipeWriter) Flush() {}
