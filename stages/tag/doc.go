// Package tag cuts text into sentences and words and gives each word its part
// of speech.
//
// It has models for English, with Penn Treebank tags and universal tags, and
// for Portuguese, French, Spanish and German, with universal tags:
//
//	t, ok := tag.For("en")
//	for _, s := range t.Tag("Ann's cat didn't sleep.") {
//		for _, w := range s.Tokens {
//			fmt.Println(w.Text, w.UPOS, w.XPOS, w.Start, w.End)
//		}
//	}
//
// For other languages ok is false and the tagger gives sentences and tokens
// alone. [NounPhrases] and [Entities] find phrases in a tagged sentence, and
// [WriteCoNLLU] and [Tagger.FillCoNLLU] speak the format of the Universal
// Dependencies treebanks.
//
// # Words
//
// Words are those of the treebanks that the models learned from. English
// "don't" is "do" and "n't"; French "l'homme" is "l'" and "homme";
// contractions like Portuguese "da", French "du", Spanish "del" and German
// "zum" are two words, "de" and "a" for instance, which share the place of
// the contraction in the text (see [Token]). White space is never part of a
// token, but for numbers like French "80 000". Chinese, Japanese and Thai are cut
// into the words of a dictionary. A blank line ends a sentence
// in any case; a single line break is white space like any other.
//
// # Models
//
// A model is an averaged perceptron over hashed features of the words around
// and the tags before, together with a dictionary of tags, and a second one
// that ends sentences. [Train] makes a model from a treebank in the CoNLL-U
// format, and [Load] reads it, so that any language with a treebank can be
// added. The command in the folder train does both from the command line.
//
// Any text may be tagged, valid UTF-8 or not. A [Tagger] is safe for
// concurrent use; with a [Document] for each goroutine, tagging allocates no
// memory once the document has grown to the size of the texts.
package tag
