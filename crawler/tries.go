package crawler

import (
	"fmt"
	"runtime/debug"

	"github.com/seed-301537d8/weir/pipeline"
)

// maxDeaths is how often an address, or a page on its way through the stages, may be
// blamed for the death of the process; see queue.Config.
const maxDeaths = 50

// attempts is how often an address has been delivered, with what failed before it last
// left the frontier for its host's sake.
func (r *Request) attempts(out *pipeline.Out) int { return r.failures + out.Attempt() }

// spent reports whether an address that fails now has failed often enough.
func (v *Visitor) spent(out *pipeline.Out) bool {
	return out.Failures()+1 >= v.Options.Settings.maxAttempts()
}

// startOver drops what a visit wants so far, but for what holds however it ends: how its
// host is to be treated, say.
func startOver(out *pipeline.Out) {
	out.Reset()
	out.Tx().Append(out.OnFailure())
}

// panicked makes a panic of the stage a failed try.
func (v *Visitor) panicked(r Request, out *pipeline.Out, value any) error {
	stack := debug.Stack()
	if p, ok := value.(*panicked); ok { // elsewhere
		value, stack = p.value, p.stack
	}
	v.Options.logger().Error("crawl stage panicked", "url", r.URL, "panic", value, "stack", string(stack))
	if v.spent(out) {
		startOver(out)
		return v.giveUp(out, r, ReasonPanic, fmt.Sprint(value), 0)
	}
	return fmt.Errorf("panic: %v", value)
}
