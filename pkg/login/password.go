// Package login keeps who may use the operator side from elsewhere than this
// machine: operators with passwords, and the sessions that they began.
package login

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The cost of a guess: OWASP's Password Storage Cheat Sheet names this
// configuration of Argon2id (RFC 9106) as the least.
const (
	memory  = 19 << 10 // KiB
	passes  = 2
	threads = 1
	keySize = 32
)

// minLength is what a password must have. Composition rules make passwords
// worse (NIST SP 800-63B section 5.1.1).
const minLength = 10

// ErrShort refuses a password that is guessed soon.
var ErrShort = fmt.Errorf("a password has at least %d characters", minLength)

// Hash makes the form of a password that may be kept.
func Hash(password string) (string, error) {
	if utf8.RuneCountInString(password) < minLength {
		return "", ErrShort
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // documented never to fail
	key := argon2.IDKey([]byte(password), salt, passes, memory, threads, keySize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, threads, encode(salt), encode(key)), nil
}

func encode(b []byte) string { return base64.RawStdEncoding.EncodeToString(b) }

var errHash = errors.New("the kept form of a password is damaged")

// verify compares in a time that tells nothing of the password.
func verify(hash, password string) (bool, error) {
	var version, m, t, p int
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return false, errHash
	}
	_, err1 := fmt.Sscanf(parts[2], "v=%d", &version)
	_, err2 := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &m, &t, &p)
	salt, err3 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err4 := base64.RawStdEncoding.DecodeString(parts[5])
	bounded := m > 0 && m <= 1<<20 && t > 0 && t <= 16 && p > 0 && p <= 16 && len(want) >= 16 && len(want) <= 64
	if errors.Join(err1, err2, err3, err4) != nil || version != argon2.Version || !bounded {
		return false, errHash
	}
	got := argon2.IDKey([]byte(password), salt, uint32(t), uint32(m), uint8(p), uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}
