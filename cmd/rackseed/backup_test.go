package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// TestLapsed: a backup brings back no consent to wipe a disk.
func TestLapsed(t *testing.T) {
	s := site.NewState()
	for _, b := range []site.Body{
		site.NodePlanned{Node: site.Node{Name: "armed"}}, site.NodePlanned{Node: site.Node{Name: "running"}},
		site.NodePlanned{Node: site.Node{Name: "held"}}, site.NodePlanned{Node: site.Node{Name: "planned"}},
		site.Armed{Node: "armed"}, site.Armed{Node: "running"}, site.InstallStarted{Node: "running", Attempt: 1, Token: "t"},
		site.NodeHeld{Node: "held", Reason: "two claims"},
		site.ImageAdded{Image: site.Image{Name: "debian13"}}, site.JobQueued{ID: "j", Verb: "power", Targets: []string{"planned"}},
	} {
		apply(t, s, b)
	}
	for _, b := range lapsed(s) {
		apply(t, s, b)
	}
	for name, want := range map[string]site.Phase{"armed": site.PhasePlanned, "running": site.PhasePlanned, "held": site.PhaseHeld, "planned": site.PhasePlanned} {
		if m, _ := s.Machine(name); m.Phase != want {
			t.Errorf("%s is %s, want %s", name, m.Phase, want)
		}
	}
	if _, ok := s.MachineByToken("t"); ok {
		t.Error("a token of the backup still speaks")
	}
	if j, _ := s.Jobs.Get("j"); j.Running() {
		t.Error("a job of the backup goes on")
	}
	if s.Images.Len() != 0 {
		t.Error("the state names media that the library does not have")
	}
}

func apply(t *testing.T, s *site.State, b site.Body) {
	t.Helper()
	if err := s.Apply(site.Event{Seq: s.Seq + 1, At: time.Unix(int64(s.Seq), 0), Body: b}); err != nil {
		t.Fatal(err)
	}
}

// TestHostileBackup: no name in a backup leads out of the directory, and a cut
// one is not taken for whole.
func TestHostileBackup(t *testing.T) {
	head := `{"format":1,"version":"1","site":"lab","seq":1}`
	tests := []struct {
		name    string
		entries []tar.Header
		cut     int
		want    string // "" is none
	}{
		{"whole", []tar.Header{{Name: "key"}, {Name: "evidence/n1/log.tar"}}, 0, ""},
		{"above", []tar.Header{{Name: "../key"}}, 0, "not a whole backup"},
		{"absolute", []tar.Header{{Name: "/etc/passwd"}}, 0, "not a whole backup"},
		{"link", []tar.Header{{Name: "key", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, 0, "which no backup does"},
		{"twice", []tar.Header{{Name: "key"}, {Name: "key"}}, 0, "not a whole backup"},
		{"cut", []tar.Header{{Name: "key"}}, 9, "not a whole backup"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var buf bytes.Buffer
			zip := gzip.NewWriter(&buf)
			to := tar.NewWriter(zip)
			if err := addToBackup(to, manifestName, int64(len(head)), strings.NewReader(head)); err != nil {
				t.Fatal(err)
			}
			for _, h := range tt.entries {
				if err := to.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
			}
			if err := to.Close(); err != nil {
				t.Fatal(err)
			}
			if err := zip.Close(); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "b")
			if err := os.WriteFile(file, buf.Bytes()[:buf.Len()-tt.cut], 0o600); err != nil {
				t.Fatal(err)
			}
			into := filepath.Join(dir, "into")
			if err := os.Mkdir(into, 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := unpackBackup(file, into)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "key")); err == nil {
				t.Error("a file came to lie outside")
			}
		})
	}
}
