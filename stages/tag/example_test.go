package tag_test

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/seed-301537d8/weir/stages/tag"
)

func ExampleTagger_Tag() {
	t, ok := tag.For("en-US")
	if !ok {
		log.Fatal("no model")
	}
	for _, s := range t.Tag("Ann's cat didn't sleep.") {
		for _, w := range s.Tokens {
			fmt.Println(w.Start, w.Text, w.UPOS, w.XPOS)
		}
	}
	// Output:
	// 0 Ann PROPN NNP
	// 3 's PART POS
	// 6 cat NOUN NN
	// 10 did AUX VBD
	// 13 n't PART RB
	// 17 sleep VERB VB
	// 22 . PUNCT .
}

// A language without a model gives sentences and tokens without tags.
func ExampleFor_unknown() {
	t, ok := tag.For("nl")
	fmt.Println(ok, t.HasTags())
	fmt.Println(len(t.Tag("Dit is een zin. En nog een.")))
	// Output:
	// false false
	// 2
}

// A Document keeps its memory from text to text.
func ExampleTagger_TagInto() {
	t, _ := tag.For("de")
	var doc tag.Document
	for _, text := range []string{"Das Haus ist groß.", "Der Hund schläft."} {
		t.TagInto(&doc, text)
		for _, w := range doc.Sentences[0].Tokens[:2] {
			fmt.Println(w.Text, w.UPOS)
		}
	}
	// Output:
	// Das DET
	// Haus NOUN
	// Der DET
	// Hund NOUN
}

func ExampleNounPhrases() {
	t, _ := tag.For("en")
	for _, p := range tag.NounPhrases(t.Tag("The old mill on the hill belongs to Alice's sister.")[0]) {
		fmt.Println(p.Text)
	}
	// Output:
	// The old mill
	// the hill
	// Alice's sister
}

func ExampleCountEntities() {
	t, _ := tag.For("en")
	s := t.Tag("Angela Merkel spoke in Paris. Later Angela Merkel left.")
	for _, c := range tag.CountEntities(s) {
		fmt.Println(c.Count, c.Text)
	}
	// Output:
	// 2 Angela Merkel
	// 1 Paris
}

func ExampleWriteCoNLLU() {
	t, _ := tag.For("en")
	if err := tag.WriteCoNLLU(os.Stdout, t.Tag("It works.")); err != nil {
		log.Fatal(err)
	}
	// Output:
	// # newpar
	// # sent_id = 1
	// # text = It works.
	// 1	It	_	PRON	PRP	_	_	_	_	TokenRange=0:2
	// 2	works	_	VERB	VBZ	_	_	_	_	SpaceAfter=No|TokenRange=3:8
	// 3	.	_	PUNCT	.	_	_	_	_	TokenRange=8:9
}

// The columns of a treebank other than its tags stay as they are.
func ExampleTagger_FillCoNLLU() {
	in := "1\tThe\tthe\t_\t_\t_\t2\tdet\t_\t_\n2\tdog\tdog\t_\t_\t_\t0\troot\t_\t_\n\n"
	t, _ := tag.For("en")
	if err := t.FillCoNLLU(strings.NewReader(in), os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1	The	the	DET	DT	_	2	det	_	_
	// 2	dog	dog	NOUN	NN	_	0	root	_	_
}

// A model of your own: train it on a treebank, keep the bytes, load them.
func ExampleTrain() {
	f, err := os.Open("testdata/en.conllu")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	sentences, err := tag.ReadTreebank(f)
	if err != nil {
		log.Fatal(err)
	}
	var model bytes.Buffer
	if err := tag.Train(&model, sentences, &tag.TrainOptions{Language: "en", XPOS: true}); err != nil {
		log.Fatal(err)
	}
	t, err := tag.Load(&model)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Language(), t.Evaluate(sentences).UPOS > 0.95)
	// Output:
	// en true
}
