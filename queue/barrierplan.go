package queue

// This file plans what happens to barriers.

// placeBarrier plans the end of the tail epoch.
func (p *plan) placeBarrier(q *queueState, body []byte, headers map[string]string) {
	epoch := q.counts.tail
	rec := &barrierRecord{Body: body, Headers: headers, Placed: p.wall}
	p.put(p.seal(appendEpoch(p.tail(), kindBarrier, q.id, epoch)), rec.append(nil))
	q.counts.tail++
	q.epochs[q.counts.tail] = new(epochCounts)
	p.touchEpoch(q.epochs[q.counts.tail])
	p.leaveEpoch(q)
	p.result.Barriers = append(p.result.Barriers, BarrierID{q.name, epoch})
	p.touch(q)
}

// settleBarrier plans what a consumer says of a barrier.
func (p *plan) settleBarrier(q *queueState, o *op) error {
	d := o.d
	if o.kind != opAck {
		delay := o.delay
		if o.kind == opRetry && !o.explicit {
			delay = q.config.Backoff.Delay(d.Attempt)
		}
		kind := effectBarrier
		if o.kind == opRelease || o.kind == opSnooze {
			kind = effectBarrierUncounted
		}
		p.effect(q, effect{kind: kind, d: d, delay: delay})
		return nil
	}
	q.mu.Lock()
	if q.released != d.Barrier {
		q.mu.Unlock()
		return nil // the session ended and its barrier has been opened without it
	}
	if d.c.barrier == barrierDelivered {
		d.c.barrier = barrierAcked
		q.audience--
	}
	q.acks++
	q.mu.Unlock()
	p.effect(q, effect{kind: effectEnd, d: d})
	if name := d.c.opts.Durable; name != "" {
		p.setName(q, name, nameRecord{next: d.Epoch + 1})
	}
	if q.opening {
		return nil
	}
	if opened, err := p.tryOpen(q); err != nil || opened {
		return err
	}
	p.put(p.seal(appendEpoch(p.tail(), kindBarrier, q.id, d.Epoch)), q.releasedRecord().append(nil))
	return nil
}

// releasedRecord is the stored form of the released barrier as it is now.
func (q *queueState) releasedRecord() *barrierRecord {
	b := q.released
	return &barrierRecord{
		Body: b.Body, Headers: b.Headers, Placed: b.Placed.UnixMilli(),
		Released: b.Released.UnixMilli(), Acks: q.acks, Counts: b.Counts,
	}
}

// tryOpen plans the opening of the next epoch if the released barrier has been
// acked by all who were to ack it.
func (p *plan) tryOpen(q *queueState) (opened bool, err error) {
	q.mu.Lock()
	ready := q.released != nil && !q.opening && q.acks > 0 && q.audience == 0
	for _, n := range q.names {
		ready = ready && n.next > q.counts.open
	}
	q.mu.Unlock()
	if !ready {
		return false, nil
	}
	epoch := q.counts.open
	rec := q.releasedRecord()
	rec.Opened = p.wall
	p.put(p.seal(appendEpoch(p.tail(), kindBarrier, q.id, epoch)), rec.append(nil))
	if epoch >= passedBarriers {
		p.del(p.seal(appendEpoch(p.tail(), kindBarrier, q.id, epoch-passedBarriers)))
	}
	p.del(p.seal(appendEpoch(p.tail(), kindEpoch, q.id, epoch)))
	delete(q.epochs, epoch)
	q.counts.open++
	q.sweep, q.opening = true, true
	p.leaveEpoch(q)
	p.touch(q)
	return true, nil
}

// leaveEpoch ends the blocks in the making: what is enqueued to a group that is
// deferred may go elsewhere from now on, and blocks of one group must not interleave.
func (p *plan) leaveEpoch(q *queueState) {
	if len(q.deferring.groups) > 0 {
		p.packing.close()
	}
}
