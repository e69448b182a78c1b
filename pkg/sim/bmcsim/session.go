package bmcsim

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sessionService = root + "/SessionService"
	sessionsPath   = sessionService + "/Sessions"
	accountService = root + "/AccountService"
	accountsPath   = accountService + "/Accounts"
)

type session struct {
	id, token, user string
	used            time.Time
	requests        int
}

type account struct {
	ID, User, Password, Role string
	Enabled, MustChange      bool
}

// usesOfADroppedSession is how long FaultDropsSession lets one live.
const usesOfADroppedSession = 3

// authenticate finds out who asks (DSP0266 section 13.3).
func (b *BMC) authenticate(r *http.Request, at string) *problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	denied := fail(http.StatusUnauthorized, "NoValidSession", "There is no valid session established with the implementation.")
	if b.has(Fault401) {
		return denied
	}
	who := ""
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		who = b.sessionUser(token)
	} else if user, password, ok := r.BasicAuth(); ok && b.right(user, password) {
		who = user
	}
	i := slices.IndexFunc(b.set.accounts, func(a account) bool { return a.User == who && a.Enabled })
	if who == "" || i < 0 {
		return denied
	}
	own := accountsPath + "/" + b.set.accounts[i].ID
	if b.set.accounts[i].MustChange && at != own && !strings.HasPrefix(at, sessionsPath) {
		return fail(http.StatusForbidden, "PasswordChangeRequired", "The password provided for this account must be changed before access is granted. PATCH the Password property for this account located at the target URI '%s' to complete this process.", own)
	}
	return nil
}

func (b *BMC) right(user, password string) bool {
	return slices.ContainsFunc(b.set.accounts, func(a account) bool {
		return a.User == user && a.Enabled && subtle.ConstantTimeCompare([]byte(a.Password), []byte(password)) == 1
	})
}

// sessionUser is empty for a token that is not, or no longer, valid.
func (b *BMC) sessionUser(token string) string {
	b.expire()
	i := slices.IndexFunc(b.sessions, func(s *session) bool { return subtle.ConstantTimeCompare([]byte(s.token), []byte(token)) == 1 })
	if i < 0 {
		return ""
	}
	s := b.sessions[i]
	s.used = b.config.Now()
	if s.requests++; s.requests > usesOfADroppedSession && b.has(FaultDropsSession) {
		b.sessions = slices.Delete(b.sessions, i, i+1)
		return ""
	}
	return s.user
}

func (b *BMC) expire() {
	idle := time.Duration(b.set.timeout) * time.Second
	now := b.config.Now()
	b.sessions = slices.DeleteFunc(b.sessions, func(s *session) bool { return now.Sub(s.used) > idle })
}

// login is POST to Sessions.
func (b *BMC) login(_ *http.Request, body object) reply {
	user, _ := body["UserName"].(string)
	password, _ := body["Password"].(string)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	switch {
	case b.has(Fault401) || !b.right(user, password):
		return reply{err: fail(http.StatusUnauthorized, "ResourceAtUriUnauthorized", "While accessing the resource at %s, the service received an authorization error %s.", sessionsPath, "user name or password")}
	case len(b.sessions) >= b.config.Sessions:
		return reply{err: fail(http.StatusServiceUnavailable, "SessionLimitExceeded", "The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.")}
	}
	b.lastID++
	s := &session{id: strconv.Itoa(b.lastID), token: rand.Text(), user: user, used: b.config.Now()}
	b.sessions = append(b.sessions, s)
	at := sessionsPath + "/" + s.id
	return reply{
		status: http.StatusCreated,
		header: map[string]string{"Location": at, "X-Auth-Token": s.token},
		body:   b.view(b.session(s), at),
	}
}

func (b *BMC) session(s *session) resource {
	return resource{
		kind: "Session.v1_7_1.Session", name: "User Session",
		get: func() object {
			return object{"Id": s.id, "UserName": s.user, "Password": nil, "SessionType": "Redfish"}
		},
		remove: func() *problem {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sessions = slices.DeleteFunc(b.sessions, func(o *session) bool { return o == s })
			return nil
		},
	}
}

