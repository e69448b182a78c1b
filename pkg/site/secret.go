package site

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// SealedPrefix marks a secret that package seal has encrypted.
const SealedPrefix = "sealed:"

const redacted = "[redacted]"

// ErrUnsealed refuses to write a secret in the clear.
var ErrUnsealed = errors.New("refusing to write a secret that is not sealed")

// Secret is a value that must not be read by whoever reads logs, events,
// errors or dumps. Every way of printing it gives "[redacted]"; encoding it
// succeeds only once it is sealed.
type Secret string

// Sealed reports whether the value is already encrypted.
func (s Secret) Sealed() bool { return strings.HasPrefix(string(s), SealedPrefix) }

// Reveal hands out the raw value. Its callers are package seal, which opens
// it, and the writers of answer files, which mask it unless told otherwise.
func (s Secret) Reveal() string { return string(s) }

// String never tells the value.
func (s Secret) String() string { return redacted }

// Format never tells the value, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue never tells the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText writes a sealed value and refuses a bare one.
func (s Secret) MarshalText() ([]byte, error) {
	if s != "" && !s.Sealed() {
		return nil, ErrUnsealed
	}
	return []byte(s), nil
}

// UnmarshalText reads back what MarshalText wrote.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = Secret(b)
	return nil
}
