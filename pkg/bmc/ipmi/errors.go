package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// completion is the completion code that a BMC answered with, and whether
// err is about one.
func completion(err error) (types.CompletionCode, bool) {
	if e, ok := types.IsResponseError(err); ok && e.CompletionCode() != types.CodeOK {
		return e.CompletionCode(), true
	}
	return 0, false
}

// status is the RMCP+ status code that a session was refused with.
func status(err error) (types.RmcpStatusCode, bool) {
	var e *types.RmcpStatusError
	if errors.As(err, &e) {
		return e.StatusCode(), true
	}
	return 0, false
}

// otherSuite reports whether a BMC refuses a cipher suite, and not a person
// (IPMI 2.0 table 13-15).
func otherSuite(err error) bool {
	code, ok := status(err)
	if !ok {
		return false
	}
	switch code {
	case types.RmcpStatusCodeInvalidAuthAlg, types.RmcpStatusCodeInvalidIntegrityAlg,
		types.RmcpStatusCodeNoMatchingAuthPayload, types.RmcpStatusCodeNoMatchingIntegrityPayload,
		types.RmcpStatusCodeInvalidConfidentAlg, types.RmcpStatusCodeNoCipherSuiteMatch,
		types.RmcpStatusCodeIllegalParameter, types.RmcpStatusCodeInvalidPayloadType:
		return true
	}
	return false
}

// refused says what a failed login means.
func refused(err error) error {
	if errors.Is(err, client.ErrRAKPAuthentication) {
		return fmt.Errorf("%w (RAKP)", bmc.ErrLogin)
	}
	code, ok := status(err)
	if !ok {
		return err
	}
	kind := bmc.ErrLogin
	switch code {
	case types.RmcpStatusCodeNoResToCreateSess, types.RmcpStatusCodeNoResToCreateSessAtRole:
		kind = bmc.ErrBusy
	case types.RmcpStatusCodeInvalidSessionID, types.RmcpStatusCodeInactiveSessionID:
		kind = bmc.ErrBusy // it gave the slot to somebody else meanwhile
	}
	return fmt.Errorf("%w (RMCP+ status %02xh, %s)", kind, uint8(code), code)
}

// gone reports whether the network says that there is nobody.
func gone(err error) bool {
	for _, e := range []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, net.ErrClosed} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// explain makes of a completion code what it means for the caller.
func explain(name string, err error) error {
	code, ok := completion(err)
	if !ok {
		return fmt.Errorf("%s: %w", name, err)
	}
	switch code {
	case types.CodeInvalidCommand, types.CodeInvalidCommandForLUN, types.CodeSubFnDisabled, types.CodeNotSupported:
		return fmt.Errorf("%s: %w (completion code %02xh)", name, bmc.ErrUnsupported, uint8(code))
	case types.CodeInsufficientPrivilege:
		return fmt.Errorf("%s: %w: the user is not an administrator of the BMC: %w", name, bmc.ErrLogin, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// transient reports whether the same request may succeed in a moment.
func transient(err error) bool {
	code, ok := completion(err)
	if !ok {
		return false
	}
	switch code {
	case types.CodeNodeBusy, types.CodeProcessTimeout, types.CodeOutOfSpace, types.CodeCannotProvideResponseBMCInitialize:
		return true
	}
	return false
}

// ended is why ctx has ended, or nil. Its deadline is also that of the socket,
// which may notice first.
func ended(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// unreachable says that nobody answered within the given time.
func unreachable(ctx context.Context, name string, err error) error {
	if cause := ended(ctx); cause != nil {
		return fmt.Errorf("%s: %w: %w", name, bmc.ErrUnreachable, cause)
	}
	if gone(err) {
		return fmt.Errorf("%s: %w: %w", name, bmc.ErrUnreachable, err)
	}
	return fmt.Errorf("%s: %w", name, bmc.ErrUnreachable)
}
