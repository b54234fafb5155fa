//go:build !linux

package badgerqueue

import "context"

// limitMapped does nothing where the system does not tell what is mapped.
func (d *store) limitMapped() {}

// pageOut does nothing there either.
func (d *store) pageOut(context.Context) {}
