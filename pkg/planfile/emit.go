package planfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

// entryField is a key of a node and its value as YAML on one line; an empty
// value stands for a key that is left out.
type entryField struct{ key, value string }

// entryFields writes a node as the keys that the decoder reads, in the order
// in which people give them.
func entryFields(n *site.Node) ([]entryField, error) {
	w := &entryWriter{}
	w.add("name", quote(n.Name))
	w.add("role", quote(n.Role))
	w.add("rack", quote(n.Rack))
	if n.U != 0 {
		w.add("u", strconv.Itoa(n.U))
	} else {
		w.add("u", "")
	}
	w.add("mac", macList(n.MACs))
	w.json("nics", n.NICs, len(n.NICs) == 0)
	w.add("serial", quote(n.Serial))
	if n.UUID != (site.UUID{}) {
		w.add("uuid", n.UUID.String())
	} else {
		w.add("uuid", "")
	}
	addresses := make([]string, 0, len(n.Addresses))
	for _, network := range slices.Sorted(maps.Keys(n.Addresses)) {
		addresses = append(addresses, quote(network)+": "+n.Addresses[network].String())
	}
	w.add("addresses", flow(addresses))
	w.add("bmc", flow(bmcFields(n.BMC)))
	w.json("disks", n.Disks, len(n.Disks.System)+len(n.Disks.OSD)+len(n.Disks.OSDDB) == 0 && n.Disks.OSDPolicy == "")
	w.hardware(n.Hardware)
	w.add("image", quote(n.Image))
	w.add("local_boot", quote(string(n.LocalBoot)))
	w.json("set", n.Set, len(n.Set) == 0)
	return w.fields, w.err
}

type entryWriter struct {
	fields []entryField
	err    error
}

func (w *entryWriter) add(key, value string) { w.fields = append(w.fields, entryField{key, value}) }

// json writes what people seldom put into one entry of a list: JSON is YAML,
// and the keys are the same.
func (w *entryWriter) json(key string, value any, empty bool) {
	if empty {
		w.add(key, "")
		return
	}
	var b, spaced bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	if err == nil {
		err = json.Indent(&spaced, bytes.TrimSpace(b.Bytes()), "", "")
	}
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("writing %s: %w", key, err)
	}
	text := strings.ReplaceAll(spaced.String(), "\n", " ") // a line break in a text is written \n
	if text == "{}" {
		text = ""
	}
	w.add(key, text)
}

// hardware writes the memory alone, which is all that a sheet knows, as
// people do.
func (w *entryWriter) hardware(h site.Hardware) {
	memory := h.Memory
	h.Memory = 0
	if only, err := json.Marshal(h); err == nil && string(only) == "{}" && memory > 0 && memory%(1<<30) == 0 {
		w.add("hardware", fmt.Sprintf("{memory: %dGiB}", memory>>30))
		return
	}
	h.Memory = memory
	w.json("hardware", h, false)
}

func bmcFields(b site.BMC) []string {
	var out []string
	for _, f := range []entryField{{"address", quote(b.Address)}, {"protocol", quote(b.Protocol)}, {"username", quote(b.Username)}} {
		if f.value != "" {
			out = append(out, f.key+": "+f.value)
		}
	}
	if b.MAC != (site.MAC{}) {
		out = append(out, "mac: "+b.MAC.String())
	}
	switch p := b.Password; {
	case p.Env != "":
		out = append(out, "password: {env: "+quote(p.Env)+"}")
	case p.File != "":
		out = append(out, "password: {file: "+quote(p.File)+"}")
	case p.Sealed.Sealed():
		out = append(out, "password: {sealed: "+quote(p.Sealed.Reveal())+"}")
	}
	return out
}

func flow(pairs []string) string {
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

func macList(macs []site.MAC) string {
	words := make([]string, len(macs))
	for i, m := range macs {
		words[i] = m.String()
	}
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return "[" + strings.Join(words, ", ") + "]"
	}
}

var (
	plainText = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9._/-]*$`)
	dateText  = regexp.MustCompile(`^[0-9]+-[0-9]+(-[0-9]+)?`)
)

// quote writes a text so that every YAML reader takes it for one: the serial
// number 0123 and the rack 12E3 are no numbers.
func quote(s string) string {
	if s == "" {
		return ""
	}
	_, notFloat := strconv.ParseFloat(s, 64)
	_, notInt := strconv.ParseInt(s, 0, 64)
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
	default:
		if plainText.MatchString(s) && notFloat != nil && notInt != nil && !dateText.MatchString(s) {
			return s
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSpace(b.String())
}
