package command

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-301537d8/weir/stages/lang"
	"github.com/seed-301537d8/weir/stages/tag"
)

func (a *app) tagCommand() *cobra.Command {
	var language string
	var conllu bool
	cmd := &cobra.Command{
		Use:   "tag [flags] FILE",
		Short: "Cut text into sentences and words, and tag their parts of speech",
		Long: `Tag reads plain text and writes CoNLL-U: the sentences with their text, and each
word with its tags and its place in the text. With --conllu it reads CoNLL-U,
keeps its words, and fills in their UPOS and XPOS columns. The file - is standard
input.

There are models for ` + strings.Join(tag.Languages(), ", ") + `. Text in other languages is cut, but not tagged.`,
		Example: `  echo "Ann's cat didn't sleep." | weir tag -
  weir tag --language fr texte.txt
  weir tag --language en --conllu treebank.conllu > tagged.conllu`,
		Args: oneArg("one file, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := a.openFile(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			text := bufio.NewReaderSize(in, sampleSize)
			if language == "" {
				// An error of Peek comes again when the text is read.
				b, _ := text.Peek(sampleSize)
				language = detect(sample(b, conllu))
			}
			tagger, ok := tag.For(language)
			if !ok {
				fmt.Fprintf(a.err, "%s: no model for %s; words are not tagged (models: %s)\n",
					a.name, languageName(language), strings.Join(tag.Languages(), ", "))
			}
			if conllu {
				return tagger.FillCoNLLU(text, a.out)
			}
			out := tag.NewCoNLLUWriter(a.out)
			if err := tagger.TagReader(text, out.Write); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			return out.Flush()
		},
	}
	cmd.Flags().StringVar(&language, "language", "", "language of the text, such as en (default: found out)")
	cmd.Flags().BoolVar(&conllu, "conllu", false, "the input is CoNLL-U, whose words are to be tagged")
	complete(cmd, "language", tag.Languages()...)
	return cmd
}

// detect returns the language of a text. A short one is taken to be in one of
// those that there are models for.
func detect(text string) string {
	const short = 200
	if len(text) >= short {
		return lang.Detect(text).Code
	}
	return lang.DetectAmong(text, tag.Languages()...).Code
}

func languageName(code string) string {
	if code == "" {
		return "a language that is not known"
	}
	return "the language " + code
}

// sampleSize is how much of a text is looked at to find out its language, in
// bytes.
const sampleSize = 64 << 10

// sample returns text to find out the language from.
func sample(b []byte, conllu bool) string {
	if !conllu {
		return strings.ToValidUTF8(string(b), "")
	}
	const enough = 20_000
	var text strings.Builder
	for line := range bytes.Lines(b) {
		if fields := bytes.SplitN(line, []byte{'\t'}, 3); len(fields) == 3 {
			text.Write(fields[1])
			text.WriteByte(' ')
		}
		if text.Len() > enough {
			break
		}
	}
	return text.String()
}
