package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-301537d8/weir/queue"
)

// Options are the settings of a pipeline. Nil and zero fields mean the defaults
// given.
type Options struct {
	// DrainTime is how long stages that are at work when Run's context ends
	// may go on before their own context ends. Default 10s.
	DrainTime time.Duration

	// Strict makes a generation begin only when the one before has passed
	// every stage. By default the first stages work on the next generation
	// while the last ones finish the present one.
	Strict bool

	// TimeLimit is for stages without one of their own; see [TimeLimit].
	// Default 10m. Negative means none.
	TimeLimit time.Duration

	// NoChaining makes every value go through its queue. By default a value is
	// handed to the next stage at once, in the same worker and as it is, where
	// that stage has a worker free and no backlog, and one transaction holds
	// what both do. The store looks the same either way, and so do crashes and
	// failures; a stage sees an [Out].ID of 0 then. See also [Unchained].
	NoChaining bool

	// KeepRunning makes Run wait for more work when the pipeline is done,
	// instead of returning.
	KeepRunning bool

	// OnGeneration is called when everything of a generation has passed every
	// stage. What it adds to tx is committed with the generation's record and
	// happens once. If it returns an error, Run ends with it, and it is called
	// again by the next Run.
	OnGeneration func(ctx context.Context, g Generation, tx *queue.Tx) error

	// Logger receives burials, changes of generation, failed attempts (the
	// first of a stage and then one a minute as warnings, the others at level
	// debug), and, every minute, what a stage waits for that has done nothing
	// meanwhile. Default: nothing is logged.
	Logger *slog.Logger
}

// Pipeline is a set of stages on one store. Its methods are safe for concurrent
// use once its stages are registered.
type Pipeline struct {
	store *queue.Store
	opts  Options
	log   *slog.Logger

	stages []*stage // in the order of Handle
	wiring []error  // mistakes found by Handle

	// turn is held by whoever places barriers, and guards state. It is a
	// channel so that waiting for it can end.
	turn  chan struct{}
	state *coordinator
	held  map[string]*queue.Delivery // barriers that this process coordinates

	mu      sync.Mutex
	running bool // guarded by mu

	full struct {
		sync.Mutex
		said time.Time // that there is no space on the disk
	}
}

// New returns a pipeline without stages.
func New(store *queue.Store, options *Options) *Pipeline {
	p := &Pipeline{store: store, turn: make(chan struct{}, 1), held: make(map[string]*queue.Delivery)}
	if options != nil {
		p.opts = *options
	}
	if p.opts.DrainTime == 0 {
		p.opts.DrainTime = 10 * time.Second
	}
	if p.opts.TimeLimit == 0 {
		p.opts.TimeLimit = defaultTimeLimit
	}
	if p.log = p.opts.Logger; p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	return p
}

// defaultTimeLimit is what a zero Options.TimeLimit means.
const defaultTimeLimit = 10 * time.Minute

// enter waits until nobody else places barriers; leave lets the next one.
func (p *Pipeline) enter(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *Pipeline) leave() { <-p.turn }

func (p *Pipeline) isRunning() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

func (p *Pipeline) stage(name string) *stage {
	for _, s := range p.stages {
		if s.name == name {
			return s
		}
	}
	return nil
}

