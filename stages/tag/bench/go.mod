module github.com/seed-301537d8/weir/stages/tag/bench

go 1.26.0

require (
	github.com/jdkato/prose v1.2.1
	github.com/seed-301537d8/weir v0.0.0
)

require (
	github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
	github.com/montanaflynn/stats v0.6.3 // indirect
	github.com/shogo82148/go-shuffle v0.0.0-20180218125048-27e6095f230d // indirect
	gopkg.in/neurosnap/sentences.v1 v1.0.6 // indirect
)

replace github.com/seed-301537d8/weir => ../../..
