// Package warc writes and reads WARC files, the form in which web archives
// keep what was fetched: what the server sent and what it was asked, with the
// time, the address and a checksum.
//
// It follows WARC 1.1, which is ISO 28500:2017
// (https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/).
// Each record is written as a gzip member of its own (annex D), so that any
// record can be read from where it begins without what precedes it.
//
// The parts:
//
//   - [Record] is one record; [Append] and [AppendGzip] write it.
//   - [Exchange] is an HTTP request with its response, as records.
//   - [Archive] keeps a folder of files that agrees with a position stored in
//     somebody else's transaction.
//   - [Reader] reads the records of a file one by one.
//
// What servers sent is never trusted: no header or URL can begin a line of its
// own in a record, and reading takes memory only for bytes that are there.
package warc
