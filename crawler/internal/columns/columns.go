// Package columns tells what columns a table of values of a Go type has: the fields
// of the type as package json names them.
package columns

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Column is a column of a table.
type Column struct {
	Name string
	Type string
}

// The types of columns: what JSON has of them.
const (
	Text  = "text"
	Int   = "int" // of 64 bits
	Float = "float"
	Bool  = "bool"
	Time  = "time" // in RFC 3339
	JSON  = "json" // anything else
)

// Value is the name of the one column of values that have no fields.
const Value = "value"

// Of returns the columns of values of a type, in the order of its fields.
func Of(t reflect.Type) []Column {
	if t = pointed(t); t.Kind() != reflect.Struct || marshalsItself(t) {
		return []Column{{Value, typeOf(t)}}
	}
	var all []Column
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !f.IsExported():
			continue
		case f.Anonymous && name == "" && pointed(f.Type).Kind() == reflect.Struct:
			continue // its fields are promoted, and among the visible ones
		case name == "":
			name = f.Name
		}
		column := Column{name, typeOf(f.Type)}
		if slices.Contains(strings.Split(options, ","), "string") {
			column.Type = Text
		}
		if !slices.ContainsFunc(all, func(c Column) bool { return c.Name == name }) {
			all = append(all, column)
		}
	}
	return all
}

// typeOf returns what values of a type are in JSON.
func typeOf(t reflect.Type) string {
	t = pointed(t)
	if t == reflect.TypeFor[time.Time]() {
		return Time
	}
	if implements(t, jsonMarshaler) {
		return JSON
	}
	if implements(t, textMarshaler) {
		return Text
	}
	switch t.Kind() {
	case reflect.String:
		if t == reflect.TypeFor[json.Number]() {
			return JSON
		}
		return Text
	case reflect.Bool:
		return Bool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return Int
	case reflect.Float32, reflect.Float64:
		return Float
	}
	return JSON
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

func implements(t, marshaler reflect.Type) bool {
	return t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)
}

func marshalsItself(t reflect.Type) bool {
	return implements(t, jsonMarshaler) || implements(t, textMarshaler)
}

// pointed is a type without pointers.
func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// Encodable returns an error if package json cannot encode values of a type,
// whatever they hold.
func Encodable(t reflect.Type) error { return encodable(t, nil) }

func encodable(t reflect.Type, within []reflect.Type) error {
	if marshalsItself(t) || slices.Contains(within, t) {
		return nil
	}
	within = append(within, t)
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("JSON has no %v", t)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return encodable(t.Elem(), within)
	case reflect.Map:
		switch k := t.Key(); {
		case k.Implements(textMarshaler), k.Kind() == reflect.String, k.Kind() >= reflect.Int && k.Kind() <= reflect.Uintptr:
		default:
			return fmt.Errorf("JSON has no %v", t)
		}
		return encodable(t.Elem(), within)
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if f.Tag.Get("json") == "-" || !f.IsExported() {
				continue
			}
			if err := encodable(f.Type, within); err != nil {
				return fmt.Errorf("field %s: %w", f.Name, err)
			}
		}
	}
	return nil
}
