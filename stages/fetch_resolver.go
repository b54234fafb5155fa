package stages

import (
	"net"
	"time"

	"github.com/ncruces/go-dns"
)

// What is remembered of names. A crawl makes connections to a host again and again,
// hours long, and a name server that is asked each time is the next thing to fail.
const (
	maxAnswers = 8192            // of name servers, some 300 bytes each; two for each name
	maxTTL     = 5 * time.Minute // what they say is believed so long, or as long as they say
)

// NewResolver returns a resolver that remembers what name servers answer, that a name
// does not exist as well: as long as they say and 5 minutes at most, the last 8,192
// answers. Failures are not remembered. A name that is asked for by many at once is
// looked up once. It reads what Go's resolver reads (see [net.Resolver]), with the Dial
// and StrictErrors of parent, which may be nil.
//
// What it remembers gives nobody a way around the address guard of a [Fetcher], which
// looks at the address of each connection.
func NewResolver(parent *net.Resolver) *net.Resolver { return newResolver(parent, maxAnswers) }

func newResolver(parent *net.Resolver, answers int) *net.Resolver {
	return dns.NewCachingResolver(parent, dns.MaxCacheEntries(answers), dns.MaxCacheTTL(maxTTL), dns.NegativeCache(true))
}
