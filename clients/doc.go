// Package clients holds helpers for workers of [stages.Exec] in other
// languages, one file each without dependencies: python/weir_worker.py,
// java/WeirWorker.java and node/weir_worker.js. Its tests run each of them
// against Exec.
//
// [stages.Exec]: https://pkg.go.dev/github.com/seed-301537d8/weir/stages#Exec
package clients

import "embed"

// Files holds the helpers, under the names above, for a program that brings
// its workers with it and writes them to disk before it starts them.
//
//go:embed python/weir_worker.py java/WeirWorker.java node/weir_worker.js
var Files embed.FS
