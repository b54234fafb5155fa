//go:build !linux

package badgerqueue

// limitMapped does nothing where the system does not tell what is mapped.
func (d *store) limitMapped() {}