// Validate returns an error that wraps ErrWiring, and names everything that is wrong with
// the wiring: an edge that nobody handles, two handlers of one queue. It asks the store
// for nothing. Run and Check begin with it.
func (p *Pipeline) Validate() error {
	errs := slices.Clone(p.wiring)
	if len(p.stages) == 0 {
		errs = append(errs, errors.New("there are no stages"))
	}
	for _, s := range p.stages {
		for _, f := range s.feeds {
			if p.stage(f) == nil {
				errs = append(errs, fmt.Errorf("%s feeds %s, which no stage handles", s.name, f))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrWiring, err)
	}
	return nil
}

// Run works until the pipeline is done, which is when nothing is left anywhere
// and the last generation is stored, or until ctx ends; then it lets the stages
// finish what they have begun, gives back the rest, and returns nil as well:
// [Pipeline.Done] tells the two apart. It returns an error if the wiring is
// wrong, before any work, and if the store or OnGeneration fails.
//
// Run owns every goroutine that it starts. A pipeline can be run again after
// Run has returned, and any number of times by later processes.
func (p *Pipeline) Run(ctx context.Context) error {
	if err := p.run(ctx); err != nil {
		return fmt.Errorf("run pipeline: %w", err)
	}
	return nil
}

func (p *Pipeline) run(ctx context.Context) error {
	if err := p.Validate(); err != nil {
		return err
	}
	p.mu.Lock()
	if p.running {
		p.mu.Unlock()
		return ErrRunning
	}
	p.running = true
	for _, s := range p.stages {
		s.limit = newLimiter(s.minWorkers, s.maxWorkers)
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.running = false
		p.mu.Unlock()
	}()

	if err := p.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	// taking ends first and makes stages take no more; working ends when they
	// have had time to finish.
	taking, stopTaking := context.WithCancel(ctx)
	defer stopTaking()
	working, stopWorking := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWorking(nil)

	g, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	stop := context.AfterFunc(failed, stopTaking) // one that fails stops all
	defer stop()
	begun := make(chan struct{})
	g.Go(func() error {
		defer stopTaking() // done, or failed
		return p.coordinate(taking, sync.OnceFunc(func() { close(begun) }))
	})
	g.Go(func() error { p.adjust(taking); return nil })
	g.Go(func() error { p.watch(taking); return nil })
	var drained sync.WaitGroup
	for _, s := range p.stages {
		drained.Add(1)
		g.Go(func() error {
			defer drained.Done()
			select {
			case <-begun:
				return s.work(taking, working)
			case <-taking.Done():
				return nil
			}
		})
	}
	g.Go(func() error {
		<-taking.Done()
		idle := make(chan struct{})
		go func() { drained.Wait(); close(idle) }()
		timer := time.NewTimer(p.opts.DrainTime)
		defer timer.Stop()
		select {
		case <-idle:
		case <-timer.C:
			stopWorking(errStopping)
			<-idle
		}
		return nil
	})
	return g.Wait()
}

// errStopping is the cause of the end of a stage's context.
var errStopping = errors.New("pipeline is stopping")

// Check returns an error that wraps ErrWiring if the pipeline is not wired as it
// must be, or ErrTopology if the store holds unfinished work of another one. Run
// does the same. Check changes nothing, so a program can call it before it does.
func (p *Pipeline) Check(ctx context.Context) error {
	err := p.Validate()
	if err == nil {
		err = p.checkTopology(ctx)
	}
	if err != nil {
		return fmt.Errorf("pipeline: %w", err)
	}
	return nil
}

// Prepare stores the topology and the settings of the queues, as Run does before
// anything else. A program that enqueues to a pipeline which is done, and whose stages
// are others than before, calls it first: afterwards there is work of the new stages.
func (p *Pipeline) Prepare(ctx context.Context) error {
	err := p.Validate()
	if err == nil {
		err = p.prepare(ctx)
	}
	if err != nil {
		return fmt.Errorf("prepare pipeline: %w", err)
	}
	return nil
}

// prepare checks the stored topology, configures the queues and recovers the
// coordinator's state.
func (p *Pipeline) prepare(ctx context.Context) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	if err := p.checkTopology(ctx); err != nil {
		return err
	}
	p.state = nil
	c, err := p.coordinator(ctx)
	if err != nil {
		return err
	}
	return c.configure(ctx)
}

// Default high-water marks of edges that are no loops.
const (
	defaultHighWaterItems = 1000
	defaultHighWaterBytes = 64 << 20
)

func (p *Pipeline) queueConfig(s *stage) queue.Config {
	cfg := s.config
	fed := false
	for _, from := range p.stages {
		fed = fed || slices.Contains(from.feeds, s.name) && !p.loops(from.name, s.name)
	}
	if fed && cfg.HighWaterItems == 0 && cfg.HighWaterBytes == 0 {
		cfg.HighWaterItems, cfg.HighWaterBytes = defaultHighWaterItems, defaultHighWaterBytes
	}
	return cfg
}

