package command

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-301537d8/weir/queue/remote"
)

// A worker that waits for its server says what that answers, if it does.
func TestWhatIsSaidOfAServerThatIsAwaited(t *testing.T) {
	standby, err := remote.NewServer(remote.ServerOptions{Open: true})
	if err != nil {
		t.Fatal(err)
	}
	for want, handler := range map[string]http.Handler{
		`answers "502 Bad Gateway"`:                        http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusBadGateway) }),
		`answers "server is unavailable: it is a standby"`: standby,
		"does not answer yet":                              nil,
	} {
		server := httptest.NewUnstartedServer(nil)
		server.Config = remote.NewHTTPServer(handler)
		server.Start()
		if handler == nil {
			server.Close()
		}
		ctx, cancel := context.WithCancel(t.Context())
		var said []string
		w := awaited{say: func(what string) {
			said = append(said, what)
			if len(said) == 2 {
				cancel()
			}
		}}
		w.retry(net.ErrClosed)
		w.long(true)
		w.retry(net.ErrClosed)
		tries := 0
		_, err := remote.Open(ctx, server.URL, &remote.Options{OnRetry: func(err error) {
			w.retry(err)
			if tries++; tries == 3 {
				cancel()
			}
		}})
		if err == nil || said[0] != "does not answer yet" || said[len(said)-1] != want {
			t.Errorf("%v, and it said %q, want %q", err, said, want)
		}
		cancel()
		server.Close()
	}
}
