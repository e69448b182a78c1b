package bmcsim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// link is a reference to another resource.
func link(path string) object { return object{"@odata.id": path} }

// resource is what one path can do. get runs under the lock; the others do
// not, and change settings through BMC.change.
type resource struct {
	kind   string // @odata.type without the #
	name   string
	get    func() object
	patch  func(body object) *problem
	post   func(r *http.Request, body object) reply
	remove func() *problem
	open   bool // needs no authentication (DSP0266 section 13.3)
	raw    func(w http.ResponseWriter)
}

func (res resource) methods() []string {
	var m []string
	if res.get != nil || res.raw != nil {
		m = append(m, http.MethodGet, http.MethodHead)
	}
	if res.patch != nil {
		m = append(m, http.MethodPatch)
	}
	if res.post != nil {
		m = append(m, http.MethodPost)
	}
	if res.remove != nil {
		m = append(m, http.MethodDelete)
	}
	return m
}

// collection lists its members' paths.
func collection(kind, name string, members func() []string) resource {
	return resource{kind: kind + "." + kind, name: name, get: func() object {
		links := []object{}
		for _, m := range members() {
			links = append(links, link(m))
		}
		return object{"Members": links, "Members@odata.count": len(links)}
	}}
}

func fixed(members ...string) func() []string { return func() []string { return members } }

// reply is an answer that is not a plain representation.
type reply struct {
	status int
	header map[string]string
	body   object
	err    *problem
}

// problem is an error of DSP0266 section 8.6, with a message of the Base
// registry.
type problem struct {
	status  int
	id      string
	message string
	args    []string
}

func fail(status int, id, format string, args ...string) *problem {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	return &problem{status: status, id: "Base.1.18." + id, message: fmt.Sprintf(format, values...), args: args}
}

func (p *problem) object() object {
	return object{"error": object{"code": p.id, "message": p.message, "@Message.ExtendedInfo": []object{p.info()}}}
}

func (p *problem) info() object {
	severity := "Critical"
	if p.status < 300 {
		severity = "OK"
	}
	return object{
		"@odata.type": "#Message.v1_1_2.Message", "MessageId": p.id, "Message": p.message,
		"MessageArgs": append([]string{}, p.args...), "MessageSeverity": severity, "Severity": severity, "Resolution": "None.",
	}
}

func success() *problem {
	return fail(http.StatusOK, "Success", "The request completed successfully.")
}

func notFound(path string) *problem {
	return fail(http.StatusNotFound, "ResourceMissingAtURI", "The resource at the URI %s was not found.", path)
}

func unknownProperty(name string) *problem {
	return fail(http.StatusBadRequest, "PropertyUnknown", "The property %s is not in the list of valid properties for the resource.", name)
}

func readOnly(name string) *problem {
	return fail(http.StatusBadRequest, "PropertyNotWritable", "The property %s is a read-only property and cannot be assigned a value.", name)
}

func notInList(value any, name string) *problem {
	return fail(http.StatusBadRequest, "PropertyValueNotInList", "The value '%s' for the property %s is not in the list of acceptable values.", fmt.Sprint(value), name)
}

func wrongType(value any, name string) *problem {
	return fail(http.StatusBadRequest, "PropertyValueTypeError", "The value '%s' for the property %s is not a type that the property can accept.", fmt.Sprint(value), name)
}

func conflict(name, other string) *problem {
	return fail(http.StatusBadRequest, "PropertyValueConflict", "The property '%s' could not be written because its value would conflict with the value of the '%s' property.", name, other)
}

// writable applies a PATCH body: set has a function for each property that can
// be written, known are the others.
func writable(body object, known object, set map[string]func(any) *problem) *problem {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		apply, ok := set[name]
		_, exists := known[name]
		switch {
		case strings.HasPrefix(name, "@"):
		case ok:
			if p := apply(body[name]); p != nil {
				return p
			}
		case exists:
			return readOnly(name)
		default:
			return unknownProperty(name)
		}
	}
	return nil
}

// text sets a string property, of the listed values if there are any.
func text(to *string, name string, allowed ...string) func(any) *problem {
	return func(v any) *problem {
		s, ok := v.(string)
		switch {
		case !ok:
			return wrongType(v, name)
		case len(allowed) > 0 && !slices.Contains(allowed, s):
			return notInList(s, name)
		}
		*to = s
		return nil
	}
}

func flag(to *bool, name string) func(any) *problem {
	return func(v any) *problem {
		set, ok := v.(bool)
		if !ok {
			return wrongType(v, name)
		}
		*to = set
		return nil
	}
}

// encode writes a representation with its ETag, which is strong: a hash of
// the bytes.
func encode(o object) (body []byte, etag string, err error) {
	body, err = json.Marshal(o)
	if err != nil {
		return nil, "", fmt.Errorf("encoding a resource: %w", err)
	}
	hash := fnv.New64a()
	_, _ = hash.Write(body)
	etag = fmt.Sprintf(`"%016x"`, hash.Sum64())
	quoted, _ := json.Marshal(etag)
	return append(append([]byte(`{"@odata.etag":`), append(quoted, ',')...), body[1:]...), etag, nil
}

const maxBody = 1 << 20

// decode reads a request's body; none is an empty object.
func decode(r *http.Request) (object, *problem) {
	if t := r.Header.Get("Content-Type"); t != "" {
		if media, _, err := mime.ParseMediaType(t); err != nil || media != "application/json" {
			return nil, fail(http.StatusUnsupportedMediaType, "GeneralError", "The media type %s is not application/json.", t)
		}
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	body := object{}
	if err == nil && len(raw) > 0 {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		return nil, fail(http.StatusBadRequest, "MalformedJSON", "The request body submitted was malformed JSON and could not be parsed by the receiving service.")
	}
	return body, nil
}
