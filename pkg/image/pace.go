package image

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// A reader that takes less than minChunk per Stall is cut off. One that
	// takes it in a small part of that, growQuick, gets twice as much at once,
	// up to maxChunk: fewer and larger system calls.
	minChunk  = 1 << 20
	maxChunk  = 8 << 20
	growQuick = 64
	// Below this, one write of header and body beats a write and a sendfile.
	smallBody = 32 << 10
)

// pacedWriter moves the write deadline ahead as long as bytes flow.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	cork    cork
	readers *atomic.Int64 // the Library's
	turns   turns         // the Library's
}

// extend ignores writers without deadlines, such as those of tests.
func (w *pacedWriter) extend() {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.stall))
}

// done lets the connection's next request begin without a deadline. What is still buffered goes out
// under this one; without a known length a flush would turn the answer chunked.
func (w *pacedWriter) done() {
	if w.Header().Get("Content-Length") != "" {
		_ = w.control.Flush()
	}
	w.cork.pull()
	_ = w.control.SetWriteDeadline(time.Time{})
}

func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *pacedWriter) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

// ReadFrom is where http.ServeContent arrives, with a LimitedReader of the File for one range.
func (w *pacedWriter) ReadFrom(src io.Reader) (int64, error) {
	limited, ok := src.(*io.LimitedReader)
	if ok && limited.N > smallBody {
		if f, ok := limited.R.(*File); ok {
			if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
				if w.readers.Add(1) == 1 {
					w.cork.push()
				}
				defer w.readers.Add(-1)
				n, err := f.sendTo(&pacedReaderFrom{w, to, minChunk}, limited.N)
				limited.N -= n
				return n, err
			}
		}
	}
	room := int64(smallBody)
	if ok {
		room = max(min(room, limited.N), 1)
	}
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{src}, make([]byte, room))
}

// pacedReaderFrom passes an extent on in chunks.
type pacedReaderFrom struct {
	w     *pacedWriter
	to    io.ReaderFrom
	chunk int64
}

func (p *pacedReaderFrom) ReadFrom(src io.Reader) (sent int64, err error) {
	extent := src.(*io.LimitedReader)
	for extent.N > 0 {
		end := p.w.turns.take()
		begin := time.Now()
		p.w.extend()
		n, err := p.to.ReadFrom(&io.LimitedReader{R: extent.R, N: min(extent.N, p.chunk)})
		end()
		sent += n
		extent.N -= n
		if err != nil || n == 0 {
			return sent, err
		}
		if time.Since(begin) < p.w.stall/growQuick {
			p.chunk = min(2*p.chunk, maxChunk)
		} else {
			p.chunk = minChunk
		}
	}
	return sent, nil
}
