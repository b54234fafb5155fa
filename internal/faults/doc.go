// Package faults has a network that can be cut, for tests, and one of its own: a crawl on what would be nine machines, three
// that may lead, four workers, one with PostgreSQL and one with the web, in which at random
// moments processes are killed or stopped, the database crashes, and the network between
// them is cut, slow, or repeats what it carries.
//
//	go test ./internal/faults -faults.rounds 100 -timeout 0
package faults
