package scope

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

func mustParse(t testing.TB, raw string) weburl.URL {
	t.Helper()
	u, err := weburl.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func mustNew(t testing.TB, s *Settings, seeds ...string) *Scope {
	t.Helper()
	var urls []weburl.URL
	for _, seed := range seeds {
		urls = append(urls, mustParse(t, seed))
	}
	sc, err := s.New(urls)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

func TestSettings(t *testing.T) {
	noTraps := Traps{-1, -1, -1, -1, -1, -1, -1, -1, -1, -1}
	tests := []struct {
		name     string
		settings Settings
		url      string
		depth    int
		want     string
	}{
		{"host", Settings{}, "https://example.com/a", 1, "accepted: no rule matches"},
		{"www of the host", Settings{}, "http://www.example.com/a", 1, "accepted: no rule matches"},
		{"other host", Settings{}, "https://docs.example.com/a", 1, "rejected by --scope host: reject unless host is example.com or localhost:8080; found docs.example.com"},
		{"other port", Settings{}, "https://example.com:81/a", 1, "rejected by --scope host: reject unless host is example.com or localhost:8080; found example.com:81"},
		{"host with port", Settings{}, "http://localhost:8080/a", 1, "accepted: no rule matches"},
		{"domain", Settings{Within: WithinDomain}, "https://docs.example.com/a", 1, "accepted: no rule matches"},
		{"other domain", Settings{Within: WithinDomain}, "https://example.org/a", 1, "rejected by --scope domain: reject unless domain is example.com or localhost; found example.org"},
		{"any", Settings{Within: WithinAny}, "https://example.org/a", 1, "accepted: no rule matches"},
		{"seed", Settings{Allow: []string{"/docs/"}}, "https://example.com/", 0, "accepted by rule 1: accept if it is a seed"},
		{"allowed", Settings{Allow: []string{"/docs/"}}, "https://example.com/docs/a", 1, "accepted: no rule matches"},
		{"not allowed", Settings{Allow: []string{"/docs/", "/api/"}}, "https://example.com/", 1, "rejected by --allow: reject unless URL matches /docs/ or /api/"},
		{"allow does not widen", Settings{Allow: []string{"/docs/"}}, "https://example.org/docs/", 1, "rejected by --scope host: reject unless host is example.com or localhost:8080; found example.org"},
		{"denied", Settings{Deny: []string{`\.pdf$`, `\?print`}}, "https://example.com/a.pdf", 1, `rejected by --deny: reject if URL matches \.pdf$ or \?print; found \.pdf$`},
		{"deep enough", Settings{MaxDepth: 2}, "https://example.com/a", 2, "accepted: no rule matches"},
		{"too deep", Settings{MaxDepth: 2}, "https://example.com/a", 3, "rejected by --depth: reject if more than 2 links from a seed"},
		{"too long", Settings{}, "https://example.com/" + strings.Repeat("x", 2048), 1, "rejected by --trap-length: reject if URL is longer than 2048 bytes"},
		{"too many segments", Settings{}, "https://example.com" + strings.Repeat("/x", 26), 1, "rejected by --trap-segments: reject if path has more than 25 segments"},
		{"path loop", Settings{}, "https://example.com/a/b/c/b/c/b/c/b/c/d", 1, "rejected by --trap-loops: reject if path repeats itself more than 3 times in a row; found b/c"},
		{"segments that come again", Settings{}, "https://example.com/a/1/a/2/a/3/a/4/a/5/a", 1, "rejected by --trap-repeats: reject if path has a segment more than 5 times; found a"},
		{"too many parameters", Settings{}, "https://example.com/?" + strings.Repeat("a&", 30), 1, "rejected by --trap-params: reject if query has more than 30 parameters"},
		{"parameters that come again", Settings{}, "https://example.com/?a=1&b=1&a=2&a=3&a=4&a=5&a=6", 1, "rejected by --trap-same-params: reject if query has a parameter more than 5 times; found a"},
		{"traps off", Settings{Traps: noTraps}, "https://example.com" + strings.Repeat("/x", 3000), 1, "accepted: no rule matches"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sc := mustNew(t, &tt.settings, "https://www.example.com/", "http://localhost:8080/start", "https://example.com/b")
			if got := sc.Decide(mustParse(t, tt.url), tt.depth).String(); got != tt.want {
				t.Errorf("Decide(%q, %d)\ngot  %s\nwant %s", tt.url, tt.depth, got, tt.want)
			}
		})
	}
}

// TestDefaultsAcceptRealSites holds the defaults against addresses in the
// shapes that manuals, source browsers, package indexes and blogs have.
func TestDefaultsAcceptRealSites(t *testing.T) {
	sc := mustNew(t, &Settings{Within: WithinAny})
	for _, raw := range []string{
		"https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/concurrent/atomic/AtomicInteger.html",
		"https://doc.rust-lang.org/std/std/std/index.html",
		"https://doc.rust-lang.org/nightly/core/core_arch/x86_64/struct.__m128.html",
		"https://docs.python.org/3/library/concurrent.futures.html",
		"https://pkg.go.dev/golang.org/x/tools/go/analysis/passes/nilness/cmd/nilness",
		"https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/apis/meta/internalversion/validation/validation.go",
		"https://learn.microsoft.com/en-us/dotnet/api/system.collections.generic.dictionary-2.enumerator.system-collections-ienumerator-current?view=net-8.0",
		"https://blog.example.com/2011/11/11/11/11/11/eleven/",
		"https://example.com/node/1/1/1/1/1/1/1",
		"https://www.mediawiki.org/w/index.php?title=Help:Contents&action=history&offset=20240101000000&limit=500&dir=prev",
		"https://search.example.com/?f[]=a&f[]=b&f[]=c&f[]=d&f[]=e&sort=x",
		"https://sources.debian.org/src/linux/6.1.90-1/tools/testing/selftests/powerpc/pmu/ebb/ebb.c/",
		"https://android.googlesource.com/platform/frameworks/base/+/refs/heads/main/core/java/android/app/admin/DevicePolicyManager.java",
		"https://example.com/a/../../a//b/",
	} {
		if d := sc.Decide(mustParse(t, raw), 3); !d.Accepted {
			t.Errorf("%s: %s", raw, d)
		}
	}
}

func TestNew(t *testing.T) {
	sc, err := New(
		Rule{Action: Accept, Kind: Prefix, Values: []string{"HTTPS://Example.com/docs/../docs/"}},
		Rule{Action: Reject, Kind: Domain, Values: []string{"www.example.com"}},
		Rule{Action: Accept, Unless: true, Kind: Host, Values: []string{"Bücher.example:8080", "example.net"}},
		Rule{Action: Reject, Kind: Params, Limit: 0},
	)
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]int{
		"https://example.com/docs/a":    1,
		"https://example.com/doc":       2,
		"https://x.example.com/docs/":   2,
		"https://example.org/":          3,
		"http://xn--bcher-kva.example/": 3,
		"http://bücher.example:8080/":   0,
		"http://www.example.net/?":      0,
		"http://www.example.net/?a":     4,
	} {
		if d := sc.Decide(mustParse(t, raw), 1); d.Number != want {
			t.Errorf("%s: %s, want rule %d", raw, d, want)
		}
	}
}

