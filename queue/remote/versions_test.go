package remote

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/queue/memqueue"
)

// A client and a server that speak other versions than this program work if there is one
// that both speak, and say which of them to upgrade if there is none.
func TestVersionsThatDiffer(t *testing.T) {
	for _, c := range []struct {
		name           string
		client, server versions
		want           int
		upgrade        string
	}{
		{"the same", versions{1, 1}, versions{1, 1}, 1, ""},
		{"a newer client that speaks the old one", versions{1, 2}, versions{1, 1}, 1, ""},
		{"a newer server that speaks the old one", versions{1, 1}, versions{1, 2}, 1, ""},
		{"both newer", versions{1, 3}, versions{2, 4}, 3, ""},
		{"a newer client", versions{2, 2}, versions{1, 1}, 0, "upgrade the server"},
		{"a newer server", versions{1, 1}, versions{2, 2}, 0, "upgrade the client"},
		{"a far newer client", versions{5, 9}, versions{1, 4}, 0, "upgrade the server"},
		{"a far newer server", versions{1, 4}, versions{5, 9}, 0, "upgrade the client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, err := memqueue.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			server, err := NewServer(ServerOptions{Open: true, Program: "weir 7.0"})
			if err != nil {
				t.Fatal(err)
			}
			server.Lead(store)
			defer server.Lead(nil)
			server.speaks = c.server
			client := func() *engine {
				e, err := newEngine("http://weir", &Options{Transport: inProcess{server}, Program: "weir 8.0", Patience: -1})
				if err != nil {
					t.Fatal(err)
				}
				e.speaks = c.client
				return e
			}
			refused := func(call string, err error) {
				t.Helper()
				for _, word := range []string{c.client.String(), c.server.String(), "weir 7.0", "weir 8.0", c.upgrade} {
					if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), word) {
						t.Errorf("%s: %v, want ErrProtocol and %q", call, err, word)
					}
				}
			}

			// The server refuses who opens, and the client a server that it looks at.
			e := client()
			id, err := e.memberID(t.Context())
			if c.want == 0 {
				refused("open", err)
				if n := len(server.Clients()); n != 0 {
					t.Errorf("%d clients", n)
				}
				refused("limits", e.meet(t.Context()))
				return
			}
			if err != nil || id == "" {
				t.Fatalf("open: %v", err)
			}
			if err := e.meet(t.Context()); err != nil {
				t.Fatalf("limits: %v", err)
			}
			if got, err := agree(c.client, c.server, "", ""); got != c.want || err != nil {
				t.Errorf("version %d, %v, want %d", got, err, c.want)
			}
			s := queue.NewStore(e)
			defer s.Close()
			var tx queue.Tx
			tx.Enqueue("q", queue.Item{Body: []byte("x")})
			if err := s.Commit(t.Context(), &tx); err != nil {
				t.Fatal(err)
			}
			consumer, err := s.Subscribe(t.Context(), "q", nil)
			if err != nil {
				t.Fatal(err)
			}
			if ds, err := consumer.Receive(t.Context(), 1); err != nil || len(ds) != 1 {
				t.Errorf("received %d, %v", len(ds), err)
			}
		})
	}
}

// A standby of another version that takes over is refused before anything is taken.
func TestAStandbyOfAnotherVersion(t *testing.T) {
	store, server := offered(t)
	s, err := Open(t.Context(), "http://weir", &Options{Transport: inProcess{server}, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Subscribe(t.Context(), "q", nil); err != nil {
		t.Fatal(err)
	}
	server.speaks = versions{2, 3}
	server.Lead(store)
	if _, err := s.Subscribe(t.Context(), "q", nil); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "upgrade the client") {
		t.Errorf("Subscribe: %v", err)
	}
}

// What a newer version has and this one does not is refused, and says so.
func TestWhatOnlyANewerVersionHas(t *testing.T) {
	s, _ := serverWithTokens(t, nil)
	for _, c := range []struct{ call, body, code, says string }{
		{"teleport", `{}`, "protocol", "upgrade the server"},
		{"commit", `{"transactions": [{"changes": [{"do": "teleport"}]}]}`, "protocol", "upgrade it"},
		{"stats", `{"queue": "", "colour": "blue"}`, "", `{}`}, // a field that means what was before
	} {
		_, body := ask(t, s, "Bearer admin"+tokenOf, c.call, c.body)
		if c.code != "" && !strings.Contains(body, `"code":"`+c.code+`"`) || !strings.Contains(body, c.says) {
			t.Errorf("%s: %s", c.call, body)
		}
	}
	request, err := cborEncoding.Marshal(commitRequest{Transactions: []transaction{{Changes: []change{{Kind: 200}}}}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngine("http://weir", &Options{Transport: inProcess{s}, Token: "admin" + tokenOf, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	var m commitRequest
	if err := cborDecoding.Unmarshal(request, &m); err != nil {
		t.Fatal(err)
	}
	var reply commitReply
	if err := e.call(t.Context(), "commit", &m, &reply); err != nil || len(reply.Outcomes) != 1 || reply.Outcomes[0].Error == nil ||
		reply.Outcomes[0].Error.Code != "protocol" || !strings.Contains(reply.Outcomes[0].Error.Message, "upgrade") {
		t.Errorf("an unknown kind in CBOR: %+v, %v", reply, err)
	}
}
