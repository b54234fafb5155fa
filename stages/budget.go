package stages

import (
	"cmp"
	"context"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// A Budget bounds the memory that large pages under way take together, in bytes:
// whoever wants more than there is waits for others to give back. Many workers
// share one, and a nil *Budget has no bound.
//
// It has two parts, one for bodies and one for trees and what else is made of a
// body. Nobody waits for either with a share of the same, and nobody with one of the
// second waits for the first. So whoever holds a tree finishes it and gives it back,
// whoever holds a body waits for nobody but those, and there is no deadlock. A page
// keeps its share of the bodies for as long as its body is there: until it is stored
// for the next stage, and from when it is read from there until that is done. Small
// pages, which are nearly all, are not counted.
//
// An eighth of the budget comes on top for answers that are kept until somebody has time
// for them, of any size; see [FetchResponse.Keep]. Nobody waits for it.
type Budget struct {
	bodies, trees, kept pool
}

type pool struct {
	size    int64
	free    *semaphore.Weighted
	waiting atomic.Int64
	waits   atomic.Int64
}

// NewBudget returns a budget of that many bytes.
func NewBudget(bytes int64) *Budget {
	b := new(Budget)
	b.bodies.init(bytes / 2)
	b.trees.init(bytes / 2)
	b.kept.init(bytes / 8)
	return b
}

func (p *pool) init(size int64) {
	p.size = max(size, 1)
	p.free = semaphore.NewWeighted(p.size)
}

// Waits returns how many pages wait at this moment, and how many have had to.
func (b *Budget) Waits() (now, ever int64) {
	if b == nil {
		return 0, 0
	}
	return b.bodies.waiting.Load() + b.trees.waiting.Load(), b.bodies.waits.Load() + b.trees.waits.Load()
}

// Tree waits until n bytes may be taken for the tree of a page, or for what else
// is made of its body, and takes them; see [DocumentSize]. One that is larger
// than the budget gets all of it, by itself. The error is that of ctx.
func (b *Budget) Tree(ctx context.Context, n int64) (*Share, error) {
	if b == nil || n < smallTree {
		return nil, nil
	}
	return b.trees.take(ctx, n)
}

// Document is Tree for what [ParseDocument] makes of a page.
func (b *Budget) Document(ctx context.Context, body []byte) (*Share, error) {
	if b == nil || int64(len(body))*mostTree < smallTree {
		return nil, nil
	}
	return b.Tree(ctx, DocumentSize(body, nil))
}

// Extraction is Document for a page whose text is extracted as well: its blocks and
// texts take several times what the page does.
func (b *Budget) Extraction(ctx context.Context, body []byte) (*Share, error) {
	if b == nil || int64(len(body))*mostExtraction < smallTree {
		return nil, nil
	}
	return b.Tree(ctx, DocumentSize(body, nil)+5*int64(len(body)))
}

// ExtractionOf is Extraction for a page whose links have been read, of which it is
// found out once what its tree takes.
func (b *Budget) ExtractionOf(ctx context.Context, d *Document) (*Share, error) {
	if b == nil || int64(len(d.body))*mostExtraction < smallTree {
		return nil, nil
	}
	return b.Tree(ctx, treeSize(d.treeCost(), d.opts.MaxNodes, len(d.body))+5*int64(len(d.body)))
}

// How many times the size of a page its tree may take, one of nothing but tags, and
// with that the blocks.
const (
	mostTree       = 30
	mostExtraction = 35
)

// Body is Tree for bodies, and for what holds one. Nobody who holds a share for a
// tree may wait for one of these.
func (b *Budget) Body(ctx context.Context, n int64) (*Share, error) {
	if b == nil || n <= smallBody {
		return nil, nil
	}
	return b.bodies.take(ctx, n)
}

// Keep takes n bytes for an answer that waits to be used, and reports whether there is
// room for it.
func (b *Budget) Keep(n int64) (*Share, bool) {
	if b == nil {
		return nil, true
	}
	if !b.kept.free.TryAcquire(n) {
		return nil, false
	}
	return &Share{p: &b.kept, n: n}, true
}

func (p *pool) take(ctx context.Context, n int64) (*Share, error) {
	n = min(n, p.size)
	if !p.free.TryAcquire(n) {
		p.waits.Add(1)
		p.waiting.Add(1)
		err := p.free.Acquire(ctx, n)
		p.waiting.Add(-1)
		if err != nil {
			return nil, context.Cause(ctx)
		}
	}
	return &Share{p: p, n: n}, nil
}

// A Share is what one page has of a [Budget]. It belongs to one goroutine. A nil
// *Share is nothing.
type Share struct {
	p *pool
	n int64
}

// shrink gives back all but n bytes.
func (s *Share) shrink(n int64) {
	if s != nil && n < s.n {
		s.p.free.Release(s.n - n)
		s.n = n
	}
}

// Release gives the share back. It may be called more than once.
func (s *Share) Release() { s.shrink(0) }

const (
	// smallBody is how large a body may be that is not counted, in bytes.
	smallBody = 256 << 10
	// smallTree is the same for trees.
	smallTree = 2 << 20
	// nodeSize is what a node, or an attribute with its strings, takes.
	nodeSize = 200
)

// DocumentSize returns about how many bytes [ParseDocument] will take for a page:
// its tree and the text in it.
func DocumentSize(body []byte, opts *DocumentOptions) int64 {
	limit := DefaultMaxNodes
	if opts != nil {
		limit = cmp.Or(opts.MaxNodes, limit)
	}
	return treeSize(treeCost(body, limit), limit, len(body))
}

func treeSize(cost, limit, body int) int64 {
	return int64(min(cost, limit))*nodeSize + int64(body)
}
