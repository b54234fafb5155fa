package stages

import "testing"

func TestDetectLanguage(t *testing.T) {
	const (
		german  = "Ein Wehr ist eine Stauanlage, die in einem Fluss das Wasser aufstaut. Es dient dazu, den Wasserstand zu regeln und die Fische zu fangen, die stromabwärts schwimmen. Viele Wehre sind sehr alt und wurden aus Holz oder aus Steinen gebaut."
		english = "A weir is a barrier across the width of a river that alters the flow of water and usually results in a change in the height of the river level. Weirs are used to control the flow of water for outlets of lakes and ponds."
	)
	for _, tc := range []struct{ text, html, header, want string }{
		{german, "", "", "de"},
		{german, "de-AT", "", "de"},
		{german, "en", "", "de"}, // a template's lang
		{english, "", "fr", "en"},
		{"Weir", "fr-CA", "", "fr"},
		{"Weir", "", "nl", "nl"},
		{"Weir", "", "nl, fr", ""},
		{"", "x", "", ""},
		{"Weir", "und", "", ""},
		{"這是一個很長的中文句子,用來測試語言偵測的功能是否正確。", "", "", "zh"},
	} {
		if got := DetectLanguage(tc.text, tc.html, tc.header); got != tc.want {
			t.Errorf("DetectLanguage(%.20q, %q, %q) = %q, want %q", tc.text, tc.html, tc.header, got, tc.want)
		}
	}
}
