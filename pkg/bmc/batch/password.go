package batch

import (
	"context"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// PasswordRenew changes the password of the user that logs in to one from the
// vault, and proves it. dial opens the session that does.
func PasswordRenew(v bmc.Vault, dial bmc.Dialer) Task {
	return Task{Name: "bmc password", Changes: true, Do: func(ctx context.Context, s *Session) (Outcome, error) {
		err := bmc.RenewPassword(ctx, s.Driver, dial, s.Target, v, s.Patience)
		if err != nil {
			return Outcome{}, err
		}
		return Outcome{
			Message: "the password of " + s.Target.Username + " is changed and sealed in the store",
			Steps:   bmc.Steps{{What: "put the new password on record, set it, logged in with it"}},
		}, nil
	}}
}
