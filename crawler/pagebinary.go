package crawler

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The stored form of a Page: there is one for each address, so it is most of what a
// crawl keeps. Addresses are written as what differs from one before (each of the links
// from the link before it), and what has a short form in that.

// contentTypes are content types that are written as their place here, from 1. Add at the
// end.
var contentTypes = []string{
	"text/html; charset=utf-8", "text/html", "text/html; charset=UTF-8", "text/html;charset=utf-8", "text/html;charset=UTF-8",
	"text/html; charset=iso-8859-1", "text/html; charset=ISO-8859-1", "application/xhtml+xml", "text/plain; charset=utf-8", "text/plain",
}

const digestForm = "sha256:" // before the hexadecimal digits of a Page.Digest

// Flags of a page.
const (
	flagNoIndex = 1 << iota
	flagTooLarge
	flagSoft404
	flagVanished
	flagDigest // in its short form
	flagRemote // in its short form
)

// MarshalBinary implements encoding.BinaryMarshaler.
func (p Page) MarshalBinary() ([]byte, error) {
	digest, shortDigest := p.shortDigest()
	remote, shortRemote := p.shortRemote()
	flags := byte(0)
	flag := func(bit byte, set bool) {
		if set {
			flags |= bit
		}
	}
	flag(flagNoIndex, p.NoIndex)
	flag(flagTooLarge, p.TooLarge)
	flag(flagSoft404, p.Soft404)
	flag(flagVanished, p.VanishedAt != nil)
	flag(flagDigest, shortDigest)
	flag(flagRemote, shortRemote)
	b := make(packed, 0, 256+len(p.URL)+len(p.Title)+48*len(p.Links))
	b = append(b, flags)
	b.text(p.URL)
	for _, address := range []string{p.Referrer, p.DuplicateOf, p.Redirect, p.Canonical} {
		b.near(address, p.URL)
	}
	for _, s := range []string{p.Method, p.Label, p.Title, p.ETag, p.Modified, remote, digest, string(p.Request)} {
		b.text(s)
	}
	known := slices.Index(contentTypes, p.ContentType) + 1
	if b.number(known); known == 0 {
		b.text(p.ContentType)
	}
	for _, n := range []int{p.Status, p.Generation, p.Depth, p.Bytes, p.Attempts, p.Items, p.Round, p.Dropped} {
		b.signed(int64(n))
	}
	b.signed(int64(p.Took))
	b.signed(int64(p.FirstByte))
	var err error
	if b, err = appendTime(b, p.FetchedAt); err != nil {
		return nil, err
	}
	if p.VanishedAt != nil {
		if b, err = appendTime(b, *p.VanishedAt); err != nil {
			return nil, err
		}
	}
	b.number(len(p.Links))
	before := p.URL
	for _, l := range p.Links {
		b.near(l.To, before)
		b.text(l.Anchor)
		before = l.To
	}
	return b, nil
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (p *Page) UnmarshalBinary(data []byte) error {
	u := unpack(data)
	flags := u.Byte()
	*p = Page{URL: u.Text(), NoIndex: flags&flagNoIndex != 0, TooLarge: flags&flagTooLarge != 0, Soft404: flags&flagSoft404 != 0}
	for _, address := range []*string{&p.Referrer, &p.DuplicateOf, &p.Redirect, &p.Canonical} {
		*address = u.near(p.URL)
	}
	var request string
	for _, s := range []*string{&p.Method, &p.Label, &p.Title, &p.ETag, &p.Modified, &p.Remote, &p.Digest, &request} {
		*s = u.Text()
	}
	if request != "" {
		p.Request = []byte(request)
	}
	if flags&flagDigest != 0 {
		p.Digest = digestForm + hex.EncodeToString([]byte(p.Digest))
	}
	if flags&flagRemote != 0 {
		var remote netip.AddrPort
		if remote.UnmarshalBinary([]byte(p.Remote)) != nil {
			return errMalformed
		}
		p.Remote = remote.String()
	}
	switch known := u.Int(); {
	case known == 0:
		p.ContentType = u.Text()
	case known > len(contentTypes):
		return errMalformed
	default:
		p.ContentType = contentTypes[known-1]
	}
	for _, n := range []*int{&p.Status, &p.Generation, &p.Depth, &p.Bytes, &p.Attempts, &p.Items, &p.Round, &p.Dropped} {
		*n = int(u.Varint())
	}
	p.Took, p.FirstByte = time.Duration(u.Varint()), time.Duration(u.Varint())
	p.FetchedAt = u.time()
	if flags&flagVanished != 0 {
		at := u.time()
		p.VanishedAt = &at
	}
	if n := u.Count(3); n > 0 {
		p.Links = make([]Link, n)
	}
	before := p.URL
	for i := range p.Links {
		p.Links[i] = Link{To: u.near(before), Anchor: u.Text()}
		before = p.Links[i].To
	}
	return u.end()
}

// shortDigest returns the digest in half of its length, and whether it is.
func (p *Page) shortDigest() (string, bool) {
	digits, ok := strings.CutPrefix(p.Digest, digestForm)
	sum, err := hex.DecodeString(digits)
	if !ok || err != nil || hex.EncodeToString(sum) != digits {
		return p.Digest, false
	}
	return string(sum), true
}

// digestKey is the key of a page's content in tables.Digests.
func (p *Page) digestKey() string {
	key, _ := p.shortDigest()
	return key
}

// shortRemote returns the address of the server as numbers, and whether it is.
func (p *Page) shortRemote() (string, bool) {
	remote, err := netip.ParseAddrPort(p.Remote)
	if err != nil || remote.String() != p.Remote {
		return p.Remote, false
	}
	short, err := remote.MarshalBinary()
	return string(short), err == nil
}

// near writes an address that may begin as another one does.
func (b *packed) near(address, other string) {
	same := 0
	for same < len(other) && same < len(address) && other[same] == address[same] {
		same++
	}
	b.number(same)
	b.text(address[same:])
}

func (u *unpacker) near(other string) string {
	same := u.Int()
	if same > len(other) {
		u.Fail()
		return ""
	}
	return other[:same] + u.Text()
}

// appendTime writes a time with its zone.
func appendTime(b packed, t time.Time) (packed, error) {
	text, err := t.MarshalBinary()
	b.text(string(text))
	return b, err
}

func (u *unpacker) time() (t time.Time) {
	if t.UnmarshalBinary(u.Bytes()) != nil {
		u.Fail()
	}
	return t
}
