package command_test

import (
	"sync"

	"github.com/seed-301537d8/weir/internal/pgtest"
)

// database is a server that the first test which needs it starts, and TestMain stops.
var database *pgtest.Server

var startDatabase = sync.OnceValue(func() (err error) {
	database, err = pgtest.Start()
	return err
})

func stopDatabase() {
	if database != nil {
		database.Close()
	}
}
