// What an integration does when Supaglue says that a sync is complete: of one that succeeded it
// emits an event, for whoever goes on with the new records; one that failed it tries again later.
//
// A handler as a WASI command: the event comes as JSON on stdin, what it prints to stdout is the
// outcome, and stderr is its log.
package main

import (
	"encoding/json"
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	var event struct {
		Body string `json:"body"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&event); err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(handle(event.Body)); err != nil {
		log.Fatal(err)
	}
}
