package lang

import (
	"bytes"
	"compress/flate"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// sentences were written for this test.
var sentences = map[string]string{
	"af": "Ons het gister na die ou plaas gery, maar daar was niemand nie.",
	"ar": "ذهبنا أمس إلى السوق القديم ولم نجد أحدا هناك.",
	"az": "Dünən köhnə bazara getdik, amma orada heç kim yox idi.",
	"be": "Учора мы паехалі на стары рынак, але там нікога не было.",
	"bg": "Вчера отидохме на стария пазар, но там нямаше никого.",
	"bn": "গতকাল আমরা পুরনো বাজারে গিয়েছিলাম।",
	"ca": "Ahir vam anar al mercat vell, però no hi havia ningú.",
	"cs": "Včera jsme šli na staré tržiště, ale nikdo tam nebyl.",
	"cy": "Aethon ni i'r hen farchnad ddoe, ond doedd neb yno.",
	"da": "I går tog vi til det gamle marked, men der var ikke nogen.",
	"de": "Gestern gingen wir zum alten Markt, aber niemand war dort.",
	"el": "Χθες πήγαμε στην παλιά αγορά, αλλά δεν ήταν κανείς εκεί.",
	"en": "Yesterday we went to the old market, but nobody was there.",
	"eo": "Hieraŭ ni iris al la malnova merkato, sed neniu estis tie.",
	"es": "Ayer fuimos al mercado viejo, pero no había nadie allí.",
	"et": "Eile läksime vanale turule, aga seal ei olnud kedagi.",
	"eu": "Atzo merkatu zaharrera joan ginen, baina ez zegoen inor han.",
	"fa": "دیروز به بازار قدیمی رفتیم اما هیچ کس آنجا نبود.",
	"fi": "Eilen menimme vanhalle torille, mutta siellä ei ollut ketään.",
	"fr": "Hier nous sommes allés au vieux marché, mais il n'y avait personne.",
	"ga": "Chuamar go dtí an seanmhargadh inné, ach ní raibh aon duine ann.",
	"gl": "Onte fomos ao mercado vello, pero non había ninguén alí.",
	"he": "אתמול הלכנו לשוק הישן, אבל לא היה שם אף אחד.",
	"hi": "कल हम पुराने बाज़ार गए थे, लेकिन वहाँ कोई नहीं था।",
	"hr": "Jučer smo išli na staru tržnicu, ali tamo nije bilo nikoga.",
	"hu": "Tegnap elmentünk a régi piacra, de senki sem volt ott.",
	"hy": "Երեկ մենք գնացինք հին շուկա։",
	"id": "Kemarin kami pergi ke pasar lama, tetapi tidak ada siapa pun di sana.",
	"is": "Í gær fórum við á gamla markaðinn, en þar var enginn.",
	"it": "Ieri siamo andati al vecchio mercato, ma non c'era nessuno.",
	"ja": "昨日、古い市場に行きましたが、誰もいませんでした。",
	"ka": "გუშინ ძველ ბაზარში წავედით.",
	"kk": "Кеше біз ескі базарға бардық, бірақ онда ешкім болған жоқ.",
	"ko": "어제 우리는 옛 시장에 갔지만 아무도 없었습니다.",
	"lt": "Vakar nuėjome į senąjį turgų, bet ten nieko nebuvo.",
	"lv": "Vakar mēs aizgājām uz veco tirgu, bet tur neviena nebija.",
	"mk": "Вчера отидовме на стариот пазар, но таму немаше никого.",
	"mr": "काल आम्ही जुन्या बाजारात गेलो होतो, पण तिथे कोणीही नव्हते.",
	"nb": "I går dro vi til det gamle markedet, men det var ingen der.",
	"nl": "Gisteren gingen we naar de oude markt, maar er was niemand.",
	"pl": "Wczoraj poszliśmy na stary rynek, ale nikogo tam nie było.",
	"pt": "Ontem fomos ao mercado velho, mas não havia ninguém lá.",
	"ro": "Ieri am mers la piața veche, dar nu era nimeni acolo.",
	"ru": "Вчера мы пошли на старый рынок, но там никого не было.",
	"sk": "Včera sme išli na staré trhovisko, ale nikto tam nebol.",
	"sl": "Včeraj smo šli na staro tržnico, a tam ni bilo nikogar.",
	"sq": "Dje shkuam në tregun e vjetër, por nuk kishte askënd atje.",
	"sr": "Јуче смо отишли на стару пијацу, али тамо није било никога.",
	"sv": "I går gick vi till den gamla marknaden, men ingen var där.",
	"sw": "Jana tulikwenda kwenye soko la zamani, lakini hapakuwa na mtu.",
	"ta": "நேற்று நாங்கள் பழைய சந்தைக்குச் சென்றோம்.",
	"th": "เมื่อวานเราไปตลาดเก่า แต่ไม่มีใครอยู่ที่นั่น",
	"tl": "Kahapon pumunta kami sa lumang palengke, ngunit walang tao roon.",
	"tr": "Dün eski pazara gittik ama orada kimse yoktu.",
	"uk": "Учора ми пішли на старий ринок, але там нікого не було.",
	"ur": "کل ہم پرانے بازار گئے تھے لیکن وہاں کوئی نہیں تھا۔",
	"vi": "Hôm qua chúng tôi đã đi chợ cũ, nhưng không có ai ở đó.",
	"zh": "昨天我们去了老市场，但是那里没有人。",
}

func TestSentences(t *testing.T) {
	for code, text := range sentences {
		if got := Detect(text); got.Code != code {
			t.Errorf("%q: got %+v, want %s", text, got, code)
		}
	}
}

// A word that a language has alone is enough.
func TestShortTexts(t *testing.T) {
	for text, want := range map[string]string{
		"Straße": "de", "aujourd'hui": "fr", "þetta": "is", "Nachrichten": "de", "przepraszam": "pl", "köszönöm": "hu",
		"что это": "ru", "всі": "uk", "the news": "en", "não": "pt", "años": "es", "": "", "123 !?": "", "\xff": "",
	} {
		if got := Detect(text); got.Code != want {
			t.Errorf("%q: got %+v, want %q", text, got, want)
		}
	}
}

func TestDetectAmong(t *testing.T) {
	among := []string{"de", "en", "es", "fr", "pt"}
	for text, want := range map[string]string{
		"Ann's cat didn't sleep.":                 "en",
		"Der Hund schläft unter dem Tisch.":       "de",
		"Le chat dort sur la table de la cuisine": "fr",
		"O gato não dormiu naquela noite.":        "pt",
		"El perro duerme debajo de la mesa.":      "es",
		sentences["gl"]:                           "pt",
		sentences["el"]:                           "",
		sentences["ru"]:                           "",
		"":                                        "",
	} {
		if got := DetectAmong(text, among...); got.Code != want && !(want == "pt" && got.Code == "es") {
			t.Errorf("%q: got %+v, want %q", text, got, want)
		}
	}
}

// Of a long text three parts are looked at: a head in another language does not
// decide.
func TestLongTexts(t *testing.T) {
	text := "Home News Sports Weather Contact About us Sign in " + strings.Repeat(sentences["da"]+" ", 100)
	if got := Detect(text); got.Code != "da" || got.Confidence < 0.9 {
		t.Errorf("got %+v", got)
	}
	mixed := strings.Repeat("http://example.com/index.html ", 5) + strings.Repeat(sentences["ja"], 3)
	if got := Detect(mixed); got.Code != "ja" {
		t.Errorf("got %+v", got)
	}
}

func TestLanguages(t *testing.T) {
	codes := Languages()
	if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) {
		t.Errorf("not sorted, or twice: %q", codes)
	}
	for code := range sentences {
		if !slices.Contains(codes, code) {
			t.Errorf("%s is not among %q", code, codes)
		}
	}
}

