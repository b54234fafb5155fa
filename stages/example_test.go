package stages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed-301537d8/weir/stages"
)

func ExampleFetcher() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/old":
			http.Redirect(w, r, "/new", http.StatusMovedPermanently)
		case "/new":
			w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
			io.WriteString(w, "<title>Gr\xfc\xdfe</title>")
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()

	f := &stages.Fetcher{
		UserAgent:    "example/1.0 (+https://example.com/bot)",
		AllowPrivate: true, // the example's site is on this machine
	}
	for _, path := range []string{"/old", "/new", "/none"} {
		resp, err := f.Fetch(context.Background(), stages.FetchRequest{URL: site.URL + path})
		switch e := stages.AsError(err); {
		case e != nil:
			fmt.Println(path, e.Reason, "permanent:", e.Permanent)
		case resp.Redirect != "":
			fmt.Println(path, "leads to", strings.TrimPrefix(resp.Redirect, site.URL))
		default:
			fmt.Printf("%s %s\n", path, resp.UTF8())
		}
	}
	// Output:
	// /old leads to /new
	// /new <title>Grüße</title>
	// /none http_404 permanent: true
}

func ExampleParseDocument() {
	page := `<html lang="en"><title>Rivers</title>
		<p>See <a href="weirs.html">the weirs</a> or <a href="/ads" rel="nofollow">an advertisement</a>.</p>`
	d := stages.ParseDocument([]byte(page), "https://example.com/rivers/", nil)
	fmt.Println(d.Meta.Title, d.Meta.Lang)
	for _, l := range d.Links() {
		fmt.Println(l.Kind, l.URL, l.Text, l.NoFollow)
	}
	fmt.Println(d.Selection().Find("p").Text())
	// Output:
	// Rivers en
	// a https://example.com/rivers/weirs.html the weirs false
	// a https://example.com/ads an advertisement true
	// See the weirs or an advertisement.
}

// A worker in any language that reads and writes JSON will do; helpers for
// Python, Java and Node are in the folder clients.
func ExampleExec() {
	e := &stages.Exec{
		Command: []string{"python3", "-c", `
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "weir" in message:
        print('{"weir":1}', flush=True)
        continue
    for i in message["items"]:
        words = len(i["item"]["text"].split())
        print(json.dumps({"id": i["id"], "ok": True, "emit": {"counts": [words]}}), flush=True)
`}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()

	reply, err := e.Do(ctx, json.RawMessage(`{"text": "a weir is a barrier"}`))
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%s\n", reply.Emit["counts"][0])

	cancel()
	<-done
	// Output: 5
}
