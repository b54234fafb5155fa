package queuetest

import (
	"context"
	"sync"

	"github.com/seed-301537d8/weir/queue/driver"
)

// gate holds up a driver's commits while it is shut.
type gate struct {
	mu   sync.Mutex
	pass chan struct{} // nil if the gate is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.pass)
	g.pass = nil
}

// letOne waits for a commit at a gate that is shut, and lets it pass.
func (g *gate) letOne() { g.pass <- struct{}{} }

// gated is a driver behind a gate.
type gated struct {
	driver.Store
	gate *gate
}

func (d gated) Commit(ctx context.Context, writes []driver.Write) error {
	d.gate.mu.Lock()
	pass := d.gate.pass
	d.gate.mu.Unlock()
	if pass != nil {
		<-pass
	}
	return d.Store.Commit(ctx, writes)
}
