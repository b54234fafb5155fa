package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/seed-301537d8/weir/crawler"
	"github.com/seed-301537d8/weir/crawler/inspect"
	"github.com/seed-301537d8/weir/internal/printable"
	"github.com/seed-301537d8/weir/queue"
)

type progressMode string

const (
	progressAuto  progressMode = "auto"
	progressPlain progressMode = "plain"
	progressJSON  progressMode = "json"
	progressOff   progressMode = "off"
)

func parseProgress(s string) (progressMode, error) {
	switch m := progressMode(s); m {
	case progressAuto, progressPlain, progressJSON, progressOff:
		return m, nil
	}
	return "", usagef("--progress is %q; it must be auto, plain, json or off", s)
}

// How often progress is shown.
const (
	redrawEvery = 200 * time.Millisecond
	lineEvery   = 2 * time.Second
)

// console is where messages and progress go. On a terminal the last lines are
// redrawn in place, and messages appear above them.
type console struct {
	width func() int // of the terminal; nil if it is none

	mu    sync.Mutex
	w     io.Writer
	drawn int // lines that are redrawn
}

func newConsole(w io.Writer) *console {
	c := &console{w: w}
	f, ok := w.(interface{ Fd() uintptr })
	if ok && term.IsTerminal(int(f.Fd())) && canRedraw(f.Fd()) {
		c.width = func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil || width < 20 {
				return 80
			}
			return width
		}
	}
	return c
}

// printf writes a message, a line of its own.
func (c *console) printf(format string, args ...any) {
	_, _ = c.Write(fmt.Appendf(nil, format+"\n", args...))
}

// Write writes whole lines above what is redrawn. What cannot be written is
// lost: a crawl does not end for that.
func (c *console) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eraseLocked()
	_, _ = io.WriteString(c.w, printable.String(string(b)))
	return len(b), nil
}

// draw replaces the lines drawn before.
func (c *console) draw(lines []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	if c.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", c.drawn)
	}
	width := c.width()
	for _, line := range lines {
		b.WriteString("\r" + cut(printable.Line(line), width-1) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	c.drawn = len(lines)
	_, _ = io.WriteString(c.w, b.String())
}

func (c *console) eraseLocked() {
	if c.drawn > 0 {
		fmt.Fprintf(c.w, "\x1b[%dA\r\x1b[J", c.drawn)
		c.drawn = 0
	}
}

func (c *console) erase() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eraseLocked()
}

// cut shortens a line to a number of characters.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(width-1, 0)]) + "…"
}

// progressReport is a moment of a crawl, as --progress json writes it.
type progressReport struct {
	Elapsed      float64 `json:"elapsed_seconds"`
	Rate         float64 `json:"pages_per_second"` // lately
	HostsActive  int     `json:"hosts_active"`
	HostsWaiting int     `json:"hosts_waiting"`
	Waiting      int64   `json:"waiting"` // addresses
	inspect.Status
}

// showProgress shows how the crawl comes on until ctx ends.
func (r *crawlRun) showProgress(ctx context.Context) {
	mode := r.progress
	if mode == progressAuto && r.con.width == nil {
		mode = progressPlain
	}
	if mode == progressOff {
		return
	}
	every := lineEvery
	if mode == progressAuto {
		every = redrawEvery
		defer r.con.erase()
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	rate := rateMeter{}
	rate.add(r.started, r.round, r.visits)
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p, err := r.report(ctx, &rate)
		if err != nil {
			continue // the crawl itself says what is wrong with the store
		}
		switch mode {
		case progressJSON:
			if b, err := json.Marshal(p); err == nil {
				_, _ = r.con.Write(append(b, '\n'))
			}
		case progressAuto:
			r.con.draw(p.lines(r.live.dir))
		default:
			r.con.printf("%s", p.line())
		}
	}
}

