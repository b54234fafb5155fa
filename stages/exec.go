package stages

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// Defaults of an [Exec].
const (
	DefaultExecTimeout = time.Minute
	DefaultExecMaxLine = 16 << 20
)

// ErrExecStopped is in the chain of the error of an item that was not done
// because Run ended. It says nothing against the item.
var ErrExecStopped = errors.New("exec: stopped")

// An Exec does items in child processes, which may be written in any language:
// it keeps a pool of them running and speaks JSON with them, one value a line,
// over their standard input and output. docs/exec.md describes the protocol;
// the folder clients has helpers for Python, Java and Node.
//
// Fill in Command, call Run in one goroutine and Do in as many as there are
// items at hand:
//
//	e := &stages.Exec{Command: []string{"python3", "worker.py"}}
//	go e.Run(ctx)
//	reply, err := e.Do(ctx, item)
//
// Nothing that a child does can harm more than the item it has: one that hangs,
// dies, floods its output, breaks the protocol or never says hello is killed
// with its process group, its item fails with an [*Error] that may pass, and
// the next item gets a new child, after a back-off that grows with each failure
// in a row. Other items of the same batch are given to another child; so an
// item may reach a child more than once, as it may after a crash of this
// process.
//
// What a child writes to standard error is logged, a record for each line.
//
// The fields must not be changed after the first call of Run or Do.
type Exec struct {
	// Command is the program and its arguments. It is required.
	Command []string
	// Dir is its working directory; this process's if empty.
	Dir string
	// Env is added to this process's environment, as "key=value".
	Env []string

	// Children is how many processes to keep; the number of processors if
	// zero. They are started as items need them.
	Children int
	// Batch is how many items at most to send in one line; 1 if zero. An item
	// never waits for a batch to fill.
	Batch int

	// Timeout bounds the time for each item, in the child; [DefaultExecTimeout]
	// if zero.
	Timeout time.Duration
	// HelloTimeout bounds the time from a child's start to its hello; 10 s if
	// zero.
	HelloTimeout time.Duration
	// StopTimeout bounds the time that a child has to finish its item when Run
	// is cancelled, and again to exit when its standard input is closed; 5 s if
	// zero. Then it is killed.
	StopTimeout time.Duration
	// MaxLine bounds a line in each direction, in bytes; [DefaultExecMaxLine]
	// if zero. A child's memory in this process is a few times that at most.
	MaxLine int

	// MinBackoff is the pause before a child is started after a failure, and
	// doubles with each further one up to MaxBackoff; 100 ms and 30 s if zero.
	MinBackoff, MaxBackoff time.Duration

	// Logger takes what children write to standard error, and their failures;
	// slog.Default() if nil.
	Logger *slog.Logger

	once    sync.Once
	jobs    chan *execJob // unbuffered: a job sent is a job that a slot has
	stopped chan struct{} // closed when Run has ended
	running sync.Mutex    // held by Run
}

// An execJob is one call of Do. Whoever has it answers it exactly once.
type execJob struct {
	item json.RawMessage
	done chan execAnswer // buffered: the caller may have gone
	ctx  context.Context // the caller's: to pass over a job that nobody waits for
	sent int             // how many children it was sent to; written by the slot that has it
}

type execAnswer struct {
	reply Reply
	err   error
}

func (j *execJob) answer(r Reply, err error) { j.done <- execAnswer{r, err} }

func (e *Exec) init() {
	e.jobs = make(chan *execJob)
	e.stopped = make(chan struct{})
}

// Do gives an item, which must be one JSON value, to a child and waits for its
// reply. If no Run is under way it waits for one to begin. Its errors are
// *Error values: those of the child, those of this package for a child that
// failed, or one with [ErrExecStopped] in its chain after Run has ended.
//
// If ctx ends first, Do returns at once; the child finishes the item, and its
// reply is thrown away.
//
// Do may be called by many goroutines.
func (e *Exec) Do(ctx context.Context, item json.RawMessage) (Reply, error) {
	e.once.Do(e.init)
	if !json.Valid(item) {
		return Reply{}, e.fail(ReasonFailed, true, "the item is not JSON", nil)
	}
	if limit := cmp.Or(e.MaxLine, DefaultExecMaxLine); len(item) > limit-64 {
		return Reply{}, e.fail(ReasonTooLarge, true, fmt.Sprintf("the item has %d bytes, a line may have %d", len(item), limit), nil)
	}
	job := &execJob{item: item, done: make(chan execAnswer, 1), ctx: ctx}
	select {
	case e.jobs <- job:
	case <-ctx.Done():
		return Reply{}, e.canceled(ctx)
	case <-e.stopped:
		return Reply{}, e.stoppedError()
	}
	select {
	case a := <-job.done:
		return a.reply, a.err
	case <-ctx.Done():
		return Reply{}, e.canceled(ctx)
	}
}

