// Package lang finds out the language of a text.
//
// The script decides first: Greek is Greek. Where several languages share a
// script, a linear model over runs of one to five letters, and over whole words,
// decides between them; it is trained by [Train] on word lists and sentences. The
// text needs no length: four words are enough in most cases, a sentence in nearly
// all, and [Result.Confidence] says how sure the answer is.
//
// Serbian, Croatian and Bosnian in Latin letters are one language here ("hr"), as
// are the two written forms of Norwegian ("nb").
package lang
