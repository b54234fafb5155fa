// Command api takes the rivers out of a JSON API that is asked by POST, page by
// page. The API's address is in the environment variable API.
//
//	API=https://api.example.com go run ./examples/api crawl
//	go run ./examples/api export items rivers
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/command"
)

// river is what the API has, and what is kept.
type river struct {
	Name   string  `json:"name"`
	Length float64 `json:"length_km"`
}

// query is what the API is asked, and answer what it says.
type (
	query struct {
		Page int `json:"page"`
	}
	answer struct {
		Rivers []river `json:"rivers"`
		Next   int     `json:"next"` // page, 0 behind the last
	}
)

func main() { command.Main(options(cmp.Or(os.Getenv("API"), "https://api.example.com"))) }

func options(api string) *crawler.Options {
	return &crawler.Options{
		Seeds:     []crawler.Request{ask(api+"/rivers", 1)},
		Settings:  crawler.Settings{Stages: []crawler.Stage{{Name: crawler.StageCrawl}}},
		Functions: []crawler.Function{{Types: []string{"application/json"}, Visit: rivers}},
		Items:     map[string]any{"rivers": river{}},
		BeforeRequest: func(hr *http.Request, _ crawler.Request) error {
			hr.Header.Set("Authorization", "Bearer "+os.Getenv("API_TOKEN"))
			return nil
		},
	}
}

// ask is a request for a page of rivers. Each page is a request of its own, since
// their bodies differ.
func ask(url string, page int) crawler.Request {
	body, err := json.Marshal(query{page})
	if err != nil {
		panic(err) // a number can be encoded
	}
	return crawler.Request{
		URL: url, Method: http.MethodPost, Body: body, Header: http.Header{"Content-Type": {"application/json"}},
	}
}

func rivers(_ context.Context, v *crawler.Visit, out *crawler.Out) error {
	var a answer
	if err := v.JSON(&a); err != nil {
		return err
	}
	for _, r := range a.Rivers {
		if r.Name == "" {
			return fmt.Errorf("a river has no name")
		}
		out.Item("rivers", r.Name, r)
	}
	if a.Next > 0 {
		out.Request(ask(v.URL, a.Next))
	}
	return nil
}
