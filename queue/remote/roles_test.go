package remote

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// rolesOfCalls is docs/protocol.md: what may be called with which token at least.
var rolesOfCalls = map[Role]string{
	RoleRead: `outcome get scan stats config group seen barriers wait_barrier wait_space holding browse find dead
		deferrals batches subscriptions clients limits`,
	RoleWork:  `open heartbeat leave subscribe receive close commit states size`,
	RoleAdmin: `unsubscribe drain purge purge_dead check`,
}

// rolesOfChanges are those that a change of a transaction needs, beyond that of commit.
var rolesOfChanges = map[Role]string{
	RoleWork: `ack retry release snooze defer bury enqueue barrier put delete add require set_group delay_group defer_group
		rejoin_group configure remove rejoin forget close_batch`,
	RoleAdmin: `pause resume retry_dead drop_dead delete_queue delete_table`,
}

const tokenOf = "-0123456789abcdef"

func serverWithTokens(t *testing.T, change func(*ServerOptions)) (*Server, *queue.Store) {
	t.Helper()
	store, err := memqueue.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	o := ServerOptions{Program: "weir test"}
	for role := RoleRead; role <= RoleAdmin; role++ {
		o.Tokens = append(o.Tokens, Token{role.String() + tokenOf, role})
	}
	if change != nil {
		change(&o)
	}
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Lead(store)
	return s, store
}

// ask makes a call without a network. It returns the status and the body of the answer.
func ask(t *testing.T, s *Server, authorization, name, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, Prefix+name, strings.NewReader(body))
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// Every call is tried with no token, with wrong ones, and with one of each role.
func TestEachCallNeedsItsRole(t *testing.T) {
	s, _ := serverWithTokens(t, nil)
	need := make(map[string]Role)
	for role, names := range rolesOfCalls {
		for _, name := range strings.Fields(names) {
			need[name] = role
		}
	}
	if got, want := slices.Sorted(maps.Keys(s.calls)), slices.Sorted(maps.Keys(need)); !slices.Equal(got, want) {
		t.Fatalf("the server has the calls\n%q, and the roles are known of\n%q", got, want)
	}
	good := "Bearer admin" + tokenOf
	strangers := []string{
		"", "Bearer ", "Bearer", "Basic YWRtaW46YWRtaW4=", "admin" + tokenOf, "bearer admin" + tokenOf, "Bearer  admin" + tokenOf,
		good + " ", good[:len(good)-1], good + "0", "Bearer ADMIN" + tokenOf, "Bearer none" + tokenOf, "Bearer " + strings.Repeat("x", 8<<10), "Bearer \x00\xff",
	}
	for name, least := range need {
		for _, authorization := range strangers {
			if status, body := ask(t, s, authorization, name, `{`); status != http.StatusUnauthorized || !strings.Contains(body, `"unauthorized"`) {
				t.Errorf("%s with %.40q: %d %s", name, authorization, status, body)
			}
		}
		for role := RoleRead; role <= RoleAdmin; role++ {
			// What is no JSON is looked at by those alone who may call.
			status, body := ask(t, s, "Bearer "+role.String()+tokenOf, name, `{`)
			want, says := http.StatusBadRequest, `"invalid"`
			if role < least {
				want, says = http.StatusForbidden, "needs the role "+least.String()+", the token has "+role.String()
			}
			if status != want || !strings.Contains(body, says) {
				t.Errorf("%s with the role %v: %d %s, want %d and %s", name, role, status, body, want, says)
			}
		}
	}
}

func TestEachChangeNeedsItsRole(t *testing.T) {
	s, _ := serverWithTokens(t, nil)
	need := map[string]Role{}
	for role, names := range rolesOfChanges {
		for _, name := range strings.Fields(names) {
			need[name] = role
		}
	}
	for _, name := range kindNames {
		if _, ok := need[name]; name != "" && !ok {
			t.Errorf("it is not known which role %s needs", name)
		}
	}
	for name, least := range need {
		for role := RoleWork; role <= RoleAdmin; role++ {
			_, body := ask(t, s, "Bearer "+role.String()+tokenOf, "commit", `{"transactions": [{"changes": [{"do": "`+name+`"}]}]}`)
			if refused := strings.Contains(body, `"forbidden"`); refused != (role < least) || !strings.Contains(body, `"outcomes"`) {
				t.Errorf("%s with the role %v: %s", name, role, body)
			}
		}
	}
}

func TestTokensThatAreNone(t *testing.T) {
	for _, tokens := range [][]Token{nil, {{}}, {{"short", RoleRead}}, {{"0123456789abcdef", RoleNone}}, {{"0123456789abcdef", RoleAdmin + 1}}} {
		if _, err := NewServer(ServerOptions{Tokens: tokens}); err == nil {
			t.Errorf("a server has begun with %+v", tokens)
		}
	}
}
