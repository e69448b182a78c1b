package agents

import (
	"bytes"
	"compress/gzip"
	"testing"
	"testing/fstest"
)

func packed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLookup(t *testing.T) {
	s := &Set{files: fstest.MapFS{"discover-amd64.gz": {Data: packed(t, "the agent")}}, ready: map[string][]byte{}}
	for range 2 {
		if a, ok := s.Lookup("x86_64", false); !ok || string(a) != "the agent" {
			t.Errorf("the program: %q, %t", a, ok)
		}
		ramdisk, ok := s.Lookup("x86_64", true)
		if !ok || len(ramdisk)%512 != 0 || !bytes.HasPrefix(ramdisk, []byte("070701")) || !bytes.Contains(ramdisk, []byte("rackseed/discover\x00")) || !bytes.Contains(ramdisk, []byte("the agent")) {
			t.Errorf("the ramdisk: %d bytes, %t", len(ramdisk), ok)
		}
	}
	for _, arch := range []string{"aarch64", "sparc", "", "../x86_64"} {
		if a, ok := s.Lookup(arch, true); ok || a != nil {
			t.Errorf("%q has an agent of %d bytes", arch, len(a))
		}
	}
	if missing := s.Missing(); len(missing) != 1 || missing[0] != "aarch64" {
		t.Errorf("missing: %v", missing)
	}
}

// TestDamagedAgent: what does not unpack is not handed out.
func TestDamagedAgent(t *testing.T) {
	s := &Set{files: fstest.MapFS{"discover-amd64.gz": {Data: packed(t, "the agent")[:15]}}, ready: map[string][]byte{}}
	if a, ok := s.Lookup("x86_64", true); ok {
		t.Errorf("%d bytes", len(a))
	}
}

func TestOpen(t *testing.T) {
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"x86_64", "aarch64"} {
		if a, ok := s.Lookup(arch, false); ok && !bytes.HasPrefix(a, []byte("\x7fELF")) {
			t.Errorf("the embedded agent for %s is no program", arch)
		}
	}
}
