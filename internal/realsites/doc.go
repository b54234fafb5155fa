// Package realsites crawls documentation that is written by people, as Debian
// packages it, and compares what the crawler finds with what a plain walk finds
// that shares no code with it but the tokenizer of x/net/html. It needs the
// packages, so it is behind a build tag:
//
//	internal/realsites/fetch.sh /tmp/realsites
//	go test -tags realsites ./internal/realsites -realsites.dir /tmp/realsites
package realsites
