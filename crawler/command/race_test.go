//go:build race

package command_test

// underRace says that processes take the memory of the race detector besides theirs.
const underRace = true
