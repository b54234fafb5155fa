//go:build !clockstep

package main

import "errors"

func (w *worker) stepClock() error {
	return errors.New("this program was built with a clock that cannot be set")
}
