// Command train makes and measures the models of package tag.
//
//	train -lang en -xpos -out en.model train.conllu.gz
//	train -lang en -xpos -dev dev.conllu.gz train.conllu.gz
//	train -lang fr -folds 5 dev.conllu.gz
//	train -eval en.model -dev dev.conllu.gz
//	train -lang zh -dev dev.conllu.gz
//	train -split en.model -out en.model train.conllu.gz
//	train -cluster 512 -limit 60000 vectors.txt > clusters.tsv
//	train -wordnet dict > words.tsv
//	train -hunspell fr > words.tsv
//
// Files that end in .gz are uncompressed. The same input gives the same model,
// byte for byte.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/seed-301537d8/weir/stages/tag"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "train:", err)
		}
		os.Exit(1)
	}
}

type settings struct {
	opts     tag.TrainOptions
	words    string
	out, dev string
	eval     string
	split    string
	folds    int
	clusters int
	limit    int
	wordnet  string
	hunspell string
	drop     string
	verbose  bool
	files    []string
}

func run(args []string, stdout, stderr io.Writer) error {
	var s settings
	fs := flag.NewFlagSet("train", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.opts.Language, "lang", "", "BCP 47 `code` of the language")
	fs.BoolVar(&s.opts.XPOS, "xpos", false, "learn the XPOS column too")
	fs.IntVar(&s.opts.Epochs, "epochs", 0, "passes over the treebank (0: the default)")
	fs.IntVar(&s.opts.Voters, "voters", 0, "perceptrons to average (0: the default)")
	fs.Float64Var(&s.opts.Margin, "margin", 0, "by how much a right tag must lead (0: the default)")
	fs.IntVar(&s.opts.MinFeature, "min", 0, "how often a feature must occur (0: the default)")
	fs.Float64Var(&s.opts.Unit, "unit", 0, "one step of the stored weights (0: the default)")
	fs.StringVar(&s.words, "words", "", "up to two word `lists`, with a comma between them: lines of word, tab, class")
	fs.StringVar(&s.out, "out", "", "write the model to this `file`")
	fs.StringVar(&s.dev, "dev", "", "measure on this CoNLL-U `file`; without treebanks the tagger that there is for -lang")
	fs.StringVar(&s.eval, "eval", "", "measure this model `file` instead of training one")
	fs.StringVar(&s.split, "split", "", "keep this model `file`, and train only what ends its sentences")
	fs.IntVar(&s.folds, "folds", 0, "measure by cross-validation with this many parts")
	fs.IntVar(&s.clusters, "cluster", 0, "make this many clusters of the word vectors in the file given")
	fs.IntVar(&s.limit, "limit", 60000, "how many words to cluster")
	fs.StringVar(&s.wordnet, "wordnet", "", "make a word list of this WordNet dict `folder`")
	fs.StringVar(&s.hunspell, "hunspell", "", "make a word list of this Hunspell dictionary, `name`.aff and name.dic")
	fs.StringVar(&s.drop, "drop", "", "leave out of the -hunspell list what matches this regular `expression`, as \"form class\"")
	fs.BoolVar(&s.verbose, "v", false, "report the progress")
	if err := fs.Parse(args); err != nil {
		return err
	}
	s.files = fs.Args()
	if s.verbose {
		s.opts.Log = func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	}
	switch {
	case s.wordnet != "":
		return writeWordNet(stdout, s.wordnet)
	case s.hunspell != "":
		return writeHunspell(stdout, s.hunspell, s.drop)
	case s.clusters > 0:
		return s.cluster(stdout)
	case s.eval != "" || len(s.files) == 0 && s.opts.Language != "" && s.dev != "":
		return s.evaluate(stdout)
	}
	return s.train(stdout)
}

func (s *settings) cluster(stdout io.Writer) error {
	if len(s.files) != 1 {
		return errors.New("-cluster wants one file of word vectors")
	}
	r, err := open(s.files[0])
	if err != nil {
		return err
	}
	defer r.Close()
	words, vectors, err := readVectors(r, s.limit)
	if err != nil {
		return fmt.Errorf("%s: %w", s.files[0], err)
	}
	return writeClusters(stdout, words, cluster(vectors, s.clusters, 12))
}

func (s *settings) evaluate(stdout io.Writer) error {
	if s.dev == "" {
		return errors.New("-eval wants -dev")
	}
	dev, err := readTreebanks([]string{s.dev})
	if err != nil {
		return err
	}
	if s.eval == "" { // the tagger as it is
		t, _ := tag.For(s.opts.Language)
		return report(stdout, t, dev)
	}
	f, err := os.Open(s.eval)
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := tag.Load(bufio.NewReader(f))
	if err != nil {
		return fmt.Errorf("%s: %w", s.eval, err)
	}
	return report(stdout, t, dev)
}

