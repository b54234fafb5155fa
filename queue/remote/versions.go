package remote

import (
	"cmp"
	"fmt"
)

// versions are those of the protocol that a side speaks, from oldest to newest. Client and
// server use the newest that both speak. If there is none the one that is behind must be
// upgraded, and is named by whoever finds out: the server when a client opens, and the
// client when it is told what the server speaks.
type versions struct{ oldest, newest int }

// ofMessage returns the versions that a message has: one that says nothing of the oldest is
// of a side that speaks one.
func ofMessage(oldest, newest int) versions { return versions{cmp.Or(oldest, newest), newest} }

func (v versions) String() string {
	if v.oldest == v.newest {
		return fmt.Sprintf("version %d", v.newest)
	}
	return fmt.Sprintf("versions %d to %d", v.oldest, v.newest)
}

// agree returns the version that a client and a server are to use.
func agree(client, server versions, clientProgram, serverProgram string) (int, error) {
	newest := min(client.newest, server.newest)
	if newest >= max(client.oldest, server.oldest) {
		return newest, nil
	}
	behind := "client"
	if server.newest < client.newest {
		behind = "server"
	}
	return 0, fmt.Errorf("%w: the client%s speaks %v of the protocol and the server%s %v: upgrade the %s",
		ErrProtocol, named(clientProgram), client, named(serverProgram), server, behind)
}

// named is what is said of a program after what it is.
func named(program string) string {
	if program == "" {
		return ""
	}
	return fmt.Sprintf(" (%.100q)", program)
}
