// Execchild is a child for the tests of Exec, with the manners that its argument
// names. Items are strings: "ok:x" emits x, others are for it to misbehave on.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() {
	mode := os.Args[1]
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 32<<20)
	out := bufio.NewWriter(os.Stdout)
	say := func(v any) {
		b, _ := json.Marshal(v)
		out.Write(append(b, '\n'))
		out.Flush()
	}
	switch mode {
	case "silent":
		io.Copy(io.Discard, os.Stdin)
		return
	case "deaf":
		time.Sleep(time.Hour)
	case "exits":
		fmt.Fprintln(os.Stderr, "cannot work like this")
		os.Exit(3)
	case "wrong version":
		say(map[string]int{"weir": 99})
	case "greets badly":
		fmt.Println("Welcome to my worker!")
	case "floods":
		for {
			fmt.Println(`{"id":1,"ok":true}`)
		}
	case "floods without lines":
		for {
			os.Stdout.Write(bytes.Repeat([]byte("x"), 64<<10))
		}
	}
	in.Scan()
	say(map[string]any{"weir": 1, "name": mode})
	if mode == "ignores input" {
		time.Sleep(time.Hour)
	}
	for in.Scan() {
		var batch struct {
			Items []struct {
				ID   uint64
				Item json.RawMessage
			}
		}
		if err := json.Unmarshal(in.Bytes(), &batch); err != nil {
			panic(err)
		}
		for _, it := range batch.Items {
			var s string
			json.Unmarshal(it.Item, &s)
			verb, arg, _ := strings.Cut(s, ":")
			switch verb {
			case "ok":
				say(map[string]any{"id": it.ID, "ok": true, "emit": map[string]any{"out": []string{arg}, "pid": []int{os.Getpid()}, "batch": []int{len(batch.Items)}}})
			case "nothing":
				say(map[string]any{"id": it.ID, "ok": true})
			case "error":
				say(map[string]any{"id": it.ID, "error": arg})
			case "permanent":
				say(map[string]any{"id": it.ID, "error": arg, "permanent": true, "reason": "no_text"})
			case "later":
				say(map[string]any{"id": it.ID, "error": arg, "retry_after": 90})
			case "die":
				fmt.Fprintln(os.Stderr, "dying")
				os.Exit(7)
			case "hang":
				time.Sleep(time.Hour)
			case "garbage":
				fmt.Println("Traceback (most recent call last):")
			case "swap":
				say(map[string]any{"id": it.ID + 1, "ok": true})
			case "twice":
				say(map[string]any{"id": it.ID, "ok": true})
				say(map[string]any{"id": it.ID, "ok": true})
			case "flood":
				for {
					fmt.Println("flood")
				}
			case "long":
				say(map[string]any{"id": it.ID, "ok": true, "emit": map[string]any{"out": []string{strings.Repeat("x", 2<<20)}}})
			case "half":
				os.Stdout.WriteString(fmt.Sprintf(`{"id":%d,"ok":true`, it.ID))
				os.Exit(0)
			case "close":
				os.Stdout.Close()
				time.Sleep(time.Hour)
			case "grandchild":
				c := exec.Command("sleep", "600")
				c.Stdout, c.Stderr = os.Stdout, os.Stderr
				c.Start()
				say(map[string]any{"id": it.ID, "ok": true, "emit": map[string]any{"out": []int{c.Process.Pid}}})
			case "log":
				fmt.Fprintln(os.Stderr, arg)
				say(map[string]any{"id": it.ID, "ok": true})
			}
		}
	}
	if mode == "will not stop" {
		time.Sleep(time.Hour)
	}
}
