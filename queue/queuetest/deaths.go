package queuetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-301537d8/weir/queue"
)

var deathPromises = []promise{
	{name: "deaths are counted apart from failures", check: func(e *env) {
		e.configure("q", queue.Config{MaxAttempts: 2, MaxDeaths: 3, Backoff: queue.Backoff{Min: time.Second, Jitter: -1}})
		e.put("q", "x")
		e.one(e.subscribe("q", nil))
		e.crash()
		e.one(e.subscribe("q", nil))
		e.crash()
		d := e.one(e.subscribe("q", nil))
		if d.Attempt != 3 || d.Deaths != 2 {
			e.Errorf("attempt %d, deaths %d, want 3 and 2", d.Attempt, d.Deaths)
		}
		e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) })
		w := e.find("q", "x")
		if w.Attempts != 3 || w.Deaths != 2 || w.Failure != errWork.Error() || time.Until(w.Due) > time.Second {
			e.Errorf("after a failure: %+v", w)
		}
		d = e.one(e.subscribe("q", nil))
		e.commit(func(tx *queue.Tx) { tx.Retry(d, errWork) })
		if letters := e.dead("q"); len(letters) != 1 || letters[0].Attempts != 4 || letters[0].Deaths != 2 {
			e.Errorf("dead letters %+v, want one after 4 attempts, 2 of which were deaths", letters)
		}
	}},
	{name: "a death is counted once, however often the store is opened after it", check: func(e *env) {
		e.put("q", "x")
		e.one(e.subscribe("q", nil))
		e.crash()
		e.crash()
		e.reopen()
		if w := e.find("q", "x"); w.Attempts != 1 || w.Deaths != 1 {
			e.Errorf("%+v, want one death", w)
		}
	}},
	{name: "what kills is found among many, and the others are not buried for it", check: func(e *env) {
		const most = 5
		for _, q := range []string{"a", "b"} {
			e.configure(q, queue.Config{MaxDeaths: most})
			for i := range 40 {
				e.put(q, fmt.Sprint(q, i))
			}
		}
		poison := []string{"a7", "b33"}
		deaths := 0
		var done []string
		for len(done)+len(e.dead("a"))+len(e.dead("b")) < 80 {
			if deaths > 100 {
				e.Fatal("the cause is not found in 100 deaths")
			}
			done = append(done, e.life(poison, "a", "b")...)
			deaths++
		}
		for _, q := range []string{"a", "b"} {
			for _, l := range e.dead(q) {
				if !slices.Contains(poison, string(l.Item.Body)) {
					e.Errorf("%s is dead after %d deaths: %s", l.Item.Body, l.Deaths, l.Reason)
				}
			}
		}
		if len(done) != 78 {
			e.Errorf("%d items are done after %d deaths, want the 78 that do not kill", len(done), deaths)
		}
	}},
	{name: "those who are there whenever the process dies are not buried if it dies anyway", check: func(e *env) {
		e.put("q", "1", "2", "3", "4", "5", "6", "7", "8")
		for range 40 {
			e.now(e.subscribe("q", nil), 8)
			e.pass(700 * time.Millisecond)
			e.crash()
		}
		e.pass(time.Minute)
		got := e.drain(e.subscribe("q", nil))
		slices.Sort(got)
		e.wants("left after 40 deaths", got, "1", "2", "3", "4", "5", "6", "7", "8")
	}},
	{name: "what kills in a company that never changes ends in the dead letters", check: func(e *env) {
		e.configure("q", queue.Config{MaxDeaths: 2})
		e.put("q", "1", "2")
		deaths := 0
		for ; len(e.dead("q")) == 0 && deaths < 100; deaths++ {
			e.pass(3 * time.Minute)
			if ds := e.now(e.subscribe("q", nil), 2); len(ds) != 2 {
				e.Fatalf("%d items came together, want both", len(ds))
			}
			e.crash()
		}
		if deaths > 20 {
			e.Errorf("nobody was buried in %d deaths", deaths)
		}
	}},
}

// life works on whatever comes, on each item for a second, until one of the poison
// has been worked on for a little less and the process dies of it, or nothing is
// left. It returns what is done.
func (e *env) life(poison []string, queues ...string) (done []string) {
	since := make(map[*queue.Delivery]time.Time)
	var sessions []*queue.Consumer
	for _, q := range queues {
		sessions = append(sessions, e.subscribe(q, nil))
	}
	for {
		left := int64(0)
		for i, c := range sessions {
			for _, d := range e.now(c, 100) {
				since[d] = time.Now()
			}
			st := e.stats(queues[i])
			left += st.Ready + st.Delayed + st.Leased
		}
		if left == 0 {
			return done
		}
		for d, start := range since {
			had := time.Since(start)
			name := string(d.Item.Body)
			if had >= 900*time.Millisecond && slices.Contains(poison, name) {
				e.crash()
				return done
			}
			if had >= time.Second {
				e.ack(d)
				delete(since, d)
				done = append(done, name)
			}
		}
		e.pass(100 * time.Millisecond)
	}
}

// find returns the unsettled item with a body.
func (e *env) find(q, body string) queue.Waiting {
	e.Helper()
	page, err := e.s.Browse(e.ctx, q, nil, 10_000)
	e.must(err)
	for _, w := range page {
		if string(w.Item.Body) == body {
			return w
		}
	}
	e.Fatalf("%s is not in %s", body, q)
	return queue.Waiting{}
}
