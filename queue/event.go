package queue

// EventKind says what has happened.
type EventKind uint8

const (
	EventReleased EventKind = iota // a barrier was released
	EventOpened                    // an epoch was opened
	EventBuried                    // an item went to the dead letters
	EventFailed                    // the store failed
)

func (k EventKind) String() string {
	switch k {
	case EventReleased:
		return "barrier released"
	case EventOpened:
		return "epoch opened"
	case EventBuried:
		return "item buried"
	case EventFailed:
		return "store failed"
	}
	return "unknown event"
}

// Event is something that an operator or a dashboard may want to hear of at
// once. What happens all the time is counted in [Stats] instead.
type Event struct {
	Kind    EventKind
	Queue   string
	Epoch   uint32 // EventReleased: the epoch that has ended; EventOpened: the new one
	ID      uint64 // EventBuried
	Attempt int    // EventBuried: deliveries
	Err     error  // EventBuried, EventFailed
}

// emit calls the user's hook. A hook that panics is not the store's end.
func (s *leader) emit(e Event) {
	if s.opts.OnEvent == nil {
		return
	}
	s.eventMu.Lock()
	defer s.eventMu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			s.log.Error("Options.OnEvent panicked", "event", e.Kind.String(), "panic", r)
		}
	}()
	s.opts.OnEvent(e)
}