// smallCorpora have a language for each script that has a model, two for Latin.
var smallCorpora = []Corpus{
	{Code: "en", Words: []string{"the", "and", "house"}, Counts: []int{9, 5, 1}},
	{Code: "de", Sentences: []string{sentences["de"]}, Share: 0.5},
	{Code: "ru", Sentences: []string{sentences["ru"]}}, {Code: "ar", Sentences: []string{sentences["ar"]}},
	{Code: "hi", Sentences: []string{sentences["hi"]}}, {Code: "he", Sentences: []string{sentences["he"]}},
}

func TestTrain(t *testing.T) {
	opts := &TrainOptions{Bits: 8, Steps: 200}
	var a, b bytes.Buffer
	if err := Train(&a, smallCorpora, opts); err != nil {
		t.Fatal(err)
	}
	if err := Train(&b, smallCorpora, opts); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("the same input gave other bytes, or %v", err)
	}
	all, err := readModels(flate.NewReader(&a))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"the house": "en", "zum alten Markt": "de"} {
		if got := all[latin].detect([]string{text}, latin, nil); got.Code != want {
			t.Errorf("%q: got %+v, want %s", text, got, want)
		}
	}
	if err := Train(&b, smallCorpora[:2], opts); err == nil {
		t.Error("a script without corpus is no error")
	}
}

func TestReadModelErrors(t *testing.T) {
	var buf bytes.Buffer
	if err := Train(&buf, smallCorpora, &TrainOptions{Bits: 4, Steps: 1}); err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(flate.NewReader(&buf)); err != nil {
		t.Fatal(err)
	}
	for n := range raw.Len() - 1 {
		if _, err := readModels(bytes.NewReader(raw.Bytes()[:n])); err == nil {
			t.Fatalf("a model cut at %d of %d bytes is no error", n, raw.Len())
		}
	}
}

func FuzzDetect(f *testing.F) {
	for _, s := range sentences {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := Detect(text)
		if r.Code == "" && r.Confidence != 0 || !(r.Confidence >= 0 && r.Confidence <= 1) {
			t.Errorf("got %+v", r)
		}
		for _, part := range sample(text) {
			if utf8.ValidString(text) && len(part) > sampleSize {
				t.Errorf("a part of %d bytes", len(part))
			}
		}
	})
}

func BenchmarkDetect(b *testing.B) {
	for name, text := range map[string]string{
		"four words": "to the old market", "sentence": sentences["en"], "page": strings.Repeat(sentences["en"]+" ", 80),
		"Cyrillic page": strings.Repeat(sentences["uk"]+" ", 80),
	} {
		b.Run(name, func(b *testing.B) {
			Detect(text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				Detect(text)
			}
		})
	}
}
