package bmcsim

import (
	"net/http"
	"path"
	"strconv"
	"strings"
)

const root = "/redfish/v1"

// ServeHTTP answers one request (DSP0266 section 7).
func (b *BMC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fate := b.misfortune()
	w.Header().Set("OData-Version", "4.0")
	w.Header().Set("Cache-Control", "no-cache")
	if err := b.delay(r); err != nil {
		panic(http.ErrAbortHandler)
	}
	if fate == refused {
		w.Header().Set("Retry-After", "1")
		write(w, r, reply{err: fail(http.StatusServiceUnavailable, "ServiceTemporarilyUnavailable", "The service is temporarily unavailable. Retry in %s seconds.", "1")})
		return
	}
	answer := b.answer(w, r)
	if fate == dropped {
		panic(http.ErrAbortHandler)
	}
	answer(w)
}

// answer does what is asked, and returns how to say so.
func (b *BMC) answer(w http.ResponseWriter, r *http.Request) func(http.ResponseWriter) {
	say := func(a reply) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { write(w, r, a) }
	}
	at := path.Clean(r.URL.Path)
	b.mu.Lock()
	b.settle()
	res, found := b.find(at)
	b.mu.Unlock()
	login := (at == sessionsPath || at == sessionsPath+"/Members") && r.Method == http.MethodPost
	if !(found && res.open) && !login {
		if p := b.authenticate(r, at); p != nil {
			if p.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="Redfish"`)
			}
			return say(reply{err: p})
		}
	}
	if !found {
		return say(reply{err: notFound(at)})
	}
	return b.call(res, at, r, say)
}

func (b *BMC) call(res resource, at string, r *http.Request, say func(reply) func(http.ResponseWriter)) func(http.ResponseWriter) {
	var body object
	var p *problem
	if r.Method == http.MethodPatch || r.Method == http.MethodPost {
		if body, p = decode(r); p == nil && r.Method == http.MethodPatch && len(body) == 0 {
			p = fail(http.StatusBadRequest, "EmptyJSON", "The request body submitted contained an empty JSON object and the service is unable to process it.")
		}
		if p != nil {
			return say(reply{err: p})
		}
	}
	switch {
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && res.raw != nil:
		return res.raw
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && res.get != nil:
		return b.represent(res, at, r, say)
	case r.Method == http.MethodPatch && res.patch != nil:
		if p = b.precondition(res, at, r); p == nil {
			p = res.patch(body)
		}
		if p != nil {
			return say(reply{err: p})
		}
		return say(b.stored())
	case r.Method == http.MethodPost && res.post != nil:
		return say(res.post(r, body))
	case r.Method == http.MethodDelete && res.remove != nil:
		if p = b.precondition(res, at, r); p == nil {
			p = res.remove()
		}
		return say(reply{status: http.StatusNoContent, err: p})
	}
	return say(reply{
		header: map[string]string{"Allow": strings.Join(res.methods(), ", ")},
		err:    fail(http.StatusMethodNotAllowed, "OperationNotAllowed", "The HTTP method is not allowed on this resource."),
	})
}

// stored answers a PATCH. A BMC that lies says 200 with a message, as those
// seen do, because a representation would give it away.
func (b *BMC) stored() reply {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.has(FaultLies) {
		return reply{status: http.StatusOK, body: object{"@Message.ExtendedInfo": []object{success().info()}}}
	}
	return reply{status: http.StatusNoContent}
}

// view is a representation, without its ETag. It needs the lock.
func (b *BMC) view(res resource, at string) object {
	o := res.get()
	o["@odata.id"] = at
	if at == root {
		o["@odata.id"] = root + "/"
	}
	o["@odata.type"] = "#" + res.kind
	if _, ok := o["Name"]; !ok {
		o["Name"] = res.name
	}
	if _, ok := o["Id"]; !ok && !strings.Contains(res.kind, "Collection") {
		o["Id"] = path.Base(at)
	}
	return o
}

func (b *BMC) represent(res resource, at string, r *http.Request, say func(reply) func(http.ResponseWriter)) func(http.ResponseWriter) {
	b.mu.Lock()
	var o object
	if res.kind == "" {
		o = res.get()
	} else {
		o = b.view(res, at)
	}
	p := b.query(o, r)
	b.mu.Unlock()
	if p != nil {
		return say(reply{err: p})
	}
	if res.kind == "" {
		return say(reply{status: http.StatusOK, body: o})
	}
	data, etag, err := encode(o)
	return func(w http.ResponseWriter) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("ETag", etag)
		w.Header().Set("Allow", strings.Join(res.methods(), ", "))
		if matches(r.Header.Get("If-None-Match"), etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		send(w, r, http.StatusOK, data)
	}
}

// query does the parameters of DSP0266 section 7.3 that the service root
// offers. It needs the lock.
func (b *BMC) query(o object, r *http.Request) *problem {
	values := r.URL.Query()
	for name := range values {
		if strings.HasPrefix(name, "$") && name != "$expand" {
			return fail(http.StatusNotImplemented, "QueryNotSupported", "Querying is not supported on the requested resource.")
		}
	}
	expand := values.Get("$expand")
	members, ok := o["Members"].([]object)
	if expand == "" || !ok {
		return nil
	}
	if !strings.HasPrefix(expand, ".") && !strings.HasPrefix(expand, "*") {
		return fail(http.StatusBadRequest, "QueryParameterValueFormatError", "The value '%s' for the parameter %s is of a different format than the parameter can accept.", expand, "$expand")
	}
	for i, m := range members {
		at, _ := m["@odata.id"].(string)
		if res, found := b.find(at); found && res.get != nil {
			members[i] = b.view(res, at)
		}
	}
	return nil
}

// precondition compares If-Match with what a GET would say now.
func (b *BMC) precondition(res resource, at string, r *http.Request) *problem {
	match := r.Header.Get("If-Match")
	b.mu.Lock()
	required := b.has(FaultETagRequired) && r.Method == http.MethodPatch
	var o object
	if match != "" && match != "*" && res.get != nil {
		o = b.view(res, at)
	}
	b.mu.Unlock()
	switch {
	case match == "" && required:
		return fail(http.StatusPreconditionRequired, "PreconditionRequired", "A precondition header or annotation is required to change this resource.")
	case o == nil:
		return nil
	}
	if _, etag, err := encode(o); err != nil || !matches(match, etag) {
		return fail(http.StatusPreconditionFailed, "PreconditionFailed", "The ETag supplied did not match the ETag required to change this resource.")
	}
	return nil
}

// matches compares weakly, as DSP0266 section 6.5 lets a service do.
func matches(header, etag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == etag {
			return true
		}
	}
	return false
}

func write(w http.ResponseWriter, r *http.Request, a reply) {
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	if a.err != nil {
		a.status, a.body = a.err.status, a.err.object()
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	data, err := marshal(a.body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	send(w, r, a.status, data)
}

func send(w http.ResponseWriter, r *http.Request, status int, data []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}
