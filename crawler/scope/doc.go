// Package scope decides which addresses belong to a crawl, and says why.
//
// A [Scope] is an ordered list of rules that accept or reject. The first rule
// that matches an address decides; if none does, the address is accepted. So a
// list reads from top to bottom like the rules of a firewall, and the rule
// that decided is the whole explanation. A rule with Unless matches what its
// condition does not: "reject unless the host is example.com".
//
// [Settings] are what people choose, near the flags of a command, and make the
// usual list: seeds are accepted, then traps rejected, then what --deny
// matches, then what is outside of --scope, then what no --allow matches.
//
// Rules and Settings are plain data and marshal to JSON. A stored crawl keeps
// its Settings, and [Diff] says what a new run changes.
package scope
