package image

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/rackseed/rackseed/pkg/image/iso"
)

// URLPrefix is where the handler expects to be mounted.
const URLPrefix = "/images/"

// URLPath is the escaped path at which the handler serves a file of the image; an empty name is
// the root directory.
func (i Image) URLPath(name string) string {
	return (&url.URL{Path: URLPrefix + i.Hex() + "/" + name}).EscapedPath()
}

// ISOPath is the path at which the handler serves the whole ISO, as virtual media want it.
func (i Image) ISOPath() string { return URLPrefix + i.Hex() + isoSuffix }

const isoSuffix = ".iso"

// Handler serves /images/DIGEST/PATH, directories as plain index pages, and /images/DIGEST.iso. It
// answers GET and HEAD with ranges and strong validators, and never redirects: firmware and
// installers differ in what they follow.
//
// File bytes go by sendfile as long as w's ReadFrom is net/http's own: a wrapping ResponseWriter
// must pass ReadFrom on, and compression must stay away; ConnContext makes it faster. The handler moves the write deadline while
// bytes flow, so the server needs no WriteTimeout, which would cut long downloads.
func (l *Library) Handler() http.Handler { return http.HandlerFunc(l.serve) }

func (l *Library) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	at, ok := parsePath(r.URL.Path)
	if !ok {
		http.Error(w, "not a path below "+URLPrefix, http.StatusBadRequest)
		return
	}
	f, err := l.Open(at.digest, at.name)
	switch {
	case at.wantDir, at.name != "" && errors.Is(err, fs.ErrNotExist):
		if err == nil {
			f.Close()
		}
		l.serveDir(w, r, at)
	case err != nil:
		l.fail(w, r, err)
	default:
		defer f.Close()
		l.serveFile(w, r, at, f)
	}
}

// location is a parsed URL path; an empty name is the root directory or, without wantDir, the ISO.
type location struct {
	digest, name string
	wantDir      bool
}

// parsePath takes the decoded path of a URL. Empty and "." elements are dropped, for installers join
// their parts with too many slashes; ".." is refused.
func parsePath(p string) (location, bool) {
	const longest = 4096
	p = strings.TrimPrefix(p, URLPrefix)
	if len(p) > longest || strings.ContainsRune(p, 0) {
		return location{}, false
	}
	var elems []string
	for elem := range strings.SplitSeq(p, "/") {
		switch elem {
		case "", ".":
		case "..":
			return location{}, false
		default:
			elems = append(elems, elem)
		}
	}
	if len(elems) == 0 {
		return location{}, false
	}
	at := location{digest: elems[0], name: strings.Join(elems[1:], "/"), wantDir: strings.HasSuffix(p, "/")}
	if digest, whole := strings.CutSuffix(at.digest, isoSuffix); whole && len(elems) == 1 && !at.wantDir {
		at.digest = digest
	} else if len(elems) == 1 {
		at.wantDir = true
	}
	return at, true
}

func (l *Library) serveFile(w http.ResponseWriter, r *http.Request, at location, f *File) {
	h := w.Header()
	h.Set("Content-Type", contentType(cmp.Or(at.name, isoSuffix)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	tag := sha256.Sum256([]byte(at.digest + "/" + at.name))
	h.Set("ETag", fmt.Sprintf(`"%x"`, tag[:16]))
	out := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), stall: l.stall, cork: corkOf(r), readers: &l.readers, turns: l.turns}
	defer out.done()
	http.ServeContent(out, r, "", time.Time{}, f)
}

// contentType goes by the name alone, so that it is the same on every machine. The first two are
// what EDK2's HTTP boot looks for.
func contentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".efi":
		return "application/efi"
	case ".iso":
		return "application/vnd.efi-iso"
	case ".xml":
		return "application/xml"
	case ".gz", ".tgz":
		return "application/gzip"
	case ".xz":
		return "application/x-xz"
	case ".bz2":
		return "application/x-bzip2"
	case ".zst":
		return "application/zstd"
	case ".rpm":
		return "application/x-rpm"
	case ".deb", ".udeb":
		return "application/vnd.debian.binary-package"
	case ".json":
		return "application/json"
	case ".txt", ".cfg", ".ks", ".conf", ".treeinfo", ".discinfo":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

func (l *Library) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, fs.ErrNotExist):
		// Installers probe for images/updates.img and product.img: a 404 is no fault.
		l.log.DebugContext(r.Context(), "no such file in an image", "path", r.URL.Path, "error", err)
		http.Error(w, "404 not found", http.StatusNotFound)
	case errors.Is(err, ErrFault):
		l.log.ErrorContext(r.Context(), "refusing a damaged image", "path", r.URL.Path, "error", err)
		http.Error(w, "the image is damaged: run rackseed image verify", http.StatusInternalServerError)
	case errors.Is(err, errUnverified):
		w.Header().Set("Retry-After", "10")
		http.Error(w, errUnverified.Error(), http.StatusServiceUnavailable)
	default:
		l.log.ErrorContext(r.Context(), "cannot serve from an image", "path", r.URL.Path, "error", err)
		w.Header().Set("Retry-After", "10")
		http.Error(w, "the image cannot be read at the moment", http.StatusServiceUnavailable)
	}
}

// Links are absolute, so that a directory reads the same with and without a slash behind it.
var indexPage = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<title>{{.Title}}</title>
<pre>
{{range .Links}}<a href="{{.Href}}">{{.Name}}</a>
{{end}}</pre>
`))

type link struct{ Href, Name string }

func (l *Library) serveDir(w http.ResponseWriter, r *http.Request, at location) {
	list, err := l.list(at.digest, at.name)
	if err != nil {
		l.fail(w, r, err)
		return
	}
	var page strings.Builder
	data := struct {
		Title string
		Links []link
	}{"/" + at.name, indexLinks(at, list)}
	if err := indexPage.Execute(&page, data); err != nil {
		l.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("Content-Length", fmt.Sprint(page.Len()))
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, page.String())
	}
}

func indexLinks(at location, list []iso.Entry) []link {
	links := make([]link, 0, len(list))
	for _, e := range list {
		name := e.Name
		if e.Mode.IsDir() {
			name += "/"
		}
		href := &url.URL{Path: path.Join(URLPrefix, at.digest, at.name) + "/" + name}
		links = append(links, link{href.EscapedPath(), name})
	}
	return links
}
