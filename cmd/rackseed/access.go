package main

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/rackseed/rackseed/pkg/bmc/batch"
)

// keptVisits bounds what is remembered of who fetched what.
const keptVisits = 4096

// accessLog remembers who came for which file of the image library, which is
// the only proof that a BMC reaches what it was told to insert.
type accessLog struct {
	now func() time.Time

	mu     sync.Mutex
	visits []visit // the one that came first is first
}

type visit struct {
	path string
	from netip.Addr
	at   time.Time
}

// watch hands requests on as they are, so that files still go by sendfile.
func (a *accessLog) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Packages of an install go by the thousand; a medium is fetched whole.
		if isMedium(r.URL.Path) {
			a.note(r.URL.Path, r.RemoteAddr)
		}
		next.ServeHTTP(w, r)
	})
}

func (a *accessLog) note(path, remote string) {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	from, _ := netip.ParseAddr(host) // an address that is none is shown as none
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.visits) >= keptVisits {
		a.visits = slices.Delete(a.visits, 0, keptVisits/4)
	}
	a.visits = append(a.visits, visit{path: path, from: from.Unmap(), at: a.now()})
}

// since are the clients that came for a path since a moment.
func (a *accessLog) since(path string, since time.Time) []batch.Fetch {
	a.mu.Lock()
	defer a.mu.Unlock()
	var clients []batch.Fetch
	for _, v := range a.visits {
		if v.path != path || v.at.Before(since) {
			continue
		}
		i := slices.IndexFunc(clients, func(c batch.Fetch) bool { return c.From == v.from.String() })
		if i < 0 {
			i, clients = len(clients), append(clients, batch.Fetch{From: v.from.String()})
		}
		clients[i].Times++
		clients[i].Last = v.at
	}
	return clients
}
