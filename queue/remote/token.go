package remote

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"github.com/seed-301537d8/weir/queue"
)

// Role says what a token allows. Each allows what those before it do.
type Role uint8

const (
	RoleNone  Role = iota
	RoleRead       // look at everything
	RoleWork       // receive, and commit what workers and producers do
	RoleAdmin      // pause, drain, purge, delete, retry dead letters, remove durable names
)

func (r Role) String() string {
	return [...]string{"none", "read", "work", "admin"}[min(r, RoleAdmin)]
}

// ParseRole is the inverse of String.
func ParseRole(name string) (Role, error) {
	for r := RoleRead; r <= RoleAdmin; r++ {
		if r.String() == name {
			return r, nil
		}
	}
	return RoleNone, fmt.Errorf("%w: role %q; there are read, work and admin", queue.ErrInvalid, name)
}

// Token is a secret with a role. Requests carry it in the header
//
//	Authorization: Bearer SECRET
type Token struct {
	Secret string // at least MinSecret bytes
	Role   Role
}

// MinSecret is the least length of a token, in bytes.
const MinSecret = 16

// tokenSum is a token as it is compared: by a hash, so that the time of a comparison says
// nothing about the secret, nor about its length.
type tokenSum struct {
	sum  [sha256.Size]byte
	role Role
}

func (t Token) sum() (tokenSum, error) {
	switch {
	case len(t.Secret) < MinSecret:
		return tokenSum{}, fmt.Errorf("%w: a token of %d bytes is too easy to guess; use %d or more", queue.ErrInvalid, len(t.Secret), MinSecret)
	case t.Role < RoleRead || t.Role > RoleAdmin:
		return tokenSum{}, fmt.Errorf("%w: a token without a role", queue.ErrInvalid)
	}
	return tokenSum{sha256.Sum256([]byte(t.Secret)), t.Role}, nil
}

// authorize returns the role of a request's token, and its number. All tokens are compared,
// whichever is right.
func (s *Server) authorize(r *http.Request) (role Role, token int, err error) {
	if s.opts.Open {
		return RoleAdmin, 0, nil
	}
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(secret))
	for i := range s.sums {
		same := subtle.ConstantTimeCompare(sum[:], s.sums[i].sum[:])
		token = subtle.ConstantTimeSelect(same, i, token)
		role = max(role, Role(subtle.ConstantTimeSelect(same, int(s.sums[i].role), int(RoleNone))))
	}
	switch {
	case !ok:
		return RoleNone, 0, fmt.Errorf("%w: the request has none (Authorization: Bearer TOKEN)", ErrUnauthorized)
	case role == RoleNone:
		return RoleNone, 0, fmt.Errorf("%w: the server has another", ErrUnauthorized)
	}
	return role, token, nil
}

// needs returns the role that a change of a transaction needs.
func (m *change) needs() Role {
	switch queue.ChangeKind(m.Kind) {
	case queue.ChangePause, queue.ChangeRetryDead, queue.ChangeDropDead, queue.ChangeDeleteQueue, queue.ChangeDeleteTable:
		return RoleAdmin
	}
	return RoleWork
}
