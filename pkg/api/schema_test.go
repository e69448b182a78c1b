package api_test

import (
	"encoding"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/flight"
	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/pkg/view"
)

// documents are what the operator side reads and writes. What they hold is
// described, too.
func documents() []any {
	return []any{
		view.Status{}, view.Node{}, view.Profile{}, view.Explanation{}, view.Export{}, view.PlanRequest{}, view.PlanResult{},
		site.Image{}, view.ImageRequest{}, view.ImageLine{}, view.ArmRequest{}, view.ArmResult{},
		view.SheetRequest{}, view.SheetResult{}, view.Role{}, view.RoleRequest{}, view.RoleResult{}, view.NodeInventory{}, view.DoctorRequest{}, view.Doctor{}, view.WireRequest{},
		view.Job{}, view.JobRequest{}, view.JobChange{}, site.Event{}, view.Health{}, view.Problem{}, view.Report{}, view.Session{},
		flight.Timeline{}, flight.Batch{},
		view.NodeRequest{}, view.NodeChange{}, view.DiscoverRequest{}, view.Cabling{}, view.AdoptedNodes{},
		view.AdoptRequest{}, view.AdoptResult{}, view.RecordingRequest{}, view.Recording{}, view.Recorded{},
	}
}

// schemasOf gives JSON Schema 2020-12 for the documents, by name.
func schemasOf(t *testing.T) map[string]any {
	t.Helper()
	w := &schemaWriter{t: t, schemas: map[string]any{}, comments: map[string]string{}}
	for _, dir := range []string{"../view", "../site", "../cabling", "../flight", "../planfile/sheet"} {
		w.read(dir)
	}
	for _, doc := range documents() {
		w.schema(reflect.TypeOf(doc))
	}
	return w.schemas
}

type schemaWriter struct {
	t        *testing.T
	schemas  map[string]any
	comments map[string]string // of pkg.Type and pkg.Type.Field
}

// read collects the comments of a package's types.
func (w *schemaWriter) read(dir string) {
	w.t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), dir+"/"+f.Name(), nil, parser.ParseComments)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				w.types(parsed.Name.Name, g)
			}
		}
	}
}

func (w *schemaWriter) types(pkg string, g *ast.GenDecl) {
	for _, spec := range g.Specs {
		ts := spec.(*ast.TypeSpec)
		name, doc := pkg+"."+ts.Name.Name, ts.Doc
		if doc == nil {
			doc = g.Doc
		}
		w.comments[name] = oneLine(doc)
		s, ok := ts.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			text := oneLine(f.Comment)
			if text == "" {
				text = oneLine(f.Doc)
			}
			for _, n := range f.Names {
				w.comments[name+"."+n.Name] = text
			}
		}
	}
}

func oneLine(c *ast.CommentGroup) string {
	return strings.Join(strings.Fields(c.Text()), " ")
}

// special are types whose JSON does not follow from their fields.
func special(t reflect.Type) (map[string]any, bool) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}, true
	case reflect.TypeFor[[]byte]():
		return map[string]any{"type": "string", "contentEncoding": "base64"}, true
	case reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "integer"}, true
	case reflect.TypeFor[json.RawMessage](), reflect.TypeFor[any]():
		return map[string]any{}, true
	}
	if text := reflect.TypeFor[encoding.TextMarshaler](); t.Implements(text) || reflect.PointerTo(t).Implements(text) {
		return map[string]any{"type": "string"}, true
	}
	return nil, false
}

func (w *schemaWriter) schema(t reflect.Type) map[string]any {
	if s, ok := special(t); ok {
		return s
	}
	switch t.Kind() {
	case reflect.Pointer:
		return w.schema(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": "array", "items": w.schema(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": w.schema(t.Elem())}
	case reflect.Struct:
		return w.object(t)
	default:
		if t.ConvertibleTo(reflect.TypeFor[int64]()) {
			return map[string]any{"type": "integer"}
		}
		w.t.Fatalf("%s has no schema", t)
		return nil
	}
}

// object describes a struct once, under its own name.
func (w *schemaWriter) object(t reflect.Type) map[string]any {
	pkg, name, _ := strings.Cut(t.String(), ".")
	key := name
	if pkg != "view" {
		key = strings.ToUpper(pkg[:1]) + pkg[1:] + name
	}
	ref := map[string]any{"$ref": "#/components/schemas/" + key}
	if _, ok := w.schemas[key]; ok {
		return ref
	}
	if t == reflect.TypeFor[site.Event]() {
		w.schemas[key] = eventSchema(w.comments[t.String()])
		return ref
	}
	properties, required := map[string]any{}, []any{}
	s := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if text := w.comments[t.String()]; text != "" {
		s["description"] = text
	}
	w.schemas[key] = s
	w.fields(t, properties, &required)
	if len(required) > 0 {
		s["required"] = required
	}
	return ref
}

func (w *schemaWriter) fields(t reflect.Type, properties map[string]any, required *[]any) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			w.fields(f.Type, properties, required)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		s := w.schema(f.Type)
		if text := w.comments[t.String()+"."+f.Name]; text != "" {
			s["description"] = text // JSON Schema 2020-12 allows it beside $ref
		}
		properties[name] = s
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}

// eventSchema is what site.Event.MarshalJSON writes.
func eventSchema(text string) map[string]any {
	str := func(d string) map[string]any { return map[string]any{"type": "string", "description": d} }
	return map[string]any{
		"type": "object", "additionalProperties": false, "description": text,
		"properties": map[string]any{
			"seq":     map[string]any{"type": "integer", "description": "one-based, without gaps"},
			"at":      map[string]any{"type": "string", "format": "date-time"},
			"kind":    str("what changed: install-started, node-verified and so on"),
			"subject": str("the node, MAC, image, job or address that it is about"),
			"body":    map[string]any{"type": "object", "description": "what belongs to the kind"},
		},
		"required": []any{"seq", "at", "kind", "body"},
	}
}
