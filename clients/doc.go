// Package clients holds helpers for workers of [stages.Exec] in other
// languages, one file each without dependencies: python/weir_worker.py,
// java/WeirWorker.java and node/weir_worker.js. It has no Go code but the tests
// that run each of them against Exec.
//
// [stages.Exec]: https://pkg.go.dev/github.com/seed-301537d8/weir/stages#Exec
package clients