func (r *crawlRun) report(ctx context.Context, rate *rateMeter) (*progressReport, error) {
	p := &progressReport{Elapsed: time.Since(r.started).Seconds()}
	var err error
	if p.Status, err = inspect.ReadProgress(ctx, r.live.store); err != nil {
		return nil, err
	}
	frontier, err := r.live.store.QueueStats(ctx, crawler.StageCrawl)
	if err != nil {
		return nil, err
	}
	p.HostsActive, p.HostsWaiting = hosts(frontier)
	p.Waiting = waiting(p.Status)
	p.Rate = rate.add(time.Now(), p.Round, visits(p.Status))
	return p, nil
}

// hosts returns how many hosts are being asked and how many wait for their turn
// with something to fetch.
func hosts(q queue.QueueStats) (active, idle int) {
	idle = q.Groups - q.GroupsBusy
	return q.GroupsBusy, max(min(idle, int(q.Ready+q.Delayed)), 0)
}

// line is a report in one line.
func (p *progressReport) line() string {
	return fmt.Sprintf("%s  generation %d: %s, %s failed, %s waiting, %.1f pages/s, %d hosts active, %d waiting%s%s",
		duration(time.Duration(p.Elapsed*float64(time.Second))), p.Generation, plural(p.Pages, "page"),
		count(p.Failures), count(p.Waiting), p.Rate, p.HostsActive, p.HostsWaiting, p.failing(", "), p.backlogs(", ", ""))
}

// lines is a report for a terminal.
func (p *progressReport) lines(dir string) []string {
	lines := []string{
		fmt.Sprintf("Crawling into %s   generation %d   %s", dir, p.Generation, duration(time.Duration(p.Elapsed*float64(time.Second)))),
		fmt.Sprintf("  pages    %s done   %s failed   %s waiting   %.1f a second", count(p.Pages), count(p.Failures), count(p.Waiting), p.Rate),
		fmt.Sprintf("  hosts    %d active   %d waiting for their turn%s", p.HostsActive, p.HostsWaiting, p.failing("   ")),
	}
	if s := p.backlogs("   ", "  behind   "); s != "" {
		lines = append(lines, s)
	}
	return lines
}

// failing says of how many hosts the addresses wait until these are well again.
func (p *progressReport) failing(separator string) string {
	if len(p.Sick) == 0 {
		return ""
	}
	more := ""
	if len(p.Sick) == inspect.MaxSick {
		more = " or more"
	}
	return fmt.Sprintf("%s%d%s failing or slow, whose pages wait besides", separator, len(p.Sick), more)
}

// backlogs says what waits for the stages behind crawl.
func (p *progressReport) backlogs(separator, before string) string {
	var parts []string
	for _, q := range p.Queues[1:] {
		text := fmt.Sprintf("%s %s", q.Name, count(q.Ready+q.Delayed+q.Leased+q.Later))
		if q.Dead > 0 {
			text += fmt.Sprintf(" (%s dead)", count(q.Dead))
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return ""
	}
	if before == "" {
		before = separator
	}
	return before + strings.Join(parts, separator)
}

// visits is how many pages the present round has visited: the first one finds them, and
// those behind it visit what is known already.
func visits(st inspect.Status) int64 {
	if len(st.Rounds) == 0 {
		return st.Pages
	}
	r := st.Rounds[len(st.Rounds)-1]
	return r.New + r.Same + r.Changed + r.Moved + r.Vanished + r.Failed
}

// rateMeter measures the rate of the present round over the last ten seconds.
type rateMeter struct {
	round   int
	samples []rateSample
}

type rateSample struct {
	at time.Time
	n  int64
}

const rateWindow = 10 * time.Second

func (m *rateMeter) add(now time.Time, round int, n int64) float64 {
	if len(m.samples) > 0 && m.round != round { // it has begun since, with nothing
		m.samples = []rateSample{{m.samples[len(m.samples)-1].at, 0}}
	}
	m.round = round
	m.samples = append(m.samples, rateSample{now, n})
	for len(m.samples) > 2 && now.Sub(m.samples[0].at) > rateWindow {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	if dt := now.Sub(first.at).Seconds(); dt > 0 {
		return float64(n-first.n) / dt
	}
	return 0
}
