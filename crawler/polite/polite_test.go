package polite

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestNext(t *testing.T) {
	const s = time.Second
	off := &Options{MinDelay: -1, MaxCrawlDelay: -1, Factor: -1, MaxRetryAfter: -1, FirstBackoff: -1}
	tests := []struct {
		name   string
		state  HostState
		event  Event
		o      *Options
		wait   time.Duration
		reason Reason
	}{
		{"nothing known", HostState{}, Event{}, nil, s, ByMinDelay},
		{"configured", HostState{}, Event{Took: s}, &Options{MinDelay: 5 * s}, 5 * s, ByMinDelay},
		{"no delay", HostState{CrawlDelay: 9 * s}, Event{Took: s, RetryAfter: s, Result: Failure}, off, 0, ""},
		{"Crawl-delay", HostState{CrawlDelay: 9 * s}, Event{Took: s}, nil, 9 * s, ByCrawlDelay},
		{"Crawl-delay, less than configured", HostState{CrawlDelay: s}, Event{}, &Options{MinDelay: 5 * s}, 5 * s, ByMinDelay},
		{"Crawl-delay, capped", HostState{CrawlDelay: time.Hour}, Event{}, nil, 30 * s, ByCrawlDelay},
		{"slow", HostState{}, Event{Took: 4 * s}, nil, 4 * s, ByResponseTime},
		{"slow, with factor", HostState{}, Event{Took: 4 * s}, &Options{Factor: 2.5}, 10 * s, ByResponseTime},
		{"slow, capped", HostState{}, Event{Took: time.Hour}, nil, 30 * s, ByResponseTime},
		{"slow, enormous factor", HostState{}, Event{Took: time.Hour}, &Options{Factor: 1e300}, 30 * s, ByResponseTime},
		{"slow the time before", HostState{Took: 4 * s}, Event{}, nil, 4 * s, ByResponseTime},
		{"Retry-After", HostState{}, Event{RetryAfter: time.Minute, Result: Failure}, nil, time.Minute, ByRetryAfter},
		{"Retry-After on success", HostState{}, Event{RetryAfter: time.Minute}, nil, time.Minute, ByRetryAfter},
		{"Retry-After, shorter than the delay", HostState{}, Event{RetryAfter: s}, &Options{MinDelay: 5 * s}, 5 * s, ByMinDelay},
		{"Retry-After, capped", HostState{}, Event{RetryAfter: 999 * time.Hour}, nil, 24 * time.Hour, ByRetryAfter},
		{"second failure", HostState{Failures: 1}, Event{Result: Failure}, nil, s, ByMinDelay},
		{"third failure", HostState{Failures: 2}, Event{Result: Failure}, nil, 10 * s, ByBackoff},
		{"fifth failure", HostState{Failures: 4}, Event{Result: Failure}, nil, 40 * s, ByBackoff},
		{"a thousand failures", HostState{Failures: 1000}, Event{Result: Failure}, nil, 6 * time.Hour, ByBackoff},
		{"Retry-After beats backing off", HostState{Failures: 2}, Event{Result: Failure, RetryAfter: time.Hour}, nil, time.Hour, ByRetryAfter},
		{"backing off beats Retry-After", HostState{Failures: 2}, Event{Result: Failure, RetryAfter: 2 * s}, nil, 10 * s, ByBackoff},
		{"success after failures", HostState{Failures: 9}, Event{}, nil, s, ByMinDelay},
		{"unknown after failures", HostState{Failures: 9}, Event{Result: Unknown}, nil, s, ByMinDelay},
		{"never brought forward", HostState{NotBefore: noon.Add(time.Hour), Reason: ByRetryAfter}, Event{}, nil, time.Hour, ByRetryAfter},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.event.Time = noon
			next := tt.state.Next(tt.event, tt.o)
			if got := next.Wait(noon); got != tt.wait {
				t.Errorf("wait %v, want %v", got, tt.wait)
			}
			if tt.reason != "" && next.Reason != tt.reason {
				t.Errorf("reason %q, want %q", next.Reason, tt.reason)
			}
			if next.Wait(noon.Add(99*time.Hour)) != 0 {
				t.Error("Wait is not over in the end")
			}
		})
	}
}

func TestFailuresAreCounted(t *testing.T) {
	var s HostState
	for i, e := range []struct {
		result Result
		want   int
	}{{Failure, 1}, {Failure, 2}, {Unknown, 2}, {Failure, 3}, {Success, 0}, {Unknown, 0}, {Failure, 1}} {
		s = s.Next(Event{Time: noon, Result: e.result}, nil)
		if s.Failures != e.want {
			t.Errorf("event %d: %d failures, want %d", i, s.Failures, e.want)
		}
	}
}

