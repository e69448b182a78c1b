package seal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/rackseed/rackseed/pkg/seal"
	"github.com/rackseed/rackseed/pkg/site"
)

func box(t *testing.T, fill byte) *seal.Box {
	t.Helper()
	b, err := seal.New(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealAndOpen(t *testing.T) {
	b := box(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.StringMatching(`[^s].*`).Draw(t, "plain")
		sealed := b.Seal(site.Secret(plain))
		if !sealed.Sealed() || strings.Contains(sealed.Reveal(), plain) && len(plain) > 4 {
			t.Fatalf("sealed to %q", sealed.Reveal())
		}
		if again := b.Seal(sealed); again != sealed {
			t.Fatal("it was sealed twice")
		}
		if got, err := b.Open(sealed); err != nil || got != plain {
			t.Fatalf("opened to %q, %v", got, err)
		}
	})
}

func TestSealTwiceLooksDifferent(t *testing.T) {
	b := box(t, 1)
	first, second := b.Seal("$6$salt$hash"), b.Seal("$6$salt$hash")
	if first == second {
		t.Error("equal secrets can be told by their sealed form")
	}
}

func TestSealedPassesWhereBareDoesNot(t *testing.T) {
	b := box(t, 1)
	if _, err := json.Marshal(site.Access{Root: "bare"}); err == nil {
		t.Error("a bare secret was written")
	}
	if _, err := json.Marshal(site.Access{Root: b.Seal("bare")}); err != nil {
		t.Error(err)
	}
}

func TestEmptyStaysEmpty(t *testing.T) {
	b := box(t, 1)
	if got := b.Seal(""); got != "" {
		t.Errorf("nothing was sealed to %q", got.Reveal())
	}
	if got, err := b.Open("locked"); got != "locked" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestDamageIsNoticed: a flipped bit, a cut end, another key; and the error
// never repeats what it could not open.
func TestDamageIsNoticed(t *testing.T) {
	b := box(t, 1)
	sealed := b.Seal("a root hash").Reveal()
	for name, text := range map[string]string{
		"cut":       sealed[:len(sealed)-4],
		"too short": site.SealedPrefix + "AAAA",
		"empty":     site.SealedPrefix,
		"no base64": site.SealedPrefix + "*",
		"flipped":   sealed[:len(sealed)-8] + flip(sealed[len(sealed)-8:]),
	} {
		got, err := b.Open(site.Secret(text))
		if err == nil || got != "" {
			t.Errorf("%s: opened to %q", name, got)
			continue
		}
		if strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "apply the plan again") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := box(t, 2).Open(site.Secret(sealed)); err == nil {
		t.Error("another key opened it")
	}
}

func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// TestTokens: one for each attempt, the same each time, fit for a path, and
// not to be had without the key.
func TestTokens(t *testing.T) {
	b := box(t, 1)
	seen := map[string]string{}
	for _, node := range []string{"n1", "n11", "n2"} {
		for _, attempt := range []int{1, 2, 11} {
			for _, nonce := range []string{"a", "b"} {
				token := b.Token(node, attempt, nonce)
				who := fmt.Sprint(node, " ", attempt, " ", nonce)
				if other, taken := seen[token]; taken {
					t.Errorf("%s and %s have one token", who, other)
				}
				seen[token] = who
				if len(token) != 64 || strings.Trim(token, "0123456789abcdef") != "" {
					t.Errorf("%q is not 64 hex digits", token)
				}
				if token != b.Token(node, attempt, nonce) {
					t.Error("a second derivation differs")
				}
				if token == box(t, 2).Token(node, attempt, nonce) {
					t.Error("another key gives the same token")
				}
				if hash := seal.HashToken(token); hash == token || len(hash) != 64 {
					t.Errorf("the hash of %s is %s", token, hash)
				}
			}
		}
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	first, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key has mode %v, %v", info.Mode(), err)
	}
	again, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open(first.Seal("secret")); got != "secret" || err != nil {
		t.Errorf("after a restart it opens to %q, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Errorf("%s is left over", left)
	}
}

func TestKeyFileIsNeverReplaced(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"readable by others": func(path string) error { return os.Chmod(path, 0o640) },
		"cut":                func(path string) error { return os.Truncate(path, 20) },
		"empty":              func(path string) error { return os.Truncate(path, 0) },
		"not hex":            func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("z"), 64), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if _, err := seal.Open(path); err != nil {
				t.Fatal(err)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			if _, err := seal.Open(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("opened, or did not say where: %v", err)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the key was changed")
			}
		})
	}
}

// TestOneKeyAmongMany: whoever opens a new state directory at the same moment
// gets the same key or an error, never a key of its own.
func TestOneKeyAmongMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	tokens := make(chan string, 8)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if b, err := seal.Open(path); err == nil {
				tokens <- b.Token("n1", 1, "nonce")
			}
		})
	}
	all.Wait()
	close(tokens)
	distinct := map[string]bool{}
	for token := range tokens {
		distinct[token] = true
	}
	if len(distinct) != 1 {
		t.Errorf("%d keys are in use", len(distinct))
	}
}

func TestKeySize(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := seal.New(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes was taken", n)
		}
	}
	if _, err := seal.Ephemeral(); err != nil {
		t.Error(err)
	}
}