func (s *settings) train(stdout io.Writer) error {
	if len(s.files) == 0 {
		return errors.New("no treebank given")
	}
	sentences, err := readTreebanks(s.files)
	if err != nil {
		return err
	}
	if err := s.readWordLists(); err != nil {
		return err
	}
	if s.folds > 1 {
		return s.crossValidate(stdout, sentences)
	}
	var buf bytes.Buffer
	if err := s.trainTo(&buf, sentences); err != nil {
		return err
	}
	if s.out != "" {
		if err := os.WriteFile(s.out, buf.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s: %d bytes\n", s.out, buf.Len())
	}
	if s.dev == "" {
		return nil
	}
	dev, err := readTreebanks([]string{s.dev})
	if err != nil {
		return err
	}
	t, err := tag.Load(&buf)
	if err != nil {
		return err
	}
	return report(stdout, t, dev)
}

// trainTo trains a model, or a part of one.
func (s *settings) trainTo(w io.Writer, sentences []*tag.TreebankSentence) error {
	if s.split == "" {
		return tag.Train(w, sentences, &s.opts)
	}
	b, err := os.ReadFile(s.split)
	if err != nil {
		return err
	}
	return tag.TrainSplit(w, bytes.NewReader(b), sentences, &s.opts)
}

// crossValidate measures models that were each trained without one part of
// the treebank on the part that is left out, and prints the mean.
func (s *settings) crossValidate(stdout io.Writer, sentences []*tag.TreebankSentence) error {
	var sum tag.Scores
	n := float64(s.folds)
	for fold := range s.folds {
		var train, dev []*tag.TreebankSentence
		for i, sentence := range sentences {
			if i*s.folds/len(sentences) == fold {
				dev = append(dev, sentence)
			} else {
				train = append(train, sentence)
			}
		}
		var buf bytes.Buffer
		if err := s.trainTo(&buf, train); err != nil {
			return err
		}
		t, err := tag.Load(&buf)
		if err != nil {
			return err
		}
		got := t.Evaluate(dev)
		sum.Words += got.Words
		sum.Sentences += got.Sentences
		sum.UPOS += got.UPOS / n
		sum.XPOS += got.XPOS / n
		sum.TokenF1 += got.TokenF1 / n
		sum.WordF1 += got.WordF1 / n
		sum.SentenceF1 += got.SentenceF1 / n
		sum.FlatSentenceF1 += got.FlatSentenceF1 / n
		sum.RawUPOS += got.RawUPOS / n
		sum.RawXPOS += got.RawXPOS / n
	}
	_, err := fmt.Fprintf(stdout, "%d parts: %v\n", s.folds, sum)
	return err
}

func report(w io.Writer, t *tag.Tagger, dev []*tag.TreebankSentence) error {
	start := time.Now()
	scores := t.Evaluate(dev)
	_, err := fmt.Fprintf(w, "%v (%.1fs)\n", scores, time.Since(start).Seconds())
	return err
}

func (s *settings) readWordLists() error {
	if s.words == "" {
		return nil
	}
	names := strings.Split(s.words, ",")
	if len(names) > len(s.opts.Words) {
		return fmt.Errorf("%d word lists, at most %d are used", len(names), len(s.opts.Words))
	}
	for i, name := range names {
		list, err := readWordList(name)
		if err != nil {
			return err
		}
		s.opts.Words[i] = list
	}
	return nil
}

func readWordList(name string) (map[string]string, error) {
	r, err := open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out := map[string]string{}
	sc := bufio.NewScanner(r)
	for line := 1; sc.Scan(); line++ {
		word, class, ok := strings.Cut(sc.Text(), "\t")
		if !ok {
			return nil, fmt.Errorf("%s: line %d: no tab", name, line)
		}
		out[word] = class
	}
	return out, sc.Err()
}

func readTreebanks(names []string) ([]*tag.TreebankSentence, error) {
	var out []*tag.TreebankSentence
	for _, name := range names {
		r, err := open(name)
		if err != nil {
			return nil, err
		}
		sentences, err := tag.ReadTreebank(r)
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, sentences...)
	}
	return out, nil
}

// open opens a file, and uncompresses it if its name ends in .gz.
func open(name string) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil || !strings.HasSuffix(name, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}
