package bmc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rackseed/rackseed/pkg/site"
)

// SetPasswordVerified changes a user's password and logs in with the new one,
// which is the only way to read a password back. The session d is closed
// before, because a BMC has few. The error wraps ErrNotStored if the old
// password was seen to be in force still.
func SetPasswordVerified(ctx context.Context, d Driver, dial Dialer, t Target, user string, password site.Secret, p Patience) error {
	if err := d.SetPassword(ctx, user, password); err != nil {
		return fmt.Errorf("setting the password of %s: %w", user, err)
	}
	return proveNew(ctx, d, dial, t, user, password, p)
}

// RenewPassword changes the password of the user that logs in to one from the
// vault, proves it, and puts on record that it is in force. Unless the BMC
// said no, both passwords stay on record until one is seen to work.
func RenewPassword(ctx context.Context, d Driver, dial Dialer, t Target, v Vault, p Patience) error {
	next, err := v.Issue(ctx, t)
	if err != nil {
		return fmt.Errorf("recording the new password: %w", err)
	}
	// Whoever ends the command must not end what it has done without a record.
	settle := func(changed bool) error {
		if err := v.Settle(context.WithoutCancel(ctx), t, changed); err != nil {
			return fmt.Errorf("recording which password is in force: %w", err)
		}
		return nil
	}
	if err := d.SetPassword(ctx, t.Username, next); err != nil {
		err = fmt.Errorf("setting the password of %s: %w", t.Username, err)
		if inDoubt(err) {
			return fmt.Errorf("%w; both passwords are kept, and the next command finds out which one is in force", err)
		}
		return errors.Join(err, settle(false))
	}
	if err := proveNew(ctx, d, dial, t, t.Username, next, p); err != nil {
		return fmt.Errorf("%w; both are kept on record", err)
	}
	return settle(true)
}

// inDoubt: an order that was not answered may have been carried out.
func inDoubt(err error) bool {
	for _, kind := range []error{ErrUnreachable, ErrBusy, ErrNotStored, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// proveNew logs in with a password that was set. A BMC may take a moment to
// believe in it; it is told twice, and no more, because wrong logins lock.
func proveNew(ctx context.Context, d Driver, dial Dialer, t Target, user string, password site.Secret, p Patience) error {
	p = p.withDefaults()
	old := t
	t.Username, t.Password, t.Known, t.PasswordOnly = user, password, d.Known(), false
	t.Protocol = t.Known.Protocol
	_ = d.Close(ctx)
	opens := func(t Target) error {
		d, err := dial(ctx, t)
		if err != nil {
			return err
		}
		_ = d.Close(ctx)
		return nil
	}
	err := until(ctx, p.Settle, p.Poll, func() (bool, error) {
		err := opens(t)
		return err == nil, err
	})
	if errors.Is(err, ErrLogin) {
		select {
		case <-ctx.Done():
		case <-time.After(p.Settle / 2):
			err = opens(t)
		}
	}
	switch {
	case errors.Is(err, ErrLogin) && user == old.Username && opens(old) == nil:
		return fmt.Errorf("the new password of %s does not open the BMC, the old one does: %w", user, ErrNotStored)
	case errors.Is(err, ErrLogin):
		return fmt.Errorf("the new password of %s does not open the BMC, the old one may still: %w", user, ErrNotStored)
	case err != nil:
		// Not wrapped: whoever tries again after ErrUnreachable would do so
		// with the old password, and lock the account.
		return fmt.Errorf("the password of %s was set and could not be tried, so use the new one first: %v", user, err) //nolint:errorlint // see above
	}
	return nil
}
