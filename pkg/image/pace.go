package image

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// A reader that takes less than this per Stall is cut off.
	paceChunk = 1 << 20
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
				n, err := f.sendTo(pacedReaderFrom{w, to}, limited.N, paceChunk)
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

type pacedReaderFrom struct {
	w  *pacedWriter
	to io.ReaderFrom
}

func (p pacedReaderFrom) ReadFrom(src io.Reader) (int64, error) {
	p.w.extend()
	return p.to.ReadFrom(src)
}
