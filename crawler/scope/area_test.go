package scope

import (
	"testing"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

func TestSeedsWithAScopeOfTheirOwn(t *testing.T) {
	parse := func(raw string) weburl.URL {
		t.Helper()
		u, err := weburl.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	areas := []Area{
		{Seed: parse("https://a.example/docs/index.html"), Within: WithinPath, MaxDepth: 2},
		{Seed: parse("https://a.example/blog/"), Within: WithinPath, MaxDepth: AnyDepth},
		{Seed: parse("https://www.b.example/"), Within: WithinDomain},
		{Seed: parse("https://c.example/"), MaxDepth: -1},
		{Seed: parse("https://d.example/"), MaxDepth: 1},
	}
	s := Settings{MaxDepth: 5, Deny: []string{"secret"}}
	both, err := s.New([]weburl.URL{parse("https://e.example/")}, areas...)
	if err != nil {
		t.Fatal(err)
	}
	own, err := s.New(nil, areas...)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		url   string
		depth int
		want  bool
	}{
		{"https://a.example/docs/x/y", 2, true},
		{"https://a.example/docs/x/y", 3, false},
		{"https://a.example/docsy", 1, false},
		{"https://a.example/", 1, false},
		{"https://a.example/", 0, true},
		{"https://a.example/blog/x", 99, true},
		{"https://a.example/blog/secret", 1, false},
		{"https://x.b.example/", 5, true},
		{"https://x.b.example/", 6, false},
		{"https://c.example/x", 1, false},
		{"https://d.example/x", 1, true},
		{"https://d.example/x", 2, false},
		{"https://f.example/", 1, false},
	} {
		for name, sc := range map[string]*Scope{"beside a general one": both, "alone": own} {
			if d := sc.Decide(parse(test.url), test.depth); d.Accepted != test.want {
				t.Errorf("%s, %s at depth %d: %s", name, test.url, test.depth, d)
			}
		}
	}
	if d := both.Decide(parse("https://e.example/x"), 5); !d.Accepted {
		t.Errorf("the general scope: %s", d)
	}
	if _, err := s.New(nil, Area{Seed: areas[0].Seed, Within: "world"}); err == nil {
		t.Error("an area of no kind was taken")
	}
}
