// Command torture attacks stores in folders from the outside for as long as it
// is told: a child process works on a store and says what it was promised, and
// is killed, has its power cut, its files damaged or taken away, its disk filled,
// its clock set back. After each of these the store is compared with what was
// said. It prints one line of figures for each attack, and exits with status 1 if
// a promise was broken, or if an attack was not possible that must be.
//
//	go run ./internal/torture -minutes 10
//
// Filesystems are mounted for power cuts and full disks, which takes root on
// Linux. Where that is not permitted the attacks are left out, which it says
// loudly, and which is a failure with -mounts or in CI (the variable CI is set).
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errNoMounts is returned by an attack that could not mount a filesystem.
var errNoMounts = errors.New("no filesystem can be mounted here")

// An attack goes on until a time, and returns its figures.
type attack struct {
	name string
	run  func(t *torture, until time.Time) (figures string, err error)
}

var attacks = []attack{
	{"kill", killed},
	{"power-cut", powerCut},
	{"bit-flip", flipped},
	{"missing-file", missing},
	{"disk-full", diskFull},
	{"clock-step", clockStepped},
	{"history", history},
}

// torture is what the attacks share.
type torture struct {
	dir string // temporary
	rng *rand.Rand
}

func main() {
	minutes := flag.Float64("minutes", 1, "how long, shared by the attacks")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of everything but the scheduler")
	only := flag.String("only", "", "names of attacks, with commas between them, instead of all")
	mounts := flag.Bool("mounts", os.Getenv("CI") != "", "fail where filesystems cannot be mounted")
	keep := flag.Bool("keep", false, "keep the stores")
	childDir := flag.String("child", "", "be the child that works on this folder")
	var o childOptions
	flag.BoolVar(&o.fill, "fill", false, "the child: fill the disk, then drain the store")
	flag.BoolVar(&o.step, "step", false, "the child: set its clock back again and again")
	flag.Parse()
	if *childDir != "" {
		o.seed = *seed
		if err := child(*childDir, o); err != nil {
			fmt.Println("!", err)
			os.Exit(3)
		}
		return
	}
	os.Exit(run(time.Duration(*minutes*float64(time.Minute)), *seed, *only, *mounts, *keep))
}

func run(d time.Duration, seed uint64, only string, mounts, keep bool) (status int) {
	dir, err := os.MkdirTemp("", "torture")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	chosen := func(a attack) bool { return only == "" || strings.Contains(","+only+",", ","+a.name+",") }
	many := 0
	for _, a := range attacks {
		if chosen(a) {
			many++
		}
	}
	if many == 0 {
		fmt.Printf("no attack of -only %s is known\n", only)
		return 1
	}
	fmt.Printf("%v, seed %d, stores in %s\n", d, seed, dir)
	for i, a := range attacks {
		if !chosen(a) {
			continue
		}
		t := &torture{dir: filepath.Join(dir, a.name), rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		if err := os.Mkdir(t.dir, 0o755); err != nil {
			fmt.Println(err)
			return 1
		}
		figures, err := a.run(t, time.Now().Add(d/time.Duration(many)))
		switch {
		case errors.Is(err, errNoMounts) && !mounts:
			fmt.Printf("%-13s NOT DONE, and so NOT TESTED: %v\n", a.name, err)
		case err != nil:
			fmt.Printf("%-13s BROKEN after %s, with -seed %d -only %s: %v\n", a.name, figures, seed, a.name, err)
			status, keep = 1, true
		default:
			fmt.Printf("%-13s ok: %s\n", a.name, figures)
		}
	}
	if !keep {
		os.RemoveAll(dir)
	}
	return status
}
