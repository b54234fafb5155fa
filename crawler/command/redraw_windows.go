package command

import "golang.org/x/sys/windows"

// canRedraw switches on the codes that move the cursor, and reports whether the
// console has them.
func canRedraw(fd uintptr) bool {
	h := windows.Handle(fd)
	var mode uint32
	if windows.GetConsoleMode(h, &mode) != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
