package queue

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/seed-301537d8/weir/internal/wire"
)

// This file has the stored form of what people name: queues with their settings,
// and barriers. Names, headers and bodies are bytes and come back as they were
// given. Stores before version 3 had both records as JSON, which turns what is not
// UTF-8 into something else; those that they hold are still read.
const (
	queueFormat   = 0x01
	barrierFormat = 0x01
	jsonFormat    = '{'
)

// queueRecord is what is stored about a queue:
//
//	format  paused  name  settings, in JSON  [filter]
//
// The settings are numbers, but for the filter of BarrierOn, which stands behind.
type queueRecord struct {
	Name   string `json:"name"`
	Config Config `json:"config"`
	Paused bool   `json:"paused,omitempty"`
}

func (rec queueRecord) append(b []byte) []byte {
	filter := rec.Config.BarrierOn
	rec.Config.BarrierOn = nil
	settings, err := json.Marshal(rec.Config)
	if err != nil {
		panic(err) // Config.validate lets no number pass that JSON has not
	}
	b = wire.AppendBool(append(b, queueFormat), rec.Paused)
	b = wire.AppendString(b, rec.Name)
	b = wire.AppendString(b, string(settings))
	if filter != nil {
		b = wire.AppendString(b, filter.Group)
		b = wire.AppendString(b, filter.Key)
		b = appendHeaders(b, filter.Headers)
	}
	return b
}

func decodeQueue(value []byte) (queueRecord, error) {
	var rec queueRecord
	if len(value) > 0 && value[0] == jsonFormat {
		if err := json.Unmarshal(value, &rec); err != nil {
			return rec, fmt.Errorf("%w: queue record: %w", ErrCorrupt, err)
		}
		return rec, nil
	}
	r := wire.NewReader(value)
	if r.Byte() != queueFormat {
		r.Fail()
	}
	rec.Paused = r.Bool()
	rec.Name = r.Text()
	settings := r.Bytes()
	if r.OK() {
		if err := json.Unmarshal(settings, &rec.Config); err != nil {
			return rec, fmt.Errorf("%w: settings of queue %q: %w", ErrCorrupt, rec.Name, err)
		}
	}
	if r.Len() > 0 {
		rec.Config.BarrierOn = &Filter{Group: r.Text(), Key: r.Text(), Headers: readHeaders(&r)}
	}
	if !r.Done() {
		r.Fail()
	}
	return rec, malformed(&r, "queue record")
}

// barrierRecord is how a barrier is stored:
//
//	format  placed  released  opened  acks  counts  headers  body
type barrierRecord struct {
	Body     []byte            `json:"body,omitempty"`
	Headers  map[string]string `json:"headers,omitempty"`
	Placed   int64             `json:"placed"` // Unix milliseconds
	Released int64             `json:"released,omitempty"`
	Opened   int64             `json:"opened,omitempty"`
	Acks     int               `json:"acks,omitempty"` // of sessions and names
	Counts   Totals            `json:"counts,omitzero"`
}

func (rec *barrierRecord) append(b []byte) []byte {
	b = append(b, barrierFormat)
	for _, ms := range []int64{rec.Placed, rec.Released, rec.Opened} {
		b = binary.AppendVarint(b, ms)
	}
	b = binary.AppendUvarint(b, uint64(rec.Acks))
	b = rec.Counts.append(b)
	b = appendHeaders(b, rec.Headers)
	return append(b, rec.Body...)
}

func decodeBarrierRecord(value []byte) (barrierRecord, error) {
	var rec barrierRecord
	if len(value) > 0 && value[0] == jsonFormat {
		if err := json.Unmarshal(value, &rec); err != nil {
			return rec, fmt.Errorf("%w: barrier: %w", ErrCorrupt, err)
		}
		return rec, nil
	}
	r := wire.NewReader(value)
	if r.Byte() != barrierFormat {
		r.Fail()
	}
	rec.Placed, rec.Released, rec.Opened = r.Varint(), r.Varint(), r.Varint()
	rec.Acks = r.Int()
	rec.Counts.decode(&r)
	rec.Headers = readHeaders(&r)
	rec.Body = r.Rest()
	return rec, malformed(&r, "barrier")
}

// appendHeaders appends headers in order of their names.
func appendHeaders(b []byte, headers map[string]string) []byte {
	b = binary.AppendUvarint(b, uint64(len(headers)))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		b = wire.AppendString(b, name)
		b = wire.AppendString(b, headers[name])
	}
	return b
}

// readHeaders returns nil if there are none.
func readHeaders(r *wire.Reader) map[string]string {
	n := r.Count(2)
	if n > maxItemHeaders {
		r.Fail()
		n = 0
	}
	if n == 0 {
		return nil
	}
	headers := make(map[string]string, n)
	for range n {
		name := r.Text()
		headers[name] = r.Text()
	}
	return headers
}
