module github.com/seed-301537d8/weir

go 1.26.0

require (
	code.dny.dev/ssrf v0.3.0
	github.com/andybalholm/brotli v1.2.8
	github.com/klauspost/compress v1.20.3
	golang.org/x/net v0.62.0
	golang.org/x/text v0.43.0
)

require github.com/google/go-cmp v0.6.0 // indirect
