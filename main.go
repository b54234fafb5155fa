// Command weir crawls the web and turns pages into text and tags; see
// "weir help".
package main

import "github.com/seed-301537d8/weir/crawler/command"

func main() { command.Main(nil) }
