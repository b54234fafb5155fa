// Command login takes the messages out of a site that wants a login first. The
// session is part of the crawl: it outlives the process. The site's address, name
// and password are in the environment.
//
//	SITE=https://forum.example.com NAME=ada PASSWORD=… go run ./examples/login crawl
//	go run ./examples/login export items messages
package main

import (
	"cmp"
	"context"
	"net/url"
	"os"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

type message struct {
	Page string `json:"page"`
	Text string `json:"text"`
}

func main() { command.Main(options(cmp.Or(os.Getenv("SITE"), "https://forum.example.com"))) }

func options(site string) *crawler.Options {
	return &crawler.Options{
		Seeds: []crawler.Request{{URL: site + "/login", Label: "login"}},
		Settings: crawler.Settings{
			Cookies: true, Links: crawler.LinksNone, Stages: []crawler.Stage{{Name: crawler.StageCrawl}},
		},
		Functions: []crawler.Function{
			{Label: "login", Visit: login, Follows: []string{"messages"}},
			{Label: "messages", Visit: messages, Follows: []string{"messages"}},
		},
		Items: map[string]any{"messages": message{}},
	}
}

// login fills in the form, with the token that it holds. The answer is a redirect
// to the messages, which keeps the label.
func login(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
	token, _ := v.Find("input[name=token]").Attr("value")
	action, _ := v.Find("form").Attr("action")
	r := crawler.Form(action, url.Values{
		"token": {token}, "name": {os.Getenv("NAME")}, "password": {os.Getenv("PASSWORD")},
	})
	r.Label = "messages"
	out.Request(r)
	return nil
}

func messages(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
	if v.Find("input[name=password]").Length() > 0 {
		out.GiveUp("the site wants a login again")
		return nil
	}
	for _, m := range v.Find(".message").EachIter() {
		out.Item("messages", "", message{v.URL, m.Text()})
	}
	out.FollowAs("messages", "a.older")
	return nil
}
