package stages_test

import (
	"testing"

	"github.com/seed-301537d8/weir/stages"
)

func TestDetectAmong(t *testing.T) {
	for text, want := range map[string]string{
		"Ann's cat didn't sleep.":                 "en",
		"Der Hund schläft unter dem Tisch.":       "de",
		"Le chat dort sur la table de la cuisine": "fr",
		"O gato não dormiu naquela noite.":        "pt",
		"El perro duerme debajo de la mesa.":      "es",
		"":                                        "",
	} {
		if got := stages.DetectAmong(text, "de", "en", "es", "fr", "pt"); got != want {
			t.Errorf("DetectAmong(%q) = %q, want %q", text, got, want)
		}
	}
}
