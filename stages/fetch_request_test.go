package stages

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestRequestWithMethodTypesAndHook(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"method":%q,"body":%q,"token":%q}`, r.Method, b, r.Header.Get("X-Token"))
	}))
	defer s.Close()
	f := &Fetcher{AllowPrivate: true}
	r := FetchRequest{
		URL: s.URL, Method: http.MethodPost, Body: []byte("page=2"), Types: []string{"application/json"},
		Prepare: func(r *http.Request) error { r.Header.Set("X-Token", "t"); return nil },
	}
	resp, err := f.Fetch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(resp.Body), `{"method":"POST","body":"page=2","token":"t"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.MaxBody = 10
	if _, err := f.Fetch(t.Context(), r); AsError(err) == nil || AsError(err).Reason != ReasonTooLarge {
		t.Errorf("with MaxBody 10: %v, want %s", err, ReasonTooLarge)
	}
	r.Types = nil
	if _, err := f.Fetch(t.Context(), r); AsError(err) == nil || AsError(err).Reason != ReasonType {
		t.Errorf("without Types: %v, want %s", err, ReasonType)
	}
	r.Prepare = func(*http.Request) error { return errors.New("no token") }
	if _, err := f.Fetch(t.Context(), r); AsError(err) == nil || AsError(err).Reason != ReasonFailed {
		t.Errorf("with a hook that fails: %v, want %s", err, ReasonFailed)
	}
}

// A proxy on a private network may be used; what lies behind it may not be
// private.
func TestProxyKeepsTheAddressGuard(t *testing.T) {
	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.Header().Set("Content-Type", "text/html")
	}))
	defer proxy.Close()
	u, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrapped := range []bool{false, true} {
		f := &Fetcher{Proxy: http.ProxyURL(u)}
		if wrapped {
			f.Transport = func(builtin *http.Transport) http.RoundTripper { return builtin.Clone() }
		}
		if _, err := f.Fetch(t.Context(), FetchRequest{URL: "http://93.184.215.14/a"}); err != nil || asked != "http://93.184.215.14/a" {
			t.Errorf("by the proxy: %v, asked for %q", err, asked)
		}
		asked = ""
		for _, inside := range []string{"http://127.0.0.1:1/", "http://[::1]/", "http://localhost/", "http://192.168.0.1/"} {
			if _, err := f.Fetch(t.Context(), FetchRequest{URL: inside}); AsError(err) == nil || AsError(err).Reason != ReasonPrivateAddress || asked != "" {
				t.Errorf("%s by the proxy: %v, want %s; asked for %q", inside, err, ReasonPrivateAddress, asked)
			}
		}
	}
}

// Another transport keeps the guard if it is made of the built-in one.
func TestOwnTransportKeepsTheAddressGuard(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	f := &Fetcher{Transport: func(builtin *http.Transport) http.RoundTripper {
		builtin.DisableKeepAlives = true
		return builtin
	}}
	if _, err := f.Fetch(t.Context(), FetchRequest{URL: s.URL}); AsError(err) == nil || AsError(err).Reason != ReasonPrivateAddress {
		t.Errorf("%v, want %s", err, ReasonPrivateAddress)
	}
}

// The memory of an answer that is asked for once more, with its address escaped, is given
// back.
func TestMemoryOfAnAnswerThatIsAskedForAgain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.RequestURI == "/a|b" {
			w.WriteHeader(http.StatusBadRequest)
			w.Write(make([]byte, 2*smallBody))
		}
	}))
	defer s.Close()
	budget := NewBudget(64 << 20)
	f := &Fetcher{AllowPrivate: true, Budget: budget}
	resp, err := f.Fetch(t.Context(), FetchRequest{URL: s.URL + "/a|b", Statuses: []int{http.StatusBadRequest}})
	if err != nil || resp.Status != http.StatusOK {
		t.Fatalf("status %d, %v", resp.Status, err)
	}
	resp.Release()
	if !budget.bodies.free.TryAcquire(budget.bodies.size) {
		t.Error("some of the memory has not been given back")
	}
}
