// Train makes the models of package lang.
//
//	go run ./stages/lang/train -words DIR -sentences DIR -out stages/lang/lang.model
//
// DIR of -words has lists CODE.txt with a word and its count in each line, as
// github.com/hermitdave/FrequencyWords has them; DIR of -sentences has files
// CODE.*, a sentence or some words in each line. Of files named CODE.sentences every
// second line is left out, and with -test the models are measured on these.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-301537d8/weir/stages/lang"
)

func main() {
	log.SetFlags(0)
	words := flag.String("words", "", "folder of word lists")
	sentences := flag.String("sentences", "", "folder of sentences")
	out := flag.String("out", "", "write the models to this `file`")
	test := flag.Bool("test", false, "measure the embedded models on the sentences that training leaves out")
	only := flag.String("only", "", "with -test: measure on these languages, separated by commas")
	var opts lang.TrainOptions
	flag.IntVar(&opts.Steps, "steps", 0, "samples of each language (default 40,000)")
	flag.UintVar(&opts.Bits, "bits", 0, "bits of a feature (default 16 for Latin, 14 for others)")
	flag.Parse()
	if *out != "" {
		var buf bytes.Buffer
		if err := lang.Train(&buf, read(*words, *sentences), &opts); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(*out, buf.Bytes(), 0o666); err != nil {
			log.Fatal(err)
		}
		log.Printf("%s: %d bytes", *out, buf.Len())
	}
	if *test {
		measure(*sentences, *only)
	}
}

// codes maps the names of files to languages; "" leaves a file out. Serbian in
// Latin letters, Bosnian and Croatian are one class, as no list tells them apart.
var codes = map[string]string{
	"no": "nb", "pt_br": "pt", "nn": "", "bs": "hr", "ze_en": "", "ze_zh": "", "zh_cn": "", "zh_tw": "", "iw": "he",
	"sn": "", "st": "", "tn": "", "ts": "", "xh": "", "zu": "", "yo": "", "lg": "", "mi": "", "la": "",
}

// share is how many pages are in a language against others of its script, by the
// surveys of W3Techs, damped: what is rare on the web needs more to be believed.
var share = map[string]float64{
	"en": 4, "es": 2, "de": 2, "fr": 2, "pt": 1.7, "it": 1.6, "nl": 1.5, "pl": 1.4, "ru": 2, "fa": 1.2, "ar": 1.2, "hi": 1.5,
	"af": .3, "eo": .2, "so": .2, "sw": .3, "cy": .3, "ga": .3, "tl": .3, "az": .4, "be": .4, "kk": .4, "mn": .4, "ms": .5, "ur": .7, "mr": .6, "sq": .5, "gl": .5, "ca": .7, "eu": .6,
}

func read(words, sentences string) []lang.Corpus {
	all := make(map[string]*lang.Corpus)
	corpus := func(name string) *lang.Corpus {
		code, ok := codes[name]
		if !ok {
			code = name
		}
		if code == "" {
			return nil
		}
		if all[code] == nil {
			all[code] = &lang.Corpus{Code: code, Share: share[code]}
		}
		return all[code]
	}
	for _, path := range files(words) {
		name, _, _ := strings.Cut(filepath.Base(path), ".")
		c := corpus(name)
		if name == "sr" {
			c = corpus("hr") // the list is in Latin letters
		}
		if c == nil {
			continue
		}
		for _, line := range lines(path) {
			word, count, ok := strings.Cut(line, " ")
			if n, err := strconv.Atoi(count); ok && err == nil {
				c.Words, c.Counts = append(c.Words, word), append(c.Counts, n)
			}
		}
	}
	for _, path := range files(sentences) {
		name, kind, _ := strings.Cut(filepath.Base(path), ".")
		c := corpus(name)
		if c == nil {
			continue
		}
		for i, line := range lines(path) {
			if kind != "sentences" || i%2 == 0 {
				c.Sentences = append(c.Sentences, line)
			}
		}
	}
	var out []lang.Corpus
	for _, code := range slices.Sorted(mapsKeys(all)) {
		out = append(out, *all[code])
	}
	return out
}

func mapsKeys(m map[string]*lang.Corpus) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func files(dir string) []string {
	if dir == "" {
		return nil
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		log.Fatal(err)
	}
	return paths
}

func lines(path string) []string {
	f, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	var out []string
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		out = append(out, sc.Text())
	}
	if err := sc.Err(); err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	return out
}

// measure prints how many of the sentences, and of four words out of each, are
// given the language of their file.
func measure(sentences, only string) {
	known := lang.Languages()
	r := rand.New(rand.NewPCG(1, 1))
	var sum, sum4, n float64
	for _, path := range files(sentences) {
		name, kind, _ := strings.Cut(filepath.Base(path), ".")
		if kind != "sentences" || !slices.Contains(known, name) || only != "" && !slices.Contains(strings.Split(only, ","), name) {
			continue
		}
		right, right4, total := 0, 0, 0
		wrong := make(map[string]int)
		for i, line := range lines(path) {
			if i%2 == 0 {
				continue
			}
			total++
			if lang.Detect(line).Code == name {
				right++
			}
			w := strings.Fields(line)
			if len(w) > 4 {
				from := r.IntN(len(w) - 3)
				w = w[from : from+4]
			}
			if got := lang.Detect(strings.Join(w, " ")).Code; got == name {
				right4++
			} else {
				wrong[got]++
			}
		}
		a, b := float64(right)/float64(total), float64(right4)/float64(total)
		sum, sum4, n = sum+a, sum4+b, n+1
		fmt.Printf("%s\tsentence %.3f\tfour words %.3f\t%v\n", name, a, b, wrong)
	}
	fmt.Printf("%.0f languages\tsentence %.3f\tfour words %.3f\n", n, sum/n, sum4/n)
}
