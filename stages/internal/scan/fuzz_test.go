package scan

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

var long = flag.Bool("long", false, "compare very many pages")

// parts are what the rules of the standard tell apart.
var parts = strings.Fields(`
	<html> <html_lang=de> <head> </head> <body> </body> </html> <!doctype_html> <!DOCTYPE_html_PUBLIC_"-//W3C//DTD_HTML_3.2//EN">
	<base_href=/base/> <link_rel=next_href=n> <meta_name=robots_content=none> <meta_http-equiv=refresh_content="0;url=r">
	<title> </title> <script> </script> <script_type=application/ld+json> <style> </style> <noscript> </noscript> <template> </template>
	<a_href=1> <a_href=2_title=t> <a_name=x> <a> </a> </a> </a> <a_href=3></a> <a_href="4&amp;b=1&copy=2&lt;&#65;&notit;">text</a>
	<p> </p> <div> </div> <span> </span> <b> </b> <i_class=x> </i> <font_color=red> <font> </font> <nobr> </nobr> <em> </em>
	<ul> </ul> <ol> </ol> <li> </li> <dl> </dl> <dt> <dd> </dd> <h1> </h1> <h2> </h2> <pre> </pre> <blockquote_cite=q> </blockquote> <q_cite=q> </q>
	<table> </table> <caption> </caption> <colgroup> </colgroup> <col> <tbody> </tbody> <thead> </thead> <tr> </tr> <td> </td> <th> </th>
	<table><tr><td> </td></tr></table> <table><tr><td> </td></tr></table>
	<form> </form> <input> <input_type=hidden> <button> </button> <select> </select> <option> </option> <optgroup> <textarea> </textarea>
	<object_data=o.html> </object> <marquee> </marquee> <embed_src=e.html> <iframe_src=f> </iframe> <iframe_srcdoc="<a_href=x>"> <frame_src=f> <frameset> <noframes> </noframes>
	<img_alt=alt> <img_longdesc=l> <image_longdesc=l> <br> </br> <hr> <area_href=a> <ins_cite=i> </ins> <xmp> </xmp> <plaintext> <noembed> </noembed>
	<svg> </svg> <svg/> <path/> <g> </g> <svg><title> <desc> </desc> <foreignObject> </foreignObject> <a_xlink:href=s> <style/> <svg><style> <math> </math> <mi> </mi> <mtext> <annotation-xml> <mglyph>
	<![CDATA[x]]> <![CDATA[ ]]> <!--c--> <!--> <!---> <!-- --> --!> </> </_> <?x?> <!x> <
	<ruby> </ruby> <rt> <rp> <rb> <rtc> <x-y> </x-y> <X-Y> </unknown> <A_HREF='5'> <a_href=6/> <a/href=7> <a_href=8_href=9> <a_title="x>y"_href=10>
	text text &amp; &#32; more__text " ' > = ]]> <!--<script> </script_ <s </a_ <a_href
`)

// page puts parts together.
func page(r *rand.Rand) []byte {
	var b strings.Builder
	few := make([]string, 1+r.IntN(12)) // a page of few kinds gets deeper into each
	for i := range few {
		few[i] = parts[r.IntN(len(parts))]
	}
	for range 1 + r.IntN(24) {
		p := few[r.IntN(len(few))]
		if r.IntN(8) == 0 {
			p = parts[r.IntN(len(parts))]
		}
		b.WriteString(strings.ReplaceAll(p, "_", " "))
		switch r.IntN(6) {
		case 0:
			b.WriteString(" ")
		case 1:
			b.WriteString("word")
		case 2:
			b.WriteString("\r\n")
		}
	}
	return []byte(b.String())
}

func TestReadsWhatTheTreeHas(t *testing.T) {
	n := 20_000
	if *long {
		n = 1_000_000
	}
	seed := uint64(1)
	if *long {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	read := 0
	for range n {
		if differ(t, page(r)) {
			read++
		}
	}
	if read < n/4 {
		t.Errorf("of %d pages only %d were read", n, read)
	}
	t.Logf("of %d pages %d were read, and for the others the tree is needed", n, read)
}

func FuzzRead(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f.Add(page(r))
	}
	f.Fuzz(func(t *testing.T, page []byte) { differ(t, page) })
}
