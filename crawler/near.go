package crawler

import (
	"context"
	"fmt"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/queue"
	"github.com/seed-301537d8/weir/stages/simhash"
)

// Near duplicates are found by the fingerprints of main texts; see package simhash. The
// index has those of pages that are near no page before them, under each of their
// bands, so it grows with what is different, and nothing of it is in memory. A page is
// compared with at most maxNearCandidates of a band. Of two pages that arrive at the
// same moment neither may be noted.

// What is done about near duplicates.
const (
	NearOff    = "off"    // nothing
	NearReport = "report" // they are noted: Text.NearDuplicateOf
	NearSkip   = "skip"   // and their links are not followed
)

const (
	// minNearWords is how many words a text has at least of which it can be told.
	minNearWords      = 50
	maxNearCandidates = 512
)

// nearKey is the key of a fingerprint in the index, under one of its bands.
func nearKey(h simhash.Hash, band int) string {
	return fmt.Sprintf("%d%04x", band, h.Band(band)) + h.String()
}

// nearDuplicate returns the fingerprint of a text and the address of the first page with
// nearly the same, "" if there is none: then the page is put into the index. before is
// the text that the page had, whose fingerprint the index may have.
func (v *Visitor) nearDuplicate(ctx context.Context, tx *queue.Tx, url, text string, before *Text) (hash, of string, err error) {
	h, words := simhash.Of(text)
	if before != nil && before.SimHash != "" && before.SimHash != h.String() && before.NearDuplicateOf == "" {
		v.forgetNear(tx, before.SimHash)
	}
	if words < minNearWords {
		return "", "", nil
	}
	for band := range simhash.Bands {
		from := nearKey(h, band)[:5]
		records, err := v.Store.Scan(ctx, tables.SimHashes, from, from+"g", maxNearCandidates)
		if err != nil {
			return "", "", err
		}
		for _, rec := range records {
			var o simhash.Hash
			if _, err := fmt.Sscanf(rec.Key[5:], "%x", (*uint64)(&o)); err != nil {
				return "", "", fmt.Errorf("record %s/%s: %w: %w", tables.SimHashes, rec.Key, queue.ErrCorrupt, err)
			}
			if first := string(rec.Value); first != url && simhash.Distance(h, o) <= simhash.MaxDistance {
				return h.String(), first, nil
			}
		}
	}
	for band := range simhash.Bands {
		tx.Put(tables.SimHashes, nearKey(h, band), []byte(url))
	}
	return h.String(), "", nil
}

// forgetNear takes a fingerprint out of the index.
func (v *Visitor) forgetNear(tx *queue.Tx, hash string) {
	var h simhash.Hash
	if _, err := fmt.Sscanf(hash, "%x", (*uint64)(&h)); err != nil {
		return // it is none, and so not in the index
	}
	for band := range simhash.Bands {
		tx.Delete(tables.SimHashes, nearKey(h, band))
	}
}

// noteNear adds to a text what is near it, in the stage extract.
func (v *Visitor) noteNear(ctx context.Context, tx *queue.Tx, d *Doc, t *Text) error {
	if v.Options.Settings.NearDuplicates == NearOff {
		return nil
	}
	var before *Text
	if d.history != nil {
		was := new(Text)
		if ok, err := tables.Get(ctx, v.Store, tables.Texts, d.key(), was); err != nil {
			return err
		} else if ok {
			before = was
		}
	}
	var err error
	if t.SimHash, t.NearDuplicateOf, err = v.nearDuplicate(ctx, tx, d.URL, t.Text, before); err != nil {
		return err
	}
	n := int64(btoi(t.NearDuplicateOf != "") - btoi(before != nil && before.NearDuplicateOf != ""))
	if n != 0 {
		tx.Add(tables.Crawl, tables.CounterNear, n)
	}
	return nil
}

// skipNear returns the page that one is a near duplicate of, if the links of such pages
// are not to be followed. It needs the main text, which the stage extract finds again
// where it does not run in the same breath.
func (v *Visitor) skipNear(ctx context.Context, visit *Visit) (string, error) {
	x := v.Options.extractor()
	if v.Options.Settings.NearDuplicates != NearSkip || visit.Status >= 400 {
		return "", nil
	}
	var text string
	switch {
	case visit.IsHTML():
		text = x.Extract(ctx, visit.Page(), visit.Header.Get("Content-Language")).Text
	case visit.MediaType() == "text/plain":
		text = string(visit.Body)
	default:
		return "", nil
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	// What the index learns of this page, and what it is to forget, is the stage's.
	_, of, err := v.nearDuplicate(ctx, new(queue.Tx), visit.URL, text, nil)
	return of, err
}
