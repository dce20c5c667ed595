// Says in one log line what hotglue's discover events tell.
//
// A handler as a WASI command: the event comes as JSON on stdin, what it prints to stderr is its
// log, and nothing on stdout acknowledges the event. Exit code 65 rejects it, any other asks for
// another attempt.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// reject is the exit code after which there is no further attempt.
const reject = 65

func main() {
	var event struct {
		Body string `json:"body"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		fail(err, 1)
	}
	line, err := report([]byte(event.Body))
	if err != nil {
		fail(err, reject)
	}
	fmt.Fprintln(os.Stderr, line)
}

func fail(err error, code int) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(code)
}
