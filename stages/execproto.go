package stages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// The protocol between Exec and its children: one JSON value a line. It is
// described for the authors of workers in docs/exec.md.

// ExecProtocol is the version of the protocol that [Exec] speaks.
const ExecProtocol = 1

// execHello is the first line in each direction.
type execHello struct {
	Weir int `json:"weir"`
	// MaxBatch, MaxLine and TimeoutSeconds tell the child what to expect; Name
	// is the child's name for itself.
	MaxBatch       int     `json:"max_batch,omitempty"`
	MaxLine        int     `json:"max_line,omitempty"`
	TimeoutSeconds float64 `json:"timeout_seconds,omitempty"`
	Name           string  `json:"name,omitempty"`
}

// execBatch is a line to the child.
type execBatch struct {
	Items []execItem `json:"items"`
}

type execItem struct {
	ID   uint64          `json:"id"`
	Item json.RawMessage `json:"item"`
}

// encodeBatch returns the line of a batch with its end. It leaves <, > and & as
// they are, which pages are full of.
func encodeBatch(b execBatch) ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(b)
	return line.Bytes(), err
}

// execReply is a line from the child: the answer to one item.
type execReply struct {
	ID         *uint64   `json:"id"`
	OK         bool      `json:"ok"`
	Emit       emissions `json:"emit"`
	Error      string    `json:"error"`
	Reason     string    `json:"reason"`
	Permanent  bool      `json:"permanent"`
	RetryAfter float64   `json:"retry_after"`
}

// Reply is what a child answered to an item that it could do.
type Reply struct {
	// Emit holds what the item gave rise to, by the name of the edge, in the
	// order in which the child emitted it. It is nil if there is nothing.
	Emit map[string][]json.RawMessage
}

// MaxEmitted bounds how many values an item may emit. A value of a byte takes some
// sixty in memory, and a line may hold millions.
const MaxEmitted = 100_000

// emissions are what an item emits, by edge.
type emissions struct {
	values  map[string][]json.RawMessage
	tooMany bool // there are more than MaxEmitted, and they have not been read
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *emissions) UnmarshalJSON(b []byte) error {
	if e.tooMany = countValues(b) > MaxEmitted; e.tooMany {
		return nil
	}
	return json.Unmarshal(b, &e.values)
}

// countValues returns about how many values an object of lists has: one for each
// comma within them.
func countValues(b []byte) (n int) {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 2 {
				n++
			}
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		}
	}
	return n
}

// maxRetrySeconds bounds a child's retry_after.
const maxRetrySeconds = float64(maxRetryAfter / time.Second)

// decodeHello reads a child's first line.
func decodeHello(line []byte) (execHello, error) {
	var h execHello
	if err := decodeLine(line, &h); err != nil {
		return h, fmt.Errorf("the first line is no hello: %w: %s", err, quoteLine(line))
	}
	if h.Weir != ExecProtocol {
		return h, fmt.Errorf("the child speaks version %d of the protocol, this is version %d", h.Weir, ExecProtocol)
	}
	return h, nil
}

// decodeReply reads a child's answer to the item with the id given.
func decodeReply(line []byte, id uint64) (*execReply, error) {
	var r execReply
	if err := decodeLine(line, &r); err != nil {
		return nil, fmt.Errorf("a line on standard output is no reply (logs belong on standard error): %w: %s", err, quoteLine(line))
	}
	switch {
	case r.ID == nil:
		return nil, fmt.Errorf("a reply without an id: %s", quoteLine(line))
	case *r.ID != id:
		return nil, fmt.Errorf("a reply to item %d where the answer to item %d was due (replies keep the order of the items)", *r.ID, id)
	case r.OK && (r.Error != "" || r.Permanent || r.RetryAfter != 0):
		return nil, fmt.Errorf("a reply that is both ok and an error: %s", quoteLine(line))
	case !r.OK && r.Error == "":
		return nil, fmt.Errorf("a reply that is neither ok nor an error: %s", quoteLine(line))
	case !r.OK && (len(r.Emit.values) > 0 || r.Emit.tooMany):
		return nil, fmt.Errorf("an error that emits: %s", quoteLine(line))
	case r.RetryAfter < 0:
		return nil, fmt.Errorf("a negative retry_after: %s", quoteLine(line))
	}
	if r.Emit.tooMany {
		return &execReply{ID: r.ID, Error: fmt.Sprintf("the item emits more than %d values", MaxEmitted), Permanent: true}, nil
	}
	for edge, values := range r.Emit.values {
		if edge == "" {
			return nil, fmt.Errorf("an emission without the name of an edge: %s", quoteLine(line))
		}
		if len(values) == 0 {
			delete(r.Emit.values, edge)
		}
	}
	return &r, nil
}

// decodeLine reads exactly one JSON object.
func decodeLine(line []byte, v any) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return errors.New("not a JSON object")
	}
	return json.Unmarshal(line, v)
}

func quoteLine(line []byte) string { return clip(fmt.Sprintf("%.200q", line), 300) }

// outcome turns a valid reply into what Do returns.
func (r *execReply) outcome(subject string, now time.Time) (Reply, error) {
	if r.OK {
		if len(r.Emit.values) == 0 {
			return Reply{}, nil
		}
		return Reply{Emit: r.Emit.values}, nil
	}
	e := &Error{Op: "exec", Subject: subject, Reason: ReasonFailed, Permanent: r.Permanent, Detail: clip(r.Error, 2000)}
	if reason := strings.TrimSpace(r.Reason); reason != "" {
		e.Reason = Reason(clip(reason, 64))
	}
	if r.RetryAfter > 0 {
		e.RetryAfter = now.Add(time.Duration(min(r.RetryAfter, maxRetrySeconds) * float64(time.Second)))
	}
	return Reply{}, e
}