func TestInvalidRules(t *testing.T) {
	for _, r := range []Rule{
		{},
		{Action: "keep", Kind: Seed},
		{Action: Accept},
		{Action: Accept, Kind: "mood"},
		{Action: Accept, Kind: Host},
		{Action: Accept, Kind: Host, Values: []string{"example.com/a"}},
		{Action: Accept, Kind: Domain, Values: []string{"a b"}},
		{Action: Accept, Kind: Prefix, Values: []string{"/docs/"}},
		{Action: Accept, Kind: Regexp, Values: []string{"("}},
		{Action: Accept, Kind: Depth, Limit: -1},
	} {
		if _, err := New(Rule{Action: Accept, Kind: Seed}, r); !errors.Is(err, ErrInvalidRule) || !strings.Contains(err.Error(), "rule 2") {
			t.Errorf("New(%+v): %v", r, err)
		}
	}
	if _, err := (&Settings{Within: "planet"}).New(nil); !errors.Is(err, ErrInvalidRule) {
		t.Errorf("scope planet: %v", err)
	}
}

func TestJSON(t *testing.T) {
	settings := &Settings{Within: WithinDomain, Deny: []string{"x"}, MaxDepth: 3, Traps: Traps{MaxLength: -1}}
	data, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"within":"domain","deny":["x"],"max_depth":3,"traps":{"max_length":-1}}`; string(data) != want {
		t.Errorf("settings as JSON: %s, want %s", data, want)
	}
	var again Settings
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(&again, settings) {
		t.Errorf("read again: %+v, %v", again, err)
	}

	sc := mustNew(t, settings, "https://example.com/")
	if data, err = json.Marshal(sc); err != nil {
		t.Fatal(err)
	}
	var read Scope
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read.Rules(), sc.Rules()) {
		t.Errorf("rules read again: %v, want %v", read.Rules(), sc.Rules())
	}
	if err := json.Unmarshal([]byte(`[{"action":"accept","kind":"x"}]`), &read); !errors.Is(err, ErrInvalidRule) {
		t.Errorf("invalid rules read: %v", err)
	}
}

func TestZeroScopeAccepts(t *testing.T) {
	if d := new(Scope).Decide(weburl.URL{}, 9); !d.Accepted {
		t.Error(d)
	}
}

func FuzzDecide(f *testing.F) {
	f.Add("https://example.com/a/b/a/b/a/b?a=1&a=2#x", 3, 2)
	f.Add("http://[::1]:80//////", 0, 0)
	f.Fuzz(func(t *testing.T, raw string, depth, limit int) {
		u, err := weburl.Parse(raw)
		if err != nil {
			return
		}
		limit = max(limit, 0)
		var rules []Rule
		for _, kind := range []Kind{Depth, Length, Segments, PathLoop, RepeatedSegment, Params, RepeatedParam} {
			rules = append(rules, Rule{Action: Reject, Kind: kind, Limit: limit})
		}
		sc, err := New(rules...)
		if err != nil {
			t.Fatal(err)
		}
		d := sc.Decide(u, depth)
		if d.Accepted != (d.Number == 0) || d.String() == "" {
			t.Fatalf("%+v", d)
		}
		// A loop of segments is a repetition of each of them.
		if loop, unit := pathLoop(u.Path(), limit); loop && strings.Trim(unit, "/0123456789") != "" {
			if again, _ := repeatedSegment(u.Path(), limit); !again {
				t.Fatalf("%q loops by %q and repeats nothing", u.Path(), unit)
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	sc := mustNew(b, &Settings{Within: WithinDomain, Deny: []string{`\.(pdf|zip)$`}}, "https://example.com/")
	for _, bm := range []struct{ name, url string }{
		{"accepted", "https://docs.example.com/en/latest/user/advanced.html?a=1"},
		{"rejected", "https://docs.example.org/en/latest/user/advanced.html"},
	} {
		u := mustParse(b, bm.url)
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sc.Decide(u, 3)
			}
		})
	}
}
