package image

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// treeinfo is a .treeinfo file as "section.key" → value, sections and keys in lower case. Its
// dialects (before and after productmd) overlap in [general], [stage2] and [images-ARCH].
type treeinfo map[string]string

// parseTreeinfo takes what it understands: writers differ, and what is missing is looked for on the
// medium.
func parseTreeinfo(text string) treeinfo {
	info, section := treeinfo{}, ""
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[':
			section = strings.ToLower(strings.Trim(line, "[] "))
		default:
			key, value, ok := strings.Cut(line, "=")
			if ok {
				info[section+"."+strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
			}
		}
	}
	return info
}

func (t treeinfo) first(keys ...string) string {
	for _, key := range keys {
		if v := t[key]; v != "" {
			return v
		}
	}
	return ""
}

// path returns a file name, or "" where it is absent or would leave the medium.
func (t treeinfo) path(section, key string) string {
	v := t[section+"."+key]
	if v == "" {
		return ""
	}
	if v = path.Clean(v); !fs.ValidPath(v) {
		return ""
	}
	return v
}

// repositories lists the directories of the variants, BaseOS first as installers want it.
func (t treeinfo) repositories() []string {
	var base, others []string
	for id := range strings.SplitSeq(t.first("tree.variants", "general.variants"), ",") {
		id = strings.TrimSpace(id)
		dir := t.path("variant-"+strings.ToLower(id), "repository")
		switch {
		case id == "" || dir == "":
		case strings.EqualFold(id, "BaseOS"):
			base = append(base, dir)
		default:
			others = append(others, dir)
		}
	}
	return append(base, others...)
}

// checkSums compares the boot files with the sums that .treeinfo gives. A difference is a warning:
// remastered media, with drivers added to the initrd, keep the old sums.
func (m *Media) checkSums(medium fs.FS, info treeinfo) {
	for _, name := range []string{m.Kernel, m.Initrd, m.Stage2} {
		want, ok := strings.CutPrefix(info["checksums."+strings.ToLower(name)], "sha256:")
		if !ok {
			continue
		}
		switch got, err := sumFile(medium, name); {
		case err != nil:
			m.warn("%s cannot be read: %v", name, err)
		case !strings.EqualFold(got, want):
			m.warn("%s differs from its checksum in .treeinfo: the medium was remastered, or is damaged (compare the ISO with the vendor's checksum)", name)
		}
	}
}

func sumFile(medium fs.FS, name string) (string, error) {
	f, err := medium.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return "", fmt.Errorf("reading %s: %w", name, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