func (b *BMC) sessionPaths() []string {
	b.expire()
	paths := make([]string, len(b.sessions))
	for i, s := range b.sessions {
		paths[i] = sessionsPath + "/" + s.id
	}
	return paths
}

func (b *BMC) accountPaths() []string {
	paths := make([]string, len(b.set.accounts))
	for i, a := range b.set.accounts {
		paths[i] = accountsPath + "/" + a.ID
	}
	return paths
}

const minPassword, maxPassword = 8, 64

func password(to *string) func(any) *problem {
	return func(v any) *problem {
		s, ok := v.(string)
		if !ok || len(s) < minPassword || len(s) > maxPassword {
			// The value itself is not for a message.
			return fail(http.StatusBadRequest, "PropertyValueFormatError", "The value '%s' for the property %s is of a different format than the property can accept.", "******", "Password")
		}
		*to = s
		return nil
	}
}

func roles() []string { return []string{"Administrator", "Operator", "ReadOnly"} }

func (b *BMC) account(id string) resource {
	at := func(s *settings) *account {
		i := slices.IndexFunc(s.accounts, func(a account) bool { return a.ID == id })
		if i < 0 {
			return nil
		}
		return &s.accounts[i]
	}
	get := func() object {
		a := at(&b.set)
		return object{
			"Name": "User Account", "UserName": a.User, "Password": nil, "RoleId": a.Role, "Enabled": a.Enabled, "Locked": false,
			"AccountTypes": []string{"Redfish"}, "PasswordChangeRequired": a.MustChange,
			"Links": object{"Role": link(accountService + "/Roles/" + a.Role)},
		}
	}
	return resource{
		kind: "ManagerAccount.v1_12_1.ManagerAccount", get: get,
		patch: func(body object) *problem {
			return b.change(func(s *settings) *problem {
				a := at(s)
				if a == nil {
					return notFound(accountsPath + "/" + id)
				}
				if _, ok := body["Password"]; ok {
					a.MustChange = false
				}
				return writable(body, get(), map[string]func(any) *problem{
					"Password": password(&a.Password), "UserName": text(&a.User, "UserName"),
					"RoleId": text(&a.Role, "RoleId", roles()...), "Enabled": flag(&a.Enabled, "Enabled"),
				})
			})
		},
		remove: func() *problem {
			return b.change(func(s *settings) *problem {
				if len(s.accounts) == 1 {
					return fail(http.StatusMethodNotAllowed, "ResourceCannotBeDeleted", "The delete request failed because the resource requested cannot be deleted.")
				}
				s.accounts = slices.DeleteFunc(s.accounts, func(a account) bool { return a.ID == id })
				return nil
			})
		},
	}
}

// newAccount is POST to Accounts.
func (b *BMC) newAccount(_ *http.Request, body object) reply {
	a := account{Enabled: true}
	p := b.change(func(s *settings) *problem {
		for _, name := range []string{"UserName", "Password", "RoleId"} {
			if _, ok := body[name]; !ok {
				return fail(http.StatusBadRequest, "CreateFailedMissingReqProperties", "The create operation failed because the required property %s was missing from the request.", name)
			}
		}
		b.lastID++
		a.ID = strconv.Itoa(b.lastID + 1)
		p := writable(body, object{}, map[string]func(any) *problem{
			"UserName": text(&a.User, "UserName"), "Password": password(&a.Password),
			"RoleId": text(&a.Role, "RoleId", roles()...), "Enabled": flag(&a.Enabled, "Enabled"),
		})
		if p == nil && slices.ContainsFunc(s.accounts, func(o account) bool { return o.User == a.User }) {
			p = fail(http.StatusBadRequest, "ResourceAlreadyExists", "The requested resource of type %s with the property %s with the value '%s' already exists.", "ManagerAccount", "UserName", a.User)
		}
		s.accounts = append(s.accounts, a)
		return p
	})
	if p != nil {
		return reply{err: p}
	}
	at := accountsPath + "/" + a.ID
	return reply{status: http.StatusCreated, header: map[string]string{"Location": at}, body: object{"@odata.id": at, "Id": a.ID, "UserName": a.User, "RoleId": a.Role, "Password": nil}}
}
