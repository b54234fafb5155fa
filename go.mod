module github.com/seed-301537d8/weir

go 1.26

require github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
