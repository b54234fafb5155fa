package stages

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

// maxCSSNesting is how deep functions and parentheses are followed: no style sheet is
// like that.
const maxCSSNesting = 1000

// CSSLinks returns the addresses in a style sheet, or in a style attribute, as they are
// written there: those of url(), of src() and of image-set(), and of @import. They are
// relative to the style sheet. The names that @namespace and @document have are none.
func CSSLinks(sheet string) (hrefs []string) {
	l := css.NewLexer(parse.NewInputString(sheet))
	add := func(href string) {
		if href = strings.TrimSpace(href); href != "" {
			hrefs = append(hrefs, href)
		}
	}
	rule := ""             // the at-rule that its prelude is read of
	var functions []string // that are open, "" for a parenthesis
	for len(hrefs) < DefaultMaxLinks && len(functions) < maxCSSNesting {
		kind, text := l.Next()
		switch kind {
		case css.ErrorToken:
			return hrefs
		case css.AtKeywordToken:
			rule = strings.ToLower(cssText(string(text[1:])))
		case css.SemicolonToken, css.LeftBraceToken, css.RightBraceToken:
			rule, functions = "", nil
		case css.FunctionToken:
			functions = append(functions, strings.ToLower(cssText(string(text[:len(text)-1]))))
		case css.LeftParenthesisToken:
			functions = append(functions, "")
		case css.RightParenthesisToken:
			if n := len(functions); n > 0 {
				functions = functions[:n-1]
			}
		case css.URLToken:
			if rule != "namespace" && rule != "document" && rule != "-moz-document" {
				add(cssURL(string(text)))
			}
			if rule == "import" {
				rule = "" // what follows are its conditions
			}
		case css.StringToken:
			in := ""
			if n := len(functions); n > 0 {
				in = functions[n-1]
			}
			switch {
			case rule == "import" && in == "":
				rule = ""
				add(cssString(string(text)))
			case in == "url" || in == "src" || in == "image-set" || in == "-webkit-image-set" || in == "image":
				add(cssString(string(text)))
			}
		}
	}
	return hrefs
}

// cssURL returns what a url() token holds, in quotes or without.
func cssURL(token string) string {
	_, inside, _ := strings.Cut(token, "(")
	inside = strings.Trim(strings.TrimSuffix(inside, ")"), " \t\r\n\f")
	if inside != "" && (inside[0] == '"' || inside[0] == '\'') {
		return cssString(inside)
	}
	return cssText(inside)
}

// cssString returns what a string token holds.
func cssString(token string) string {
	quote := token[:1]
	return cssText(strings.TrimSuffix(token[1:], quote))
}

// cssText undoes the escapes of a token (CSS Syntax Level 3, section 4.3.7).
func cssText(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		i++
		digits := 0
		for digits < 6 && i+digits < len(s) && strings.IndexByte("0123456789abcdefABCDEF", s[i+digits]) >= 0 {
			digits++
		}
		switch {
		case digits > 0:
			n, err := strconv.ParseUint(s[i:i+digits], 16, 32)
			if err != nil || n == 0 || n > utf8.MaxRune || n >= 0xd800 && n < 0xe000 {
				n = utf8.RuneError
			}
			b.WriteRune(rune(n))
			if i += digits; i < len(s) && strings.IndexByte(" \t\r\n\f", s[i]) >= 0 {
				i++ // which ends the escape
			}
		case s[i] == '\n' || s[i] == '\f':
			i++ // a line that goes on
		case s[i] == '\r':
			if i++; i < len(s) && s[i] == '\n' {
				i++
			}
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String()
}
