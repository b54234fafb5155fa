package crawler

import (
	"fmt"

	"github.com/seed-301537d8/weir/crawler/internal/tables"
	"github.com/seed-301537d8/weir/internal/codec"
	"github.com/seed-301537d8/weir/pipeline"
)

// Notice is something that an operator should know of an address though it is no
// failure: without it a crawl might look more complete than it is.
type Notice struct {
	Kind string `json:"kind"`
	URL  string `json:"url"`
	Text string `json:"text"`
}

// The kinds of notices.
const (
	NoticeSeedMoved = "seed_moved"     // a seed redirects to where its links are not in the scope
	NoticeLogin     = "login_left_out" // a link or redirect has a user name or password, which is not sent
	NoticeSitemap   = "sitemap_cut"    // a sitemap was read in part, or not at all
	NoticeTags      = "tags_cut"       // a text has more words than fit into memory
)

// noticeLogins tells of addresses with a user name or password.
func (v *Visitor) noticeLogins(out *pipeline.Out, from string, targets ...string) error {
	for _, to := range targets {
		text := fmt.Sprintf("%s leads to %s with a user name or password in the address, which are not sent; --auth is for logins", from, to)
		if err := v.notice(out, Notice{NoticeLogin, to, text}); err != nil {
			return err
		}
	}
	return nil
}

// notice adds a notice to a stage's transaction, and logs it.
func (v *Visitor) notice(out *pipeline.Out, n Notice) error {
	b, err := codec.Encode(n)
	if err != nil {
		return fmt.Errorf("encode notice of %s: %w", n.URL, err)
	}
	out.Tx().Put(tables.Notices, n.Kind+"/"+tables.Key(n.URL), b)
	v.Options.logger().Warn(n.Text, "kind", n.Kind, "url", n.URL)
	return nil
}
