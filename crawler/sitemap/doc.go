// Package sitemap reads sitemaps: the XML of sitemaps.org (sets of URLs and
// indexes of other sitemaps), plain text, RSS and Atom, gzipped or not.
//
// [Parse] reads a stream and hands over one [Entry] after another, with
// bounded memory and the limits of the protocol. What a file is, is told by its
// bytes and not by its name or type. Real sitemaps are often broken: wrong or
// missing namespaces, unescaped ampersands, invalid UTF-8, tags that do not
// match. Parse takes what can be understood, and reports with an error if the
// file did not come to its end.
package sitemap
