package ipmi

import (
	"context"
	"errors"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/command/app"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/site"
)

// The lengths of a password in bytes (section 22.30). The short one is what
// IPMI 1.5 has, and all that some BMCs take.
const (
	shortPassword = 16
	maxPassword   = 20
)

const thisChannel = 0x0e // table 6-1

// SetPassword sets the password of a user by name and asks the BMC whether it
// has it.
func (d *driver) SetPassword(ctx context.Context, user string, password site.Secret) error {
	secret := password.Reveal()
	switch {
	case secret == "":
		return errors.New("setting the password: an empty one would let everybody in")
	case len(secret) > maxPassword:
		return fmt.Errorf("setting the password of %s: it has %d bytes and IPMI takes %d at most, or %d on BMCs of IPMI 1.5: choose a shorter one",
			user, len(secret), maxPassword, shortPassword)
	}
	return d.use(ctx, func(s *session) error {
		id, err := s.userID(ctx, user)
		if err != nil {
			return err
		}
		request := &app.SetUserPasswordRequest{UserID: id, Stored20: len(secret) > shortPassword,
			Operation: app.PasswordOperationSetPassword, Password: secret}
		if err := s.do(ctx, request, &app.SetUserPasswordResponse{}); err != nil {
			if _, coded := completion(err); coded && request.Stored20 {
				return fmt.Errorf("setting the password of %s: the BMC refuses it; it has %d bytes, and many BMCs take %d at most: %w",
					user, len(secret), shortPassword, err)
			}
			return fmt.Errorf("setting the password of %s: %w", user, err)
		}
		request.Operation = app.PasswordOperationTestPassword
		err = s.do(ctx, request, &app.SetUserPasswordResponse{})
		if code, ok := completion(err); ok && (code == types.CodeSetUserPasswordDataMismatch || code == types.CodeSetUserPasswordWrongSize) {
			return fmt.Errorf("setting the password of %s: %w (completion code %02xh)", user, bmc.ErrNotStored, uint8(code))
		}
		if err == nil && user == d.account.user {
			d.account.password = password.Reveal
		}
		return s.tolerate(err)
	})
}

// userID looks a user up by name.
func (s *session) userID(ctx context.Context, user string) (uint8, error) {
	var access app.GetUserAccessResponse
	if err := s.do(ctx, &app.GetUserAccessRequest{ChannelNumber: thisChannel, UserID: 1}, &access); err != nil {
		return 0, fmt.Errorf("counting the users: %w", err)
	}
	for id := uint8(1); id <= access.MaxUsersIDCount&0x3f; id++ {
		var name app.GetUsernameResponse
		err := s.do(ctx, &app.GetUsernameRequest{UserID: id}, &name)
		if _, coded := completion(err); err != nil && !coded {
			return 0, fmt.Errorf("reading the users: %w", err)
		}
		if err == nil && name.Username == user {
			return id, nil
		}
	}
	return 0, fmt.Errorf("the BMC has no user %q", user)
}
