package crawler_test

import (
	"net/http"
	"testing"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/weburl"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/stages"
)

// What servers set goes back as it came, be it what no server should send (RFC 6265
// section 5.2), over a restart too; and what browsers refuse is refused.
func TestCookiesAsServersSetThem(t *testing.T) {
	for _, tt := range []struct{ set, want string }{
		{"a=1", "a=1"},
		{`a="quoted"`, `a="quoted"`},
		{"a=x y,z", "a=x y,z"},
		{"a=b=c==; path=/", "a=b=c=="},
		{"a[b]=1", "a[b]=1"},
		{"my name=1", "my name=1"},
		{"a@b:c/{d}=1", "a@b:c/{d}=1"},
		{`a={"k":"v, w"}`, `a={"k":"v, w"}`},
		{"a=caf\xe9", "a=caf\xe9"},
		{"a=日本", "a=日本"},
		{" \ta \t= 1 \t ; Path = / ", "a=1"},
		{"a=", "a="},
		{`a=back\slash`, `a=back\slash`},
		{"a=1; Max-Age=60", "a=1"},
		{"a=1; Max-Age=0", ""},
		{"a=1; Max-Age=-5", ""},
		{"a=1; Max-Age=soon", "a=1"},
		{"a=1; Max-Age=99999999999999999999", "a=1"},
		{"a=1; Expires=Thu, 01-Jan-1970 00:00:10 GMT", ""},
		{"a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", "a=1"},
		{"a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1"},
		{"a=1; Expires=Wednesday, 09-Jun-99 10:18:14 GMT", ""},
		{"a=1; Expires=Jun 9 2001 1:2:3", ""},
		{"a=1; expires=9 juni 2001 01:02:03.5 +0200", ""},
		{"a=1; Expires=0", "a=1"},
		{"a=1; Expires=Mon, 31 Feb 2000 00:00:00 GMT", "a=1"},
		{"a=1; Expires=Tue, 19 Jan 2038 03:14:07 GMT; whatever; =; ;;", "a=1"},
		{"a=1; Path=elsewhere", "a=1"},
		{"a=1; Path=/other", ""},
		{"a=1; Path=/other; Path=", "a=1"},
		{"a=1; Domain=", "a=1"},
		{"a=1; Domain=.EXAMPLE.com", "a=1"},
		{"a=1; Domain=com", ""},
		{"a=1; Secure", ""},
		{"a=1; HttpOnly; SameSite=Nonsense; Partitioned", "a=1"},
		{"a", ""},
		{"=a", ""},
		{"", ""},
		{"a=\x01", ""},
	} {
		t.Run(tt.set, func(t *testing.T) {
			store := openMemory(t)
			u, err := weburl.Parse("http://www.example.com/dir/page")
			if err != nil {
				t.Fatal(err)
			}
			first, out := &crawler.Cookies{Store: store}, pipeline.NewOut()
			resp := &stages.FetchResponse{Header: http.Header{"Set-Cookie": {tt.set}}}
			if err := first.Keep(t.Context(), u, resp, out); err != nil {
				t.Fatal(err)
			}
			if err := store.Commit(t.Context(), out.Tx()); err != nil {
				t.Fatal(err)
			}
			for when, c := range map[string]*crawler.Cookies{"at once": first, "after a restart": {Store: store}} {
				r, err := http.NewRequest(http.MethodGet, u.String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Apply(t.Context(), u, r); err != nil {
					t.Fatal(err)
				}
				if got := r.Header.Get("Cookie"); got != tt.want {
					t.Errorf("%s %q is sent, want %q", when, got, tt.want)
				}
			}
		})
	}
}
