package queue

import (
	"maps"
	"slices"

	"github.com/seed-301537d8/weir/queue/internal/sched"
)

// A view is what the consumers with one filter see of the open epoch. They share it.
type view struct {
	filter Filter
	lanes  *sched.View[ref]
	users  int
}

// lineup returns the scheduler's view, nil for a consumer without a filter.
func (v *view) lineup() *sched.View[ref] {
	if v == nil {
		return nil
	}
	return v.lanes
}

// viewLocked returns the view of a filter for one more consumer.
func (q *queueState) viewLocked(f Filter) *view {
	for _, v := range q.views {
		if v.filter.equal(&f) {
			v.users++
			return v
		}
	}
	f.Headers = maps.Clone(f.Headers)
	v := &view{filter: f, users: 1}
	v.lanes = q.sched.View(func(k sched.Key, r ref) bool {
		item, err := decodeItem(r.at(q.id, laneOf(q.open, k)), r.value)
		if err != nil {
			return true // whoever takes it meets the error
		}
		return v.filter.Matches(&item.Item)
	})
	q.views = append(q.views, v)
	return v
}

// dropViewLocked takes a consumer away from its view.
func (q *queueState) dropViewLocked(v *view) {
	if v.users--; v.users == 0 {
		q.sched.Close(v.lanes)
		q.views = slices.DeleteFunc(q.views, func(x *view) bool { return x == v })
	}
}

func (f *Filter) equal(g *Filter) bool {
	return f.Group == g.Group && f.Key == g.Key && maps.Equal(f.Headers, g.Headers)
}
