//go:build !linux

package main

import "time"

func powerCut(*torture, time.Time) (string, error) { return "", errNoMounts }
func diskFull(*torture, time.Time) (string, error) { return "", errNoMounts }