func TestBackoffDoubles(t *testing.T) {
	o := &Options{MinDelay: -1, BackoffAfter: 1, FirstBackoff: 10 * time.Second, MaxBackoff: time.Minute}
	var s HostState
	now := noon
	for i, want := range []time.Duration{10, 20, 40, 60, 60} {
		s = s.Next(Event{Time: now, Result: Failure}, o)
		if got := s.Wait(now); got != want*time.Second {
			t.Errorf("failure %d: %v, want %v", i+1, got, want*time.Second)
		}
		now = s.NotBefore
	}
	if got := (HostState{}).Next(Event{Time: noon, Result: Failure}, &Options{BackoffAfter: 1, FirstBackoff: time.Hour, MaxBackoff: time.Minute}).Wait(noon); got != time.Minute {
		t.Errorf("first wait over the limit: %v", got)
	}
}

func TestResultOf(t *testing.T) {
	for _, tt := range []struct {
		status int
		err    error
		want   Result
	}{
		{200, nil, Success}, {301, nil, Success}, {404, nil, Success}, {403, nil, Success},
		{429, nil, Failure}, {500, nil, Failure}, {503, nil, Failure}, {0, nil, Failure},
		{200, errors.New("reset"), Failure},
	} {
		if got := ResultOf(tt.status, tt.err); got != tt.want {
			t.Errorf("ResultOf(%d, %v) = %v, want %v", tt.status, tt.err, got, tt.want)
		}
	}
}

func TestStateIsStored(t *testing.T) {
	for _, s := range []HostState{
		{},
		HostState{CrawlDelay: 2 * time.Second, Failures: 2}.Next(Event{Time: noon, Took: time.Second, Result: Failure}, nil),
	} {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var again HostState
		if err := json.Unmarshal(data, &again); err != nil || again != s {
			t.Errorf("%+v stored as %s is %+v, %v", s, data, again, err)
		}
	}
}

// FuzzNext checks that the wait stays within the limits whatever happens, and
// that no event brings NotBefore forward.
func FuzzNext(f *testing.F) {
	f.Add(int64(1e9), int64(2e9), 3, int64(0), int64(1e9), uint8(1), int64(1e9), 1.5)
	f.Add(int64(-1), int64(1<<62), 1<<62, int64(1<<62), int64(1<<62), uint8(1), int64(-1), 1e300)
	f.Fuzz(func(t *testing.T, crawlDelay, took int64, failures int, notBefore, eventTook int64, result uint8, retryAfter int64, factor float64) {
		s := HostState{
			CrawlDelay: time.Duration(crawlDelay),
			Took:       time.Duration(took),
			Failures:   max(failures, 0),
			NotBefore:  noon.Add(time.Duration(notBefore)),
		}
		o := &Options{Factor: factor}
		e := Event{Time: noon, Took: time.Duration(eventTook), Result: Result(result % 3), RetryAfter: time.Duration(retryAfter)}
		next := s.Next(e, o)
		if next.NotBefore.Before(s.NotBefore) {
			t.Fatalf("%+v, then %+v", s, next)
		}
		if wait := next.NotBefore.Sub(noon); wait > DefaultMaxRetryAfter && !next.NotBefore.Equal(s.NotBefore) || wait < DefaultMinDelay {
			t.Fatalf("wait %v after %+v in %+v", wait, e, s)
		}
		if delay, _ := next.Delay(o); delay < DefaultMinDelay || delay > 30*time.Second {
			t.Fatalf("delay %v in %+v", delay, next)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	s := HostState{CrawlDelay: 2 * time.Second}
	e := Event{Time: noon, Took: time.Second, Result: Failure}
	b.ReportAllocs()
	for b.Loop() {
		s = s.Next(e, nil)
	}
}

// A host that fails and fails is given up after half a day, until it answers.
func TestGivenUp(t *testing.T) {
	var st HostState
	now := noon
	for !st.GivenUp(nil) {
		st = st.Next(Event{Time: now, Result: Failure}, nil)
		now = st.NotBefore
		if st.Failures > 100 {
			t.Fatal("a host that never answers is never given up")
		}
	}
	if took := now.Sub(noon); st.Failures != 15 || took < 10*time.Hour || took > 20*time.Hour {
		t.Errorf("given up after %d failures, for %v", st.Failures, took)
	}
	if st = st.Next(Event{Time: now, Result: Success}, nil); st.GivenUp(nil) {
		t.Error("given up although it has answered")
	}
	if (HostState{Failures: 1000}).GivenUp(&Options{FirstBackoff: -1}) {
		t.Error("given up though nobody backs off")
	}
}
