package crawler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-301537d8/weir/crawler/internal/columns"
	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
	"github.com/seed-301537d8/weir/queue"
)

// StoredItem is the record of an item.
type StoredItem struct {
	Key        string          `json:"key"`
	URL        string          `json:"url"` // of the page that wrote it
	Generation int             `json:"generation"`
	Value      json.RawMessage `json:"value"`
}

// ItemKind is what is stored of a name of items, so that they can be exported
// without the program that wrote them.
type ItemKind struct {
	Name string `json:"name"`
	// Columns are the fields of its type in JSON, in their order, or "value" if
	// it is no struct.
	Columns []string `json:"columns"`
	// Types are those of the columns: text, int, float, bool, time or json. They are
	// the columns of Parquet.
	Types []string `json:"types,omitempty"`
}

// itemKinds returns what is to be stored of the items that are declared, or what
// is wrong with them, by name.
func itemKinds(declared map[string]any) ([]ItemKind, error) {
	var kinds []ItemKind
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		t := valueType(declared[name])
		switch {
		case name == "" || strings.ContainsAny(name, "/ \t\x00") || len(name) > 100:
			errs = append(errs, fmt.Errorf("items have the name %q", name))
			continue
		case t == nil:
			errs = append(errs, fmt.Errorf("the items %s have no type", name))
			continue
		}
		if err := columns.Encodable(t); err != nil {
			errs = append(errs, fmt.Errorf("the items %s cannot be encoded: %w", name, err))
		}
		kind := ItemKind{Name: name}
		for _, c := range columns.Of(t) {
			kind.Columns, kind.Types = append(kind.Columns, c.Name), append(kind.Types, c.Type)
		}
		kinds = append(kinds, kind)
	}
	return kinds, errors.Join(errs...)
}

// itemWriter adds items to the transactions of their pages. That each is counted
// once although two pages may write it at the same moment is its work: the second
// one is put off until the first is through.
type itemWriter struct {
	mu      sync.Mutex
	writing map[string]reservation // by item, until it is committed
	written keySet                 // items that are known to be stored
}

// reservation says which page is about to write an item. One whose page is never
// heard of again holds for a minute.
type reservation struct {
	page  string
	until time.Time
}

const (
	reservationTime  = time.Minute
	manyReservations = 16 << 10 // beyond which those that are over are looked for
)

// errItemBusy puts a page off.
var errItemBusy = errors.New("another page is writing one of its items")

// put adds items to the transaction of a page, given by its key. It returns a
// function for the page to call if it fails later on.
func (w *itemWriter) put(ctx context.Context, store *queue.Store, out *pipeline.Out, page, url string, items []item) (undo func(), err error) {
	var ids []string
	undo = func() { w.done(ids) }
	defer func() {
		if err != nil {
			undo()
		}
	}()
	keys := make([]string, len(items))
	last := make(map[string]int) // of each item, if the page writes it twice
	for i, it := range items {
		key := it.key
		if key == "" {
			key = fmt.Sprintf("%s#%d", page, i+1)
		}
		keys[i] = tables.Key(key)
		last[it.name+"/"+keys[i]] = i
	}
	for i, it := range items {
		id := it.name + "/" + keys[i]
		if last[id] != i {
			continue
		}
		isNew, err := w.reserve(ctx, store, id, tables.Items(it.name), keys[i], page)
		if err != nil {
			return undo, err
		}
		ids = append(ids, id)
		b, err := codec.Encode(StoredItem{keys[i], url, out.Generation(), it.body})
		if err != nil {
			return undo, err
		}
		out.Tx().Put(tables.Items(it.name), keys[i], b)
		if isNew {
			out.Tx().Add(tables.Crawl, tables.ItemCounter(it.name), 1)
		}
	}
	out.OnCommit(func() {
		for _, id := range ids {
			w.written.add(id)
		}
		undo()
	})
	out.OnUndone(undo)
	return undo, nil
}

// putItems adds items to the transaction of a stage; see itemWriter.put. While
// another page is writing one of them the stage is to be tried again.
func (v *Visitor) putItems(ctx context.Context, out *pipeline.Out, page, url string, items []item) (undo func(), err error) {
	undo, err = v.Edges.items.put(ctx, v.Store, out, page, url, items)
	if errors.Is(err, errItemBusy) {
		startOver(out)
		err = pipeline.ErrAgain
	}
	return undo, err
}

// reserve reports whether an item is new.
func (w *itemWriter) reserve(ctx context.Context, store *queue.Store, id, table, key, page string) (isNew bool, err error) {
	now := time.Now()
	w.mu.Lock()
	if r, ok := w.writing[id]; ok && r.page != page && now.Before(r.until) {
		w.mu.Unlock()
		return false, errItemBusy
	}
	if w.writing == nil {
		w.writing = make(map[string]reservation)
	}
	if len(w.writing) > manyReservations {
		maps.DeleteFunc(w.writing, func(_ string, r reservation) bool { return now.After(r.until) })
	}
	w.writing[id] = reservation{page, now.Add(reservationTime)}
	w.mu.Unlock()
	if w.written.has(id) {
		return false, nil
	}
	_, err = store.Get(ctx, table, key)
	if errors.Is(err, queue.ErrNotFound) {
		return true, nil
	}
	return false, err
}

func (w *itemWriter) done(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		delete(w.writing, id)
	}
}
