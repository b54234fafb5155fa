package crawler_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-301537d8/weir/crawler"
)

// leaves are the paths of all fields of a struct that hold a value.
func leaves(t reflect.Type, path string) []string {
	var all []string
	for f := range t.Fields() {
		if f.Type.Kind() == reflect.Struct && f.Type.PkgPath() != "" {
			all = append(all, leaves(f.Type, path+f.Name+".")...)
			continue
		}
		all = append(all, path+f.Name)
	}
	return all
}

func TestEveryGoSettingIsInTheTable(t *testing.T) {
	fields := leaves(reflect.TypeFor[crawler.Settings](), "")
	if len(fields) < 40 {
		t.Fatalf("only %d fields: %v", len(fields), fields)
	}
	names := make(map[string]bool)
	var inTable []string
	for _, st := range crawler.AllSettings() {
		if st.Doc == "" || st.Resume == "" || st.Group == "" || names[st.Name] {
			t.Errorf("setting %q of the table is there twice or lacks a text: %+v", st.Name, st)
		}
		names[st.Name] = true
		inTable = append(inTable, st.Field)
		if !slices.Contains(fields, st.Field) {
			t.Errorf("%s is of the field %s, which Settings do not have", st.Name, st.Field)
		}
	}
	for _, f := range fields {
		if !slices.Contains(inTable, f) {
			t.Errorf("Settings.%s has no flag, no key and no documentation: add it to the table in settingtable.go", f)
		}
	}
}

// What a setting says it is set to sets it to the same.
func TestSettingsReadWhatTheyWrite(t *testing.T) {
	values := map[string][]string{
		"scope": {"domain"}, "depth": {"0"}, "allow": {"/a", "b c"}, "deny": {"x"}, "links": {"none"}, "drop-param": {"s"},
		"max-pages": {"7"}, "max-bytes": {"3GiB"}, "max-time": {"1h30m"}, "max-pages-per-host": {"9"}, "max-bytes-per-host": {"1000"},
		"max-body": {"2MiB"}, "memory": {"64MiB"}, "delay": {"none"}, "per-host": {"3"}, "workers": {"5"}, "rate": {"0.5"}, "retries": {"0"},
		"grace": {"none"}, "give-up": {"1h30m"}, "user-agent": {"me/1"}, "header": {"X-Test: a: b", "X-Token: env:T"}, "auth": {"a.example=bearer:env:T"},
		"proxy": {"socks5://u:env:P@h:1080", "none"}, "timeout": {"5s"}, "types": {"application/pdf", "image/*"}, "ca-file": {"a"},
		"client-cert": {"b"}, "client-key": {"c"}, "host": {"*.b.example timeout=1s", "a.example:8080 delay=5s 'header=X-A: b c' auth=basic:u:file:/p"},
		"priority": {"depth", "/docs/=20"}, "max-pages-per-generation": {"100"}, "requisites": {"site"}, "near-duplicates": {"skip"}, "warc-size": {"5MiB"}, "warc-prefix": {"shelf"}, "warc-info": {"operator: A. Librarian", "isPartOf: x"}, "stages": {"crawl", "tag"}, "every": {"36h"}, "min-interval": {"2h"}, "max-interval": {"480h"}, "history": {"0"}, "stage-attempts": {"3"}, "stage-backoff": {"3s"}, "stage": {"topics=python3 'my topics.py'"}, "mode": {"fast"},
	}
	for _, st := range crawler.AllSettings() {
		t.Run(st.Name, func(t *testing.T) {
			want := values[st.Name]
			if want == nil {
				want = []string{"true"}
				if st.Arg == "n" { // a limit of traps
					want = []string{"unlimited"}
				}
			}
			var s, again crawler.Settings
			if err := st.Set(&s, want...); err != nil {
				t.Fatal(err)
			}
			switch st.Name {
			case "retries":
				if s.Retries != -1 {
					t.Errorf("0 is %d", s.Retries)
				}
			case "auth", "wait-for-hosts": // they are others' words
				if s.Hosts["a.example"].Auth != "bearer:env:T" && s.Grace != -1 {
					t.Errorf("%+v", s)
				}
				return
			}
			got := st.Get(&s)
			if !slices.Equal(got, want) {
				t.Errorf("set to %q, it is %q", want, got)
			}
			if err := st.Set(&again, got...); err != nil || !reflect.DeepEqual(s, again) {
				t.Errorf("%v: %+v, and %+v again", err, s, again)
			}
			if !st.IsSet(&s) || st.IsSet(new(crawler.Settings)) {
				t.Error("IsSet is wrong")
			}
		})
	}
}

func TestSettingsOfHosts(t *testing.T) {
	s := crawler.Settings{Delay: time.Second, Header: []string{"X-All: 1"}}
	for _, text := range []string{
		"example.com delay=5s", "example.com:8080 timeout=3s", "*.example.com delay=none 'header=X-Below: 2'", "*.com timeout=9s",
	} {
		if err := crawler.FindSetting("host").Set(&s, text); err != nil {
			t.Fatal(err)
		}
	}
	for host, want := range map[string]time.Duration{
		"example.com": 5 * time.Second, "example.com:81": 5 * time.Second, "www.example.com": -1, "a.b.example.com:82": -1, "example.org": time.Second,
	} {
		if of := s.ForHost(host); of.Delay != want {
			t.Errorf("the delay of %s is %v, want %v", host, of.Delay, want)
		}
	}
	if of := s.ForHost("example.com:8080"); of.Timeout != 3*time.Second || of.Delay != time.Second {
		t.Errorf("example.com:8080 has %v and %v", of.Timeout, of.Delay)
	}
	if of := s.ForHost("x.example.com"); !slices.Equal(of.Header, []string{"X-All: 1", "X-Below: 2"}) {
		t.Errorf("the header of x.example.com: %q", of.Header)
	}
	if of := s.ForHost("other.com"); of.Timeout != 9*time.Second {
		t.Errorf("the timeout of other.com is %v", of.Timeout)
	}
	if err := s.SetHost("example.com", "workers", "3"); err == nil || !strings.Contains(err.Error(), "single host") {
		t.Errorf("workers of a host: %v", err)
	}
}
