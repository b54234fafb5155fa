package queue

// FireLate runs what the timer of a session's lease runs when it fires, as it
// goes if the lease is extended while that waits for the queue's lock.
func FireLate(consumer *Consumer) {
	c := consumer.session.(*session)
	fired := make(chan struct{})
	c.q.mu.Lock()
	go func() {
		c.expire()
		close(fired)
	}()
	c.extendLocked()
	c.q.mu.Unlock()
	<-fired
}

// Windows returns the bytes of waiting items in memory, as they count for
// Options.ItemMemory.
func Windows(s *Store) int64 { return s.engine.(*leader).itemMemory.Used() }

// ArmDue resumes a paused queue without a word to those who wait, and sets its timer for what
// is there for them.
func ArmDue(s *Store, name string) {
	q := s.engine.(*leader).queue(name)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused = false
	q.armLocked(false)
}
