package redfish

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/stmcginnis/gofish/common"

	"github.com/rackseed/rackseed/pkg/bmc"
)

// failure is a request that did not do what it was for. Its text is free of
// secrets, and it does not lead to the errors underneath, which may not be.
type failure struct {
	text   string
	status int      // of HTTP, zero without an answer
	ids    []string // of the messages in the answer
	kinds  []error

	refused bool   // nobody listens
	full    bool   // no session is free
	account string // path of the account that wants another password
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.kinds }

// says reports whether the BMC sent a message of that name, whatever the
// registry and its version.
func (f *failure) says(names ...string) bool {
	for _, id := range f.ids {
		last := id[strings.LastIndexByte(id, '.')+1:]
		for _, name := range names {
			if strings.EqualFold(last, name) {
				return true
			}
		}
	}
	return false
}

// status is the HTTP status that err is about, or zero.
func status(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	return 0
}

// fault makes a failure of what gofish or the transport said.
func (d *driver) fault(ctx context.Context, method, path string, err error) error {
	if err == nil {
		return nil
	}
	what := method + " " + path
	var answer *common.Error
	if errors.As(err, &answer) {
		return d.refusal(what, answer)
	}
	f := &failure{}
	var reason string
	switch {
	case errors.Is(err, bmc.ErrCertificate):
		f.kinds = []error{bmc.ErrCertificate}
		reason = unwrapURL(err).Error()
	case isCertificate(err):
		f.kinds = []error{bmc.ErrUntrusted}
		reason = bmc.ErrUntrusted.Error() + ": " + unwrapURL(err).Error()
	case errors.Is(ctx.Err(), context.Canceled):
		f.kinds = []error{context.Canceled}
		reason = context.Canceled.Error()
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		f.kinds = []error{bmc.ErrUnreachable, context.DeadlineExceeded}
		reason = bmc.ErrUnreachable.Error() + " in time"
	case errors.Is(err, errWantsTLS):
		f.kinds = []error{errWantsTLS}
		reason = unwrapURL(err).Error()
	case isPlain(err):
		f.kinds = []error{bmc.ErrNoTLS, bmc.ErrUnsupported}
		reason = bmc.ErrNoTLS.Error()
	case isConnection(err):
		f.kinds = []error{bmc.ErrUnreachable}
		f.refused = errors.Is(err, syscall.ECONNREFUSED)
		reason = bmc.ErrUnreachable.Error() + ": " + unwrapURL(err).Error()
	default:
		reason = unwrapURL(err).Error()
	}
	f.text = d.redact(what + ": " + reason)
	return f
}

// isCertificate reports whether a CA did not vouch for the certificate.
func isCertificate(err error) bool {
	var v *tls.CertificateVerificationError
	return errors.As(err, &v)
}

func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// isPlain reports whether a web server answers in clear text; some leave out
// the status line of what they do not understand.
func isPlain(err error) bool {
	var not tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &not) && not.RecordHeader[0] == '<'
}

func isConnection(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) || errors.As(err, &dns) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) ||
		strings.Contains(err.Error(), "first record does not look like a TLS handshake") || strings.Contains(err.Error(), "malformed HTTP")
}

