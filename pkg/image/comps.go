package image

import (
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Limits of package metadata: those of the largest distributions are a tenth.
const (
	maxRepomd = 1 << 20
	maxComps  = 32 << 20
)

var errNoComps = errors.New("the repository has no list of package groups")

// repomd is the table of contents of a repository (createrepo_c).
type repomd struct {
	Data []struct {
		Type     string `xml:"type,attr"`
		Location struct {
			Href string `xml:"href,attr"`
		} `xml:"location"`
	} `xml:"data"`
}

// comps lists package groups and the environments made of them.
type comps struct {
	Groups       []compsEntry `xml:"group"`
	Environments []compsEntry `xml:"environment"`
}

type compsEntry struct {
	ID string `xml:"id"`
}

// findGroups collects what answer files may ask for by @NAME. A medium whose lists cannot be read
// is still usable, so that is a warning.
func (m *Media) findGroups(medium fs.FS) {
	var wrong []string
	for _, dir := range m.Repos {
		groups, err := readGroups(medium, dir)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", dir, err))
			continue
		}
		m.Groups = append(m.Groups, groups...)
	}
	slices.Sort(m.Groups)
	m.Groups = slices.Compact(m.Groups)
	if len(m.Repos) > 0 && len(m.Groups) == 0 {
		m.warn("its package groups are not checked: %s", strings.Join(wrong, "; "))
	}
}

// readGroups reads the groups of one repository. Plain and gzip are read; createrepo_c also writes
// the plain one beside others.
func readGroups(medium fs.FS, dir string) ([]string, error) {
	var index repomd
	if err := decodeXML(medium, path.Join(dir, "repodata/repomd.xml"), maxRepomd, false, &index); err != nil {
		return nil, err
	}
	for _, kind := range []string{"group", "group_gz"} {
		for _, d := range index.Data {
			name := path.Join(dir, d.Location.Href)
			if d.Type != kind || !fs.ValidPath(name) {
				continue
			}
			var list comps
			if err := decodeXML(medium, name, maxComps, kind == "group_gz", &list); err != nil {
				return nil, err
			}
			return list.ids(), nil
		}
	}
	return nil, errNoComps
}

func (c comps) ids() []string {
	var out []string
	for _, e := range slices.Concat(c.Groups, c.Environments) {
		if id := printable(strings.TrimSpace(e.ID)); id != "" {
			out = append(out, id)
		}
	}
	return out
}

func decodeXML(medium fs.FS, name string, limit int64, zipped bool, into any) error {
	f, err := medium.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := io.Reader(f)
	if zipped {
		if r, err = gzip.NewReader(f); err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
	}
	if err := xml.NewDecoder(io.LimitReader(r, limit)).Decode(into); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}
