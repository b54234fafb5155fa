module github.com/seed-301537d8/weir

go 1.26.0

require (
	github.com/dchest/siphash v1.2.3
	github.com/tidwall/btree v1.8.2
)
