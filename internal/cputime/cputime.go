// Package cputime tells how much processor time the process has used, by which tests and
// benchmarks measure, or a thread of it: other programs on the machine do not change it as
// they do the time on the clock.
package cputime
