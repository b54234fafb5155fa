package inspect

import (
	"path"
	"strings"

	"github.com/seed-301537d8/weir/crawler/weburl"
)

// assetKinds are what pages embed, by the ends of names.
var assetKinds = map[string]string{
	".css": "style", ".js": "script", ".mjs": "script", ".wasm": "script", ".map": "script",
	".png": "image", ".jpg": "image", ".jpeg": "image", ".gif": "image", ".webp": "image", ".avif": "image", ".svg": "image", ".ico": "image", ".bmp": "image",
	".woff": "font", ".woff2": "font", ".ttf": "font", ".otf": "font", ".eot": "font",
	".mp4": "video", ".webm": "video", ".m4v": "video", ".mov": "video", ".mp3": "audio", ".ogg": "audio", ".wav": "audio", ".m4a": "audio",
}

// assetKind returns what an address is if its name says that it is embedded in
// pages, and not a page: "image", say, or "".
func assetKind(u weburl.URL) string {
	return assetKinds[strings.ToLower(path.Ext(u.Path()))]
}
