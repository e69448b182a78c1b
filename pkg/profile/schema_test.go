package profile

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rackseed/rackseed/pkg/site"
	"github.com/rackseed/rackseed/profiles"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(profiles.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("profile.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("profile.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid reads YAML as the schema sees it.
func valid(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestShippedProfilesFollowTheSchema(t *testing.T) {
	s := schema(t)
	for _, name := range Names(profiles.Files) {
		text, err := profiles.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSchemaRefusesWhatLoadRefuses: an editor with the schema finds the same
// mistakes.
func TestSchemaRefusesWhatLoadRefuses(t *testing.T) {
	s := schema(t)
	for _, text := range []string{
		"name: p\nsysctls: []\n", "name: p\nsysctl: [{key: a, value: b, reason: c}]\n", "name: p\nlimits: [{domain: root, item: nofile, value: many}]\n",
		"summary: x\n", "name: p\nextends: ../q\n", "name: p\nparameters: {a: {type: int, summary: s}}\n", "name: p\nparameters: {a: {type: integer}}\n",
		"name: p\nparameters: {A: {type: integer, summary: s}}\n", "name: p\nthp: [{value: sometimes}]\n", "name: p\nksm: [{value: maybe}]\n",
		"name: p\nschedulers: [{disks: tape, scheduler: none}]\n", "name: p\nbios: [{key: vt, value: 'on'}]\n",
		"name: p\nnetworks: {required: [{role: mgmt, why: w}]}\n", "name: p\nlayout: {volumes: [{name: a, mount: var, size: 1GiB}]}\n",
	} {
		if _, err := Load(folder("name: p\n"+strings.TrimPrefix(text, "name: p\n")), "p"); err == nil && strings.HasPrefix(text, "name") {
			t.Errorf("Load takes %q", text)
		}
		if valid(t, s, []byte(text)) == nil {
			t.Errorf("the schema takes %q", text)
		}
	}
}

// TestSchemaHasEveryKey: the schema and the types say the same words.
func TestSchemaHasEveryKey(t *testing.T) {
	var doc struct {
		Properties map[string]any `json:"properties"`
		Defs       map[string]struct {
			Properties map[string]struct{ Enum []string } `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(profiles.Schema, &doc); err != nil {
		t.Fatal(err)
	}
	same := func(what string, v any, have []string) {
		if want := keys(reflect.TypeOf(v)); !slices.Equal(want, slices.Sorted(slices.Values(have))) {
			t.Errorf("%s has keys %v, the schema %v", what, want, have)
		}
	}
	same("a profile", Profile{}, slices.Collect(maps.Keys(doc.Properties)))
	for def, v := range map[string]any{
		"parameter": Declaration{}, "setting": Setting{}, "setting_or_name": Setting{}, "limit": LimitRule{}, "argument": KernelArg{}, "module": Module{}, "choice": Choice{},
		"scheduler": Scheduler{}, "slice": Slice{}, "clock": Clock{}, "volume": VolumeRule{}, "bios": Setting{}, "need": Need{}, "count": Count{}, "conflict": Conflict{},
	} {
		same(def, v, slices.Collect(maps.Keys(doc.Defs[def].Properties)))
	}
	var roles []string
	for _, r := range site.NetworkRoles() {
		roles = append(roles, string(r))
	}
	if got := doc.Defs["need"].Properties["role"].Enum; !slices.Equal(got, roles) {
		t.Errorf("network roles are %v, the schema has %v", roles, got)
	}
	for concept := range biosConcepts() {
		if !slices.Contains(doc.Defs["bios"].Properties["key"].Enum, concept) {
			t.Errorf("the schema lacks the BIOS setting %s", concept)
		}
	}
}

// keys lists the YAML keys of a struct, those that it has inline among them.
func keys(t reflect.Type) []string {
	var out []string
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			out = append(out, keys(f.Type)...)
		case name != "" && name != "-":
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// TestDocumentation: docs/profiles.md names every key, every derived value
// and every shipped profile.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/profiles.md")
	if err != nil {
		t.Fatal(err)
	}
	words := append(keys(reflect.TypeOf(Profile{})), slices.Collect(maps.Keys(derivations()))...)
	for _, word := range append(words, Names(profiles.Files)...) {
		if !bytes.Contains(text, []byte("`"+word+"`")) {
			t.Errorf("it lacks %s", word)
		}
	}
}