// Run keeps the children until ctx is cancelled, then lets those at work finish
// within StopTimeout, ends them all and returns nil. It returns an error at once
// if Command cannot be run at all, and must be called only once.
func (e *Exec) Run(ctx context.Context) error {
	e.once.Do(e.init)
	if !e.running.TryLock() {
		return errors.New("exec: Run was called twice")
	}
	if len(e.Command) == 0 {
		close(e.stopped)
		return errors.New("exec: no command")
	}
	// Dir decides where a relative path with a separator is looked up, which
	// LookPath does not know; Start will tell.
	if _, err := exec.LookPath(e.Command[0]); err != nil && e.Dir == "" {
		close(e.stopped)
		return fmt.Errorf("exec: %w", err)
	}
	// Jobs that a failed child had not begun come back here, and are taken
	// before new ones; there is room for twice what can be in flight, so handing
	// one back never waits.
	n, batch := cmp.Or(e.Children, runtime.GOMAXPROCS(0)), cmp.Or(e.Batch, 1)
	again := make(chan *execJob, 2*n*batch)
	var wg sync.WaitGroup
	for i := range n {
		s := &execSlot{e: e, again: again, log: cmp.Or(e.Logger, slog.Default()).With("command", e.Command[0], "slot", i)}
		wg.Go(func() { s.run(ctx) })
	}
	wg.Wait()
	close(e.stopped)
	for {
		select {
		case j := <-again:
			j.answer(Reply{}, e.stoppedError())
		default:
			return nil
		}
	}
}

func (e *Exec) fail(reason Reason, permanent bool, detail string, err error) *Error {
	subject := ""
	if len(e.Command) > 0 {
		subject = e.Command[0]
	}
	return &Error{Op: "exec", Subject: subject, Reason: reason, Permanent: permanent, Detail: clip(detail, 2000), Err: err}
}

func (e *Exec) canceled(ctx context.Context) *Error {
	reason := ReasonCanceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		reason = ReasonTimeout
	}
	return e.fail(reason, false, ctx.Err().Error(), ctx.Err())
}

func (e *Exec) stoppedError() *Error {
	return e.fail(ReasonStopped, false, "the stage has stopped", ErrExecStopped)
}

// An execSlot is the place of one child. Its fields belong to its goroutine.
type execSlot struct {
	e        *Exec
	log      *slog.Logger
	again    chan *execJob
	child    *execChild // nil if there is none now
	failures int        // in a row
	nextID   uint64
}

// run does jobs until ctx ends, then ends the child.
func (s *execSlot) run(ctx context.Context) {
	defer s.stopChild()
	for s.backOff(ctx) {
		jobs, ok := s.take(ctx)
		if !ok {
			return
		}
		if len(jobs) > 0 {
			s.do(ctx, jobs)
		}
	}
}

