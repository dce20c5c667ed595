// A handler as a WASI command: the event comes as JSON on stdin, stderr is the log, and exit code 0
// acknowledges it. Exit code 65 rejects it, any other asks for another attempt.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type order struct {
	ID    uint64 `json:"id"`
	Total uint64 `json:"total"`
}

func main() {
	var event struct {
		Body string `json:"body"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		end(1, err)
	}
	var o order
	if err := json.Unmarshal([]byte(event.Body), &o); err != nil {
		end(65, fmt.Errorf("no order: %w", err))
	}
	fmt.Fprintf(os.Stderr, "order %d: %d\n", o.ID, o.Total)
}

func end(code int, err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(code)
}
