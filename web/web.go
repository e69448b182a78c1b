// Package web embeds the page of the operator side. It follows the event log
// and holds no truth of its own. docs/board.md is its guide.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed index.html assets i18n
var files embed.FS

// policy lets the page load what the daemon serves and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Handler serves the page: what is below /assets/ as it is, and for every
// other path the page itself, whose script reads the path.
func Handler() http.Handler {
	static := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cross-Origin-Resource-Policy", "same-origin")
		head.Set("Cache-Control", "no-cache")
		name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
		if catalogue, ok := strings.CutPrefix(name, "assets/i18n/"); ok {
			name = "i18n/" + catalogue
		}
		switch info, err := fs.Stat(files, name); {
		case err == nil && !info.IsDir():
			http.ServeFileFS(w, r, files, name)
		case strings.HasPrefix(name, "assets/"), strings.HasPrefix(name, "i18n"):
			http.NotFound(w, r)
		default:
			r.URL.Path = "/"
			static.ServeHTTP(w, r)
		}
	})
}
