//go:build !windows

package command

import "os"

// canRedraw reports whether a terminal understands the codes that move the
// cursor.
func canRedraw(uintptr) bool { return os.Getenv("TERM") != "dumb" }
