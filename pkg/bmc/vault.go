package bmc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"

	"github.com/rackseed/rackseed/pkg/site"
)

// Vault keeps the passwords that are set. A password is in it before it is
// sent, so that nothing can lock us out: neither a crash, nor a BMC that sets
// a password and does not say so.
type Vault interface {
	// Issue gives the password to set, on record once it returns. What an
	// interrupted change left in doubt is given again.
	Issue(ctx context.Context, t Target) (site.Secret, error)
	// Pending is the password that an interrupted change may have set, or "".
	Pending(t Target) site.Secret
	// Settle puts on record which password was seen to be in force: the one
	// that was issued last, or the one from before it.
	Settle(ctx context.Context, t Target, changed bool) error
}

// OpenEither is a Dialer that knows that a password may have been changed:
// where the one that is known is refused, it logs in with the one that was
// about to be set, and puts on record that it is in force.
func OpenEither(dial Dialer, v Vault) Dialer {
	return func(ctx context.Context, t Target) (Driver, error) {
		d, err := dial(ctx, t)
		pending := v.Pending(t)
		if pending == "" || !errors.Is(err, ErrLogin) || errors.Is(err, ErrChangeFirst) {
			return d, err
		}
		t.Password = pending
		d, other := dial(ctx, t)
		if other != nil {
			return nil, fmt.Errorf("%w; nor the password that was about to be set: %w", err, other)
		}
		if err := v.Settle(ctx, t, true); err != nil {
			_ = d.Close(ctx)
			return nil, fmt.Errorf("recording that the password was changed: %w", err)
		}
		return d, nil
	}
}

// generated is how many bytes a generated password has. IPMI 1.5 keeps 16,
// and many BMCs of IPMI 2.0 no more.
const generated = 16

// The characters of generated passwords: none that a person mistakes for
// another, none that a shell, a URL or a keyboard layout makes trouble with.
var alphabets = []string{"abcdefghijkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789", "-_.+"}

// GeneratePassword makes a password of 16 bytes that any policy takes that
// wants lower case, upper case, digits and other characters, and BMCs of
// IPMI 1.5 keep whole. It holds about 90 bits.
func GeneratePassword() site.Secret {
	all := ""
	for _, a := range alphabets {
		all += a
	}
	p := make([]byte, generated)
	for {
		for i := range p {
			p[i] = all[random(len(all))]
		}
		// Some policies want a letter in front.
		if p[0] > '9' && p[0] != '_' && each(p) {
			return site.Secret(p)
		}
	}
}

func random(n int) int {
	i, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // documented never to happen
	}
	return int(i.Int64())
}

// each reports whether a password has a character of every alphabet, and none
// three times in a row.
func each(p []byte) bool {
	has := make([]bool, len(alphabets))
	for i, c := range p {
		if i > 1 && c == p[i-1] && c == p[i-2] {
			return false
		}
		for n, a := range alphabets {
			for j := range a {
				has[n] = has[n] || a[j] == c
			}
		}
	}
	for _, ok := range has {
		if !ok {
			return false
		}
	}
	return true
}
