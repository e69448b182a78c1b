// Package seal keeps secrets encrypted at rest and derives the tokens of
// install attempts. Its one key lives in the state directory, apart from the
// log: a copy of the log alone reveals neither.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rackseed/rackseed/pkg/site"
)

const keySize = 32

// Box seals and opens secrets and derives tokens. It is safe for concurrent
// use.
type Box struct {
	aead  cipher.AEAD
	token []byte
}

// New makes a box from a 32-byte key.
func New(key []byte) (*Box, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("a sealing key has %d bytes, not %d", keySize, len(key))
	}
	sealing, err := hkdf.Key(sha256.New, key, nil, "rackseed secrets at rest", keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the sealing key: %w", err)
	}
	token, err := hkdf.Key(sha256.New, key, nil, "rackseed attempt tokens", keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the token key: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("making the cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("making the cipher: %w", err)
	}
	return &Box{aead: aead, token: token}, nil
}

// Ephemeral makes a box whose key is forgotten with the process.
func Ephemeral() (*Box, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // documented never to fail
	return New(key)
}

// Open reads the key of a state directory, and makes one at first use. A key
// that others may read is refused.
func Open(path string) (*Box, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return nil, err
	}
	return New(key)
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the sealing key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the sealing key %s can be read by others (mode %v): run `chmod 600 %s`", path, info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the sealing key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("the sealing key %s is damaged: restore it from a backup; without it the sealed secrets of this state cannot be read", path)
	}
	return key, nil
}

// makeKey writes the key under another name first, so that a crash leaves
// either no key or a whole one.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // documented never to fail
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*")
	if err != nil {
		return nil, fmt.Errorf("making the sealing key: %w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("making the sealing key: %w", err)
	}
	if err := os.Link(f.Name(), path); err != nil {
		return nil, fmt.Errorf("making the sealing key: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("making the sealing key: %w", err)
	}
	return key, nil
}

// syncDir keeps a power cut from taking the key's name, when the log already
// holds what it sealed.
func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Seal encrypts a secret. An empty or sealed one is given back as it is.
func (b *Box) Seal(s site.Secret) site.Secret {
	if s == "" || s.Sealed() {
		return s
	}
	sealed := b.aead.Seal(nil, nil, []byte(s.Reveal()), nil)
	return site.Secret(site.SealedPrefix + base64.RawStdEncoding.EncodeToString(sealed))
}

// Open decrypts what Seal made, and passes a secret that was never sealed.
func (b *Box) Open(s site.Secret) (string, error) {
	text, sealed := strings.CutPrefix(s.Reveal(), site.SealedPrefix)
	if !sealed {
		return text, nil
	}
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "", errors.New("a sealed secret is damaged: apply the plan again")
	}
	plain, err := b.aead.Open(nil, nil, data, nil)
	if err != nil {
		return "", errors.New("a secret was sealed with another key: apply the plan again, or bring back the key file of this state directory")
	}
	return string(plain), nil
}

// Token derives the capability of one attempt: 256 bits, fit for a URL path.
// It is not stored anywhere; the log holds only its hash.
func (b *Box) Token(node string, attempt int, nonce string) string {
	mac := hmac.New(sha256.New, b.token)
	fmt.Fprintf(mac, "%s\x00%d\x00%s", node, attempt, nonce)
	return hex.EncodeToString(mac.Sum(nil))
}

// HashToken is the form of a token that the log may hold.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
