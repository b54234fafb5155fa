module github.com/seed-301537d8/weir

go 1.26
