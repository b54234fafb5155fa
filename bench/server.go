package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
)

const (
	hosts    = 50
	pageSize = 13 << 10
	links    = 30
)

// serve serves the web until its standard input ends.
func serve(n int) error {
	listeners := make([]net.Listener, hosts)
	port := "0"
	for i := range listeners {
		l, err := net.Listen("tcp", fmt.Sprintf("127.5.0.%d:%s", i+1, port))
		if err != nil {
			return err
		}
		listeners[i] = l
		_, port, _ = net.SplitHostPort(l.Addr().String())
	}
	url := func(page int) string { return fmt.Sprintf("http://127.5.0.%d:%s/page/%d", page%hosts+1, port, page) }
	web := make([][]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range web {
		web[i] = page(i, n, rng, url)
	}
	mux := http.NewServeMux()
	mux.Handle("/real/", realSite{sync.OnceValues(realPages)})
	mux.HandleFunc("/page/", func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/page/"))
		if err != nil || i < 0 || i >= n {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(web[i])))
		_, _ = w.Write(web[i])
	})
	server := &http.Server{Handler: mux}
	for _, l := range listeners {
		go func() { _ = server.Serve(l) }()
	}
	fmt.Println(url(0))
	_, _ = io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

var words = strings.Fields(`the of and to in is that it was for on are as with his they at be this have from
	or one had by word but not what all were when we there can an your which their said if do will each
	about how up out them then she many some so these would other into has more her two like him see time
	could no make than first been its who now people my made over did down only way find use may water long
	little very after called just where most know river weir crawl queue page barrier`)

// page makes page i: it links to its children in a tree of thirds, so that every
// page can be reached, and to others at random.
func page(i, n int, rng *rand.Rand, url func(int) string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<html lang=\"en\"><head><title>Page %d of the web</title><meta charset=\"utf-8\"></head>\n<body><header><nav><ul>\n", i)
	written := 0
	link := func(to int) {
		if written++; to%2 == i%2 {
			fmt.Fprintf(&b, "<li><a href=\"%s\">Page %d</a></li>\n", url(to), to)
		} else {
			fmt.Fprintf(&b, "<li><a class=\"more\" href=\"%s#part\">About %d</a></li>\n", url(to), to)
		}
	}
	for child := 3*i + 1; child <= 3*i+3 && child < n; child++ {
		link(child)
	}
	for written < links {
		link(rng.IntN(n))
	}
	b.WriteString("</ul></nav></header>\n<main><article>\n")
	for b.Len() < pageSize-40 {
		b.WriteString("<p>")
		for range 40 + rng.IntN(40) {
			b.WriteString(words[rng.IntN(len(words))])
			b.WriteByte(' ')
		}
		b.WriteString("with <em>some</em> words.</p>\n")
	}
	b.WriteString("</article></main></body></html>\n")
	return []byte(b.String())
}