func (d *driver) refusal(what string, answer *common.Error) error {
	f := &failure{status: answer.HTTPReturnedStatusCode, ids: []string{answer.Code}}
	var said []string
	for _, info := range extended(answer) {
		f.ids = append(f.ids, info.MessageID)
		if strings.HasSuffix(info.MessageID, ".PasswordChangeRequired") && len(info.MessageArgs) > 0 {
			f.account = local(info.MessageArgs[0])
		}
		text := info.Message
		if text == "" {
			text = info.MessageID
		}
		if text != "" {
			said = append(said, strings.TrimSpace(text))
		}
	}
	if len(said) == 0 {
		said = append(said, shorten(answer.Message))
	}
	switch code := f.status; {
	case f.says("SessionLimitExceeded", "NoFreeSessions", "MaxSessionsReached", "CreateLimitReachedForResource"):
		f.kinds = []error{bmc.ErrBusy}
		f.full = true
	case f.says("PasswordChangeRequired"):
		f.kinds = []error{bmc.ErrChangeFirst, bmc.ErrLogin}
	case code == http.StatusTooManyRequests, (code == http.StatusUnauthorized || code == http.StatusForbidden) && locks(said):
		f.kinds = []error{bmc.ErrLocked, bmc.ErrLogin}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		f.kinds = []error{bmc.ErrLogin}
	case code == http.StatusServiceUnavailable:
		f.kinds = []error{bmc.ErrBusy}
	case code == http.StatusBadGateway, code == http.StatusGatewayTimeout:
		f.kinds = []error{bmc.ErrUnreachable}
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusNotImplemented:
		f.kinds = []error{bmc.ErrUnsupported}
	}
	f.text = fmt.Sprintf("%s: the BMC answers %d %s", what, f.status, http.StatusText(f.status))
	if text := strings.Join(said, " "); text != "" {
		f.text += ": " + text
	}
	if len(f.kinds) > 0 && (f.full || f.status != http.StatusServiceUnavailable) {
		f.text += " (" + f.kinds[0].Error() + ")" // a service that starts has sessions, later
	}
	f.text = d.redact(f.text)
	return f
}

// locks recognises the words for a BMC that listens to no more logins: there
// is no message for it in the registries of the DMTF. RAC0212 is an iDRAC's
// login that is delayed (iDRAC8 User's Guide, table 7).
func locks(said []string) bool {
	text := strings.ToLower(strings.Join(said, " "))
	if strings.Contains(text, "incorrect") || strings.Contains(text, "invalid") {
		return false // "… incorrect, or the account is locked": it does not say which
	}
	for _, word := range []string{"locked", "lockout", "lock out", "rac0212", "login delayed", "too many"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// infos is a list, or its only element.
type infos []common.ErrExtendedInfo

func (i *infos) UnmarshalJSON(b []byte) error {
	var list []common.ErrExtendedInfo
	if err := decode(b, &list); err == nil && list != nil {
		*i = list
		return nil
	}
	var one common.ErrExtendedInfo
	err := decode(b, &one)
	*i = infos{one}
	return err
}

// extended are the messages of a refusal. gofish hands on as text what is not
// quite of the schema.
func extended(answer *common.Error) []common.ErrExtendedInfo {
	var loose struct {
		Error struct {
			Infos infos `json:"@Message.ExtendedInfo"`
		} `json:"error"`
		Infos infos `json:"@Message.ExtendedInfo"`
	}
	if len(answer.ExtendedInfos) > 0 || decode([]byte(answer.Message), &loose) != nil {
		return answer.ExtendedInfos
	}
	return append(loose.Error.Infos, loose.Infos...)
}

// shorten makes one line of what may be a page of HTML.
func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if strings.HasPrefix(text, "<") {
		return ""
	}
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}

const redacted = "[redacted]"

// redact takes every secret of the session out of a text. BMCs repeat what
// they refuse.
func (d *driver) redact(text string) string {
	for _, secret := range d.secrets {
		for _, form := range forms(secret) {
			text = strings.ReplaceAll(text, form, redacted)
		}
	}
	return text
}

func forms(secret string) []string {
	if secret == "" {
		return nil
	}
	escaped, _ := json.Marshal(secret)
	var plain strings.Builder
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(secret)
	return []string{
		secret,
		strings.Trim(string(escaped), `"`),
		strings.Trim(strings.TrimSpace(plain.String()), `"`),
		url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
	}
}

// hide remembers a secret of the session.
func (d *driver) hide(secret string) {
	if secret != "" {
		d.secrets = append(d.secrets, secret)
	}
}
