package main

import (
	"fmt"
	"os"
)

func main() {
	switch os.Args[1] {
	case "cluster":
		f, _ := os.Open(os.Args[2])
		var k int
		fmt.Sscan(os.Args[3], &k)
		var n int
		fmt.Sscan(os.Args[4], &n)
		w, v, err := readVectors(f, n)
		if err != nil {
			panic(err)
		}
		g := cluster(v, k, 12)
		writeClusters(os.Stdout, w, g)
	case "wordnet":
		if err := writeWordNet(os.Stdout, os.Args[2]); err != nil {
			panic(err)
		}
	}
}
