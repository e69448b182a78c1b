package image

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const (
	repomdText = `repodata/repomd.xml=<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>
<data type="primary"><location href="repodata/p-primary.xml.gz"/></data>
<data type="group_xz"><location href="repodata/c-comps.xml.xz"/></data>
<data type="group"><location href="repodata/c-comps.xml"/></data></repomd>`
	compsText = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//CentOS//DTD Comps info//EN" "comps.dtd">
<comps><group><id>core</id><name>Core</name><name xml:lang="zh_CN">核心</name>
<packagelist><packagereq type="mandatory">bash</packagereq></packagelist></group>
<group> <id> base </id></group><category><id>development</id></category>
<environment><id>minimal-environment</id><grouplist><groupid>core</groupid></grouplist></environment></comps>`
)

func TestGroupsOfMedia(t *testing.T) {
	zipped := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text)) // into memory
		_ = w.Close()
		return b.String()
	}
	in := func(dir string, list ...string) fstest.MapFS {
		for i := range list {
			list[i] = dir + list[i]
		}
		return files(list...)
	}
	both := with(in("BaseOS/", repomdText, "repodata/c-comps.xml="+compsText),
		"AppStream/"+repomdText, "AppStream/repodata/c-comps.xml=<comps><group><id>core</id></group><group><id>virtualization</id></group></comps>")
	for _, c := range []struct {
		name    string
		medium  fstest.MapFS
		repos   []string
		want    []string
		warning string
	}{
		{"groups and environments of all repositories", both, []string{"BaseOS", "AppStream"}, []string{"base", "core", "minimal-environment", "virtualization"}, ""},
		{"a flat medium", in("", repomdText, "repodata/c-comps.xml="+compsText), []string{"."}, []string{"base", "core", "minimal-environment"}, ""},
		{"packed", in("", strings.Replace(repomdText, `"group"`, `"group_gz"`, 1), "repodata/c-comps.xml="+zipped(compsText)), []string{"."}, []string{"base", "core", "minimal-environment"}, ""},
		{"one of two", with(both, "BaseOS/repodata/c-comps.xml=<comps"), []string{"AppStream", "Other"}, []string{"core", "virtualization"}, ""},
		{"packed in a way that is not read", in("", strings.Replace(repomdText, `"group"`, `"group_zst"`, 1)), []string{"."}, nil, "no list of package groups"},
		{"no groups at all", in("", "repodata/repomd.xml=<repomd/>"), []string{"."}, nil, "no list of package groups"},
		{"damaged", in("", repomdText, "repodata/c-comps.xml=<comps><group>"), []string{"."}, nil, "c-comps.xml"},
		{"a list outside the medium", in("", strings.Replace(repomdText, "repodata/c-comps.xml\"", "../../etc/comps.xml\"", 1)), []string{"."}, nil, "no list of package groups"},
		{"no packages", files("x"), nil, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Media{Repos: c.repos}
			m.findGroups(c.medium)
			if diff := cmp.Diff(c.want, m.Groups); diff != "" {
				t.Error(diff)
			}
			if got := strings.Join(m.Warnings, "\n"); (c.warning == "") != (got == "") || !strings.Contains(got, c.warning) {
				t.Errorf("warnings %q, want %q", got, c.warning)
			}
		})
	}
}

// FuzzGroups: whatever stands on a medium, groups are printable words.
func FuzzGroups(f *testing.F) {
	f.Add([]byte(strings.TrimPrefix(repomdText, "repodata/repomd.xml=")), []byte(compsText))
	f.Add([]byte("<repomd/>"), []byte("<comps><group><id>\x1b[2J</id></group></comps>"))
	f.Fuzz(func(t *testing.T, index, list []byte) {
		medium := fstest.MapFS{"repodata/repomd.xml": {Data: index}, "repodata/c-comps.xml": {Data: list}}
		m := Media{Repos: []string{"."}}
		m.findGroups(medium)
		for _, g := range m.Groups {
			if g == "" || g != printable(g) {
				t.Fatalf("%q", g)
			}
		}
	})
}
