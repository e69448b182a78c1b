package redfish

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
	"github.com/rackseed/rackseed/pkg/site"
)

// Console is what Redfish has no standard for; IPMI has.
func (d *driver) Console(context.Context) (io.ReadWriteCloser, error) {
	return nil, fmt.Errorf("a console is not in Redfish, use --protocol ipmi: %w", bmc.ErrUnsupported)
}

// SetPassword changes the password of an account that is there.
func (d *driver) SetPassword(ctx context.Context, user string, password site.Secret) error {
	d.hide(password.Reveal())
	path, err := d.account(ctx, user)
	if err != nil {
		return err
	}
	if err := d.patch(ctx, path, map[string]any{"Password": password.Reveal()}); err != nil {
		return fmt.Errorf("changing the password of %s: %w", user, err)
	}
	if user == d.target.Username {
		d.target.Password = password
		if d.session == "" {
			d.basic()
		}
	}
	return nil
}

// account finds an account by its user name. A BMC that wants the password
// changed first does not show the list, and says where the account is.
func (d *driver) account(ctx context.Context, user string) (string, error) {
	if d.root.AccountService == "" {
		return "", fmt.Errorf("the BMC has no account service, as emulators have none: %w", bmc.ErrUnsupported)
	}
	var service struct{ Accounts common.Link }
	_, err := d.get(ctx, d.root.AccountService.String(), &service)
	var locked *failure
	if errors.As(err, &locked) && locked.account != "" && user == d.target.Username {
		return locked.account, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the account service: %w", err)
	}
	paths, err := d.members(ctx, service.Accounts.String())
	if err != nil {
		return "", fmt.Errorf("listing the accounts: %w", err)
	}
	for _, p := range paths {
		var a struct{ UserName string }
		_, err := d.get(ctx, p, &a)
		if err != nil && !errors.Is(err, bmc.ErrUnsupported) {
			return "", fmt.Errorf("reading an account: %w", err)
		}
		if err == nil && a.UserName == user {
			return p, nil
		}
	}
	return "", fmt.Errorf("the BMC has no account %s: create it at the BMC first", user)
}
