package bmc

import (
	"context"
	"errors"
	"fmt"

	"github.com/rackseed/rackseed/pkg/site"
)

// SetPasswordVerified changes a user's password and logs in with the new one,
// which is the only way to read a password back. The error wraps ErrNotStored
// if the BMC does not let it in.
func SetPasswordVerified(ctx context.Context, d Driver, dial Dialer, t Target, user string, password site.Secret, p Patience) error {
	p = p.withDefaults()
	if err := d.SetPassword(ctx, user, password); err != nil {
		return fmt.Errorf("setting the password of %s: %w", user, err)
	}
	t.Username, t.Password, t.Known = user, password, d.Known()
	t.Protocol = t.Known.Protocol
	err := until(ctx, p.Settle, p.Poll, func() (bool, error) {
		proof, err := dial(ctx, t)
		if err != nil {
			return false, err
		}
		_ = proof.Close(ctx)
		return true, nil
	})
	switch {
	case errors.Is(err, ErrLogin):
		return fmt.Errorf("the new password of %s does not open the BMC, the old one may still: %w", user, ErrNotStored)
	case err != nil:
		// Not wrapped: whoever tries again after ErrUnreachable would do so
		// with the old password, and lock the account.
		return fmt.Errorf("the password of %s was set and could not be tried, so use the new one first: %v", user, err) //nolint:errorlint // see above
	}
	return nil
}