// backOff waits as long as the failures in a row demand; false if ctx ends.
func (s *execSlot) backOff(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	if s.failures == 0 {
		return true
	}
	d := cmp.Or(s.e.MinBackoff, 100*time.Millisecond) << min(s.failures-1, 20)
	d = min(d, cmp.Or(s.e.MaxBackoff, 30*time.Second))
	d = d/2 + rand.N(d/2+1)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take waits for a job and takes what others are there at once, up to a batch.
// It returns none if the idle child failed meanwhile.
func (s *execSlot) take(ctx context.Context) (jobs []*execJob, ok bool) {
	var lines chan execLine // nil without a child: never ready
	if s.child != nil {
		lines = s.child.lines
	}
	select {
	case <-ctx.Done():
		return nil, false
	case j := <-s.again:
		jobs = append(jobs, j)
	case j := <-s.newJobs():
		jobs = append(jobs, j)
	case l := <-lines:
		// A child that ends or speaks while nobody asked it anything is
		// replaced, at no item's cost.
		s.log.Warn("exec: an idle child is replaced", "error", l.cause(s.child, "a line on standard output that nobody asked for"))
		s.killChild()
		return nil, true
	}
	size := len(jobs[0].item)
	for limit := cmp.Or(s.e.MaxLine, DefaultExecMaxLine); len(jobs) < cmp.Or(s.e.Batch, 1) && size < limit/2; {
		var j *execJob
		select {
		case j = <-s.again:
		case j = <-s.newJobs():
		default:
			return jobs, true
		}
		size += len(j.item) + 64
		if size > limit-64 {
			s.again <- j // of the room that this slot's own batch has
			return jobs, true
		}
		jobs = append(jobs, j)
	}
	return jobs, true
}

// newJobs is where new jobs come from, or nil while there are some that came
// back.
func (s *execSlot) newJobs() chan *execJob {
	if len(s.again) > 0 {
		return nil
	}
	return s.e.jobs
}

// do gives a batch to the child, starting one if need be, and answers each job
// that it answers. The first that it does not answer fails with it; the rest
// are handed back.
func (s *execSlot) do(ctx context.Context, jobs []*execJob) {
	live := jobs[:0]
	for _, j := range jobs {
		if j.ctx.Err() != nil {
			j.answer(Reply{}, s.e.canceled(j.ctx))
			continue
		}
		live = append(live, j)
	}
	if jobs = live; len(jobs) == 0 {
		return
	}
	done, err := 0, s.ensureChild(ctx)
	if err == nil {
		done, err = s.converse(ctx, jobs)
	}
	if err == nil {
		s.failures = 0
		return
	}
	s.killChild()
	if ctx.Err() != nil {
		for _, j := range jobs[done:] {
			j.answer(Reply{}, s.e.stoppedError())
		}
		return
	}
	if done > 0 {
		s.failures = 0
	}
	s.failures++
	s.log.Warn("exec: a child failed", "error", err, "failures", s.failures)
	jobs[done].answer(Reply{}, err)
	for _, j := range jobs[done+1:] {
		j.sent++
		if j.sent > 10 {
			// Always behind a poisonous item: let it be counted and delayed.
			j.answer(Reply{}, err)
			continue
		}
		s.again <- j
	}
}

func (s *execSlot) ensureChild(ctx context.Context) error {
	if s.child != nil {
		return nil
	}
	c, err := s.e.start(s.log)
	if err != nil {
		return s.e.fail(ReasonStart, false, err.Error(), err)
	}
	s.child = c
	hello, _ := json.Marshal(execHello{
		Weir: ExecProtocol, MaxBatch: cmp.Or(s.e.Batch, 1), MaxLine: cmp.Or(s.e.MaxLine, DefaultExecMaxLine),
		TimeoutSeconds: cmp.Or(s.e.Timeout, DefaultExecTimeout).Seconds(),
	})
	t := time.NewTimer(cmp.Or(s.e.HelloTimeout, 10*time.Second))
	defer t.Stop()
	c.write(append(hello, '\n'))
	select {
	case l := <-c.lines:
		if l.err != nil {
			return s.e.fail(ReasonStart, false, "before its hello: "+l.cause(c, "").Error(), l.err)
		}
		h, err := decodeHello(l.text)
		if err != nil {
			return s.e.fail(ReasonStart, false, err.Error(), err)
		}
		s.log.Debug("exec: a child is ready", "name", h.Name, "pid", c.cmd.Process.Pid)
		return nil
	case <-t.C:
		return s.e.fail(ReasonStart, false, "the child said no hello in time", nil)
	case <-ctx.Done():
		return s.e.stoppedError()
	}
}

// converse sends a batch and reads its replies. It returns how many jobs it
// answered, and an error if that is not all.
func (s *execSlot) converse(ctx context.Context, jobs []*execJob) (done int, err error) {
	c := s.child
	batch := execBatch{Items: make([]execItem, len(jobs))}
	first := s.nextID + 1
	for i, j := range jobs {
		s.nextID++
		batch.Items[i] = execItem{ID: s.nextID, Item: j.item}
	}
	line, err := encodeBatch(batch)
	if err != nil {
		return 0, s.e.fail(ReasonFailed, true, err.Error(), err)
	}
	timeout, stop := cmp.Or(s.e.Timeout, DefaultExecTimeout), ctx.Done()
	t := time.NewTimer(timeout)
	defer t.Stop()
	if !c.write(line) {
		return 0, s.e.fail(ReasonNonsense, false, "the child does not read its standard input", nil)
	}
	for done < len(jobs) {
		select {
		case l := <-c.lines:
			if l.err != nil {
				reason := ReasonDied
				if errors.Is(l.err, errLongLine) {
					reason = ReasonNonsense
				}
				return done, s.e.fail(reason, false, l.cause(c, "").Error(), l.err)
			}
			r, err := decodeReply(l.text, first+uint64(done))
			if err != nil {
				return done, s.e.fail(ReasonNonsense, false, err.Error(), err)
			}
			jobs[done].answer(r.outcome(s.e.Command[0], time.Now()))
			done++
			if stop != nil {
				t.Reset(timeout)
			}
		case <-t.C:
			return done, s.e.fail(ReasonTimeout, false, fmt.Sprintf("no reply within %v", timeout), nil)
		case <-stop:
			// The item at work may finish, in the time there is to stop.
			stop = nil
			t.Reset(cmp.Or(s.e.StopTimeout, 5*time.Second))
		}
	}
	return done, nil
}

func (s *execSlot) killChild() {
	if s.child != nil {
		s.child.kill()
		s.child = nil
	}
}

func (s *execSlot) stopChild() {
	if s.child != nil {
		s.child.stop(cmp.Or(s.e.StopTimeout, 5*time.Second))
		s.child = nil
	}
}

// cause says why there is no line, or what is wrong with there being one.
func (l execLine) cause(c *execChild, otherwise string) error {
	switch {
	case l.err == nil:
		return fmt.Errorf("%s: %s", otherwise, quoteLine(l.text))
	case errors.Is(l.err, io.EOF):
		return c.exitError()
	}
	return l.err
}
