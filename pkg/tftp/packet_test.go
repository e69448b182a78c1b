package tftp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseRequest(t *testing.T) {
	for _, c := range []struct {
		about, packet string
		want          readRequest
		err           error
	}{
		{"plain", "\x00\x01a.efi\x00octet\x00", readRequest{name: "a.efi"}, nil},
		{"mode in any case", "\x00\x01a\x00NetASCII\x00", readRequest{name: "a", netascii: true}, nil},
		{"option names in any case", "\x00\x01a\x00octet\x00TSIZE\x000\x00BlkSize\x001468\x00",
			readRequest{name: "a", options: []option{{"tsize", "0"}, {"blksize", "1468"}}}, nil},
		{"last option cut off", "\x00\x01a\x00octet\x00tsize\x000\x00blksize\x0014",
			readRequest{name: "a", options: []option{{"tsize", "0"}}}, nil},
		{"write", "\x00\x02a\x00octet\x00", readRequest{}, errWrite},
		{"mail", "\x00\x01a\x00mail\x00", readRequest{}, errMode},
		{"no mode", "\x00\x01a\x00", readRequest{}, errMalformed},
		{"no end of name", "\x00\x01aaaa", readRequest{}, errMalformed},
		{"acknowledgement", "\x00\x04\x00\x01", readRequest{}, errNotRequest},
		{"error", "\x00\x05\x00\x01no\x00", readRequest{}, errNotRequest},
		{"empty", "", readRequest{}, errNotRequest},
	} {
		t.Run(c.about, func(t *testing.T) {
			got, err := parseRequest([]byte(c.packet))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(readRequest{}, option{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("\x00\x01a.efi\x00octet\x00blksize\x001468\x00tsize\x000\x00windowsize\x004\x00"))
	f.Add([]byte("\x00\x01..\\a\x00octet\x00"))
	f.Add([]byte("\x00\x02a\x00mail\x00"))
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := parseRequest(p)
		if err != nil {
			return
		}
		if name, ok := cleanName(r.name); ok {
			again, ok := cleanName(name)
			if !ok || again != name {
				t.Errorf("%q is clean, but cleans to %q", name, again)
			}
			confined(t, name)
		}
		terms := negotiate(r.options, 1000, 1468)
		if terms.blksize < minBlksize || terms.blksize > 1468 || terms.window < 1 || terms.window > maxWindow {
			t.Errorf("terms out of range: %+v", terms)
		}
		if len(terms.oack) > len(p)+64 {
			t.Errorf("%d bytes of OACK answer %d bytes", len(terms.oack), len(p))
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add([]byte{0, opACK, 0, 1}, uint16(4))
	f.Add([]byte{0, opERROR, 0, 8, 'U', 's', 'e', 'r', 0}, uint16(1))
	f.Fuzz(func(t *testing.T, p []byte, window uint16) {
		op, number, ok := parseReply(p)
		if text := errorText(p); !utf8.ValidString(text) || strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("unfit for a log: %q", text)
		}
		if !ok || op != opACK {
			return
		}
		s := newSender(terms{blksize: 8, window: int(window%maxWindow) + 1}, 1<<16, 0)
		sent := s.start(epoch)
		for range 20 {
			b, done := s.acknowledge(number, epoch)
			if done {
				return
			}
			if !b.empty() {
				sent = b
			}
			if sent.to > s.last+1 || sent.from < s.base || s.acked() > 1<<16 {
				t.Fatalf("nonsense %+v after ACK %d", sent, number)
			}
			number++
		}
	})
}

func confined(t *testing.T, name string) {
	t.Helper()
	if name == "" || name[0] == '/' || len(name) > maxName || strings.ContainsAny(name, "\\\x00%") {
		t.Errorf("%q is not confined", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			t.Errorf("%q has an element %q", name, part)
		}
	}
}

func TestPackets(t *testing.T) {
	if got := errorPacket(codeNotFound, "no"); !bytes.Equal(got, []byte("\x00\x05\x00\x01no\x00")) {
		t.Errorf("error packet %q", got)
	}
	if got := oackPacket([]option{{"tsize", "0"}}); !bytes.Equal(got, []byte("\x00\x06tsize\x000\x00")) {
		t.Errorf("OACK %q", got)
	}
}
