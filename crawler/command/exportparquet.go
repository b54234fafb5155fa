package command

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/seed-301537d8/weir/crawler/internal/columns"
)

// parquetRows is how many bytes of JSON a group of rows is made of. It is held in
// memory.
const parquetRows = 16 << 20

// parquetWriter writes values, given as JSON, as rows of a Parquet file. Each column
// is optional: a field that is null or missing is null.
type parquetWriter struct {
	columns []columns.Column
	w       *parquet.GenericWriter[any]
	bytes   int // in the group
}

func newParquetWriter(out io.Writer, name string, all []columns.Column) *parquetWriter {
	group := columnGroup{Group: make(parquet.Group)}
	for _, c := range all {
		group.Group[c.Name] = parquet.Optional(parquetNode(c.Type))
		group.order = append(group.order, c.Name)
	}
	schema := parquet.NewSchema(name, group)
	return &parquetWriter{columns: all, w: parquet.NewGenericWriter[any](out, schema, parquet.Compression(&parquet.Zstd))}
}

func parquetNode(kind string) parquet.Node {
	switch kind {
	case columns.Int:
		return parquet.Int(64)
	case columns.Float:
		return parquet.Leaf(parquet.DoubleType)
	case columns.Bool:
		return parquet.Leaf(parquet.BooleanType)
	case columns.Time:
		return parquet.Timestamp(parquet.Microsecond)
	case columns.Text:
		return parquet.String()
	}
	return parquet.JSON()
}

// columnGroup is a group whose fields keep their order.
type columnGroup struct {
	parquet.Group
	order []string
}

func (g columnGroup) Fields() []parquet.Field {
	fields := slices.Clone(g.Group.Fields())
	slices.SortFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(g.order, a.Name()) - slices.Index(g.order, b.Name())
	})
	return fields
}

// write writes a value as a row.
func (p *parquetWriter) write(value json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(value, &fields); err != nil || len(p.columns) == 1 && p.columns[0].Name == columns.Value && fields[columns.Value] == nil {
		fields = map[string]json.RawMessage{columns.Value: value} // no object: the value is all
	}
	row := make(parquet.Row, len(p.columns))
	for i, c := range p.columns {
		v, err := parquetValue(c.Type, fields[c.Name])
		if err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
		defined := 1
		if v.IsNull() {
			defined = 0
		}
		row[i] = v.Level(0, defined, i)
	}
	if _, err := p.w.WriteRows([]parquet.Row{row}); err != nil {
		return err
	}
	if p.bytes += len(value); p.bytes < parquetRows {
		return nil
	}
	p.bytes = 0
	return p.w.Flush()
}

// parquetValue returns a value of a column.
func parquetValue(kind string, value json.RawMessage) (parquet.Value, error) {
	if len(value) == 0 || string(value) == "null" {
		return parquet.NullValue(), nil
	}
	switch kind {
	case columns.Int:
		return decoded(value, func(n int64) parquet.Value { return parquet.Int64Value(n) })
	case columns.Float:
		return decoded(value, func(f float64) parquet.Value { return parquet.DoubleValue(f) })
	case columns.Bool:
		return decoded(value, func(b bool) parquet.Value { return parquet.BooleanValue(b) })
	case columns.Time:
		return decoded(value, func(t time.Time) parquet.Value { return parquet.Int64Value(t.UnixMicro()) })
	case columns.Text:
		return decoded(value, func(s string) parquet.Value { return parquet.ByteArrayValue([]byte(s)) })
	}
	return parquet.ByteArrayValue(value), nil
}

func decoded[T any](value json.RawMessage, as func(T) parquet.Value) (parquet.Value, error) {
	var v T
	if err := json.Unmarshal(value, &v); err != nil {
		return parquet.Value{}, fmt.Errorf("%.100s is no %v, which the type of the items says; export them as jsonl", value, reflect.TypeFor[T]())
	}
	return as(v), nil
}

// close writes what is left, and the end of the file.
func (p *parquetWriter) close() error { return p.w.Close() }
