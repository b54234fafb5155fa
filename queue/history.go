package queue

import (
	"encoding/binary"

	"github.com/seed-301537d8/weir/internal/wire"
)

// history is what has come of an item's deliveries so far. One that has a history
// is stored alone, with
//
//	attempts  deaths  blamed  failure
//
// in the place of the attempts.
type history struct {
	attempts int    // how many deliveries there were
	deaths   int    // how many of them a death has ended
	blamed   int    // for how many deaths it was
	failure  string // the text of the last error
}

// maxFailure bounds what an unsettled item keeps of its last error, in bytes.
const maxFailure = 512

// historyLen bounds by how much an item grows when it gets another history.
const historyLen = 3*shortLen + 2 + maxFailure

// failed returns the history with one more delivery, which failed.
func (h history) failed(cause error) history {
	h.attempts++
	if cause != nil {
		h.failure = cut(cause.Error(), maxFailure)
	}
	return h
}

// readHistory reads the history of an item with these flags.
func readHistory(r *wire.Reader, flags byte) history {
	h := history{attempts: r.Int()}
	if flags&^itemFlags == itemHistory {
		h.deaths, h.blamed, h.failure = r.Int(), r.Int(), r.Text()
	}
	return h
}

func (f ref) history() history {
	r := wire.NewReader(f.value)
	return readHistory(&r, r.Byte())
}

// withHistory returns the item with another history.
func (f ref) withHistory(h history) ref {
	r := wire.NewReader(f.value)
	flags := r.Byte()
	readHistory(&r, flags)
	b := make([]byte, 0, len(f.value)+20+len(h.failure))
	b = append(b, itemHistory|flags&itemFlags)
	for _, n := range []int{h.attempts, h.deaths, h.blamed} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = wire.AppendString(b, h.failure)
	f.value = append(b, r.Rest()...)
	f.attempts, f.deaths = int32(h.attempts), int32(h.deaths)
	return f
}
