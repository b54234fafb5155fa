package remote

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A machine that is dead or stopped does not answer at all. Those who name others beside
// it reach these, however little patience they have.
func TestASilentAddressDoesNotHideTheOthers(t *testing.T) {
	for _, patience := range []time.Duration{-1, time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			_, server := offered(t)
			defer server.Lead(nil)
			transport := transportFunc(func(r *http.Request) (*http.Response, error) {
				if r.URL.Host != "leader" {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				w := httptest.NewRecorder()
				server.ServeHTTP(w, r)
				return w.Result(), nil
			})
			begun := time.Now()
			s, err := Open(t.Context(), "http://dead,http://stopped,http://leader", &Options{Transport: transport, Patience: patience})
			if err != nil {
				t.Fatalf("with a patience of %v: %v", patience, err)
			}
			defer s.Close()
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("with a patience of %v it takes %v to find the leader", patience, took)
			}
		})
	}
}
