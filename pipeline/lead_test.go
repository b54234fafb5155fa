package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/seed-301537d8/weir/queue"
)

// A coordinator that was cut short by a receiver of barriers ends for what the receiver
// says: a session that is lost is no end of the run, and a store that has failed is its reason.
func TestWhatEndsACoordinator(t *testing.T) {
	lost := fmt.Errorf("receive: %w", queue.ErrLeaseLost)
	canceled := fmt.Errorf("coordinate generations: stats: %w", context.Canceled)
	broken := errors.New("store has failed")
	for name, tt := range map[string]struct {
		err    error
		cut    bool
		failed error
		want   error
	}{
		"nothing":                              {nil, false, nil, nil},
		"itself":                               {broken, false, nil, broken},
		"itself, and a receiver with it":       {broken, false, lost, broken},
		"itself, for another reason meanwhile": {broken, true, lost, broken},
		"a receiver, while it waits":           {nil, true, lost, lost},
		"a receiver, while it reads":           {canceled, true, lost, lost},
		"a receiver, of a failure":             {canceled, true, broken, broken},
		"the end of the run":                   {canceled, true, nil, canceled},
	} {
		if got := whatEnded(tt.err, tt.cut, tt.failed); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
