package queue

import (
	"runtime"
	"sync"
)

// A question is a key that the checker looks up, and what it does with the answer.
type question struct {
	key    []byte
	answer func(value []byte, found bool) error

	value []byte
	found bool
	err   error
}

// questions is how many are gathered before they are asked.
const questions = 512

// ask looks a key up, not at once but together with others: a backend that is far
// away is asked for many keys at a time. Answers come in the order of the
// questions, the last of them when the step of the check is over.
func (c *checker) ask(key []byte, answer func(value []byte, found bool) error) error {
	c.asked = append(c.asked, question{key: key, answer: answer})
	if len(c.asked) < questions {
		return nil
	}
	return c.answers()
}

// answers asks what has been gathered, and what the answers ask.
func (c *checker) answers() error {
	for len(c.asked) > 0 {
		asked := c.asked
		c.asked = nil
		workers := min(len(asked), 16*runtime.GOMAXPROCS(0))
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < len(asked); i += workers {
					q := &asked[i]
					q.value, q.found, q.err = c.s.lookUp(q.key)
				}
			})
		}
		wg.Wait()
		for i := range asked {
			if err := asked[i].err; err != nil {
				return err
			}
			if err := asked[i].answer(asked[i].value, asked[i].found); err != nil {
				return err
			}
		}
	}
	return nil
}