// Seed enqueues values for a new pipeline or a running one. On one that is
// empty or done they are the next generation, with a barrier behind them in the
// same transaction; on one that is at work they join the generation that is
// being found. Values whose key is known are left out.
//
// More values than fit in one transaction are committed in several, the
// barrier with the last; then Run should not have begun, lest what the first
// ones lead to count as seeds too.
func Seed[T any](ctx context.Context, p *Pipeline, edge *Edge[T], values ...T) error {
	items := make([]queue.Item, len(values))
	for i, v := range values {
		var err error
		if items[i], err = edge.Item(v); err != nil {
			return fmt.Errorf("seed: %w", err)
		}
	}
	if err := p.seed(ctx, edge.name, items); err != nil {
		return fmt.Errorf("seed %s: %w", edge.name, err)
	}
	return nil
}

// seedChunk is how many seeds go into one transaction.
const seedChunk = 1000

func (p *Pipeline) seed(ctx context.Context, name string, items []queue.Item) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if p.stage(name) == nil {
		return fmt.Errorf("%w: no stage handles %s", ErrWiring, name)
	}
	for len(items) > 0 {
		n := min(len(items), seedChunk)
		if err := p.seedPart(ctx, name, items[:n], n == len(items)); err != nil {
			return err
		}
		items = items[n:]
	}
	return nil
}

// seedPart commits seeds, the last of them with what comes behind them. While it
// waits for space it does not keep the coordinator from making some.
func (p *Pipeline) seedPart(ctx context.Context, name string, items []queue.Item, last bool) error {
	for {
		var tx queue.Tx
		tx.Enqueue(name, items...)
		commit := func() error { return p.store.Commit(ctx, &tx) }
		if last {
			commit = func() error { return p.commitSeeds(ctx, name, &tx) }
		}
		err := commit()
		if errors.Is(err, queue.ErrConflict) {
			continue
		}
		if !errors.Is(err, queue.ErrQueueFull) {
			return err
		}
		if err := p.store.WaitSpace(ctx, name); err != nil {
			return err
		}
	}
}

// commitSeeds commits seeds, and again if somebody else has just coordinated.
func (p *Pipeline) commitSeeds(ctx context.Context, name string, tx *queue.Tx) error {
	if err := p.enter(ctx); err != nil {
		return err
	}
	defer p.leave()
	c, err := p.coordinator(ctx)
	if err != nil {
		return err
	}
	if err = c.seeded(ctx, name, tx); errors.Is(err, queue.ErrConflict) {
		p.state = nil
	}
	return err
}

// StageStatus is what a stage is doing.
type StageStatus struct {
	Name    string
	Busy    int // values being worked on
	Workers int // how many it may work on now
}

// Stages returns what the stages are doing, in the order of Handle.
func (p *Pipeline) Stages() []StageStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := make([]StageStatus, len(p.stages))
	for i, s := range p.stages {
		status[i].Name = s.name
		if s.limit != nil && p.running {
			status[i].Busy, status[i].Workers = s.limit.now()
		}
	}
	return status
}

// loops reports whether a feed begins the next generation: it leads to the
// stage itself, or to one that was registered before and that leads back.
func (p *Pipeline) loops(from, to string) bool {
	index := func(name string) int {
		return slices.IndexFunc(p.stages, func(s *stage) bool { return s.name == name })
	}
	return cmp.Compare(index(to), index(from)) <= 0 && p.reaches(to, from, nil)
}

// reaches reports whether what a stage takes can lead to values of another.
func (p *Pipeline) reaches(from, to string, seen []string) bool {
	if from == to {
		return true
	}
	if slices.Contains(seen, from) {
		return false
	}
	s := p.stage(from)
	if s == nil {
		return false
	}
	for _, f := range s.feeds {
		if p.reaches(f, to, append(seen, from)) {
			return true
		}
	}
	return false
}
