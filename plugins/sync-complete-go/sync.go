package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
)

// kind is the event that this handler is for.
const kind = "sync.complete"

// outcome is what becomes of an event.
type outcome struct {
	Outcome string  `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	Emit    []event `json:"emit,omitempty"`
}

// event is one that the handler emits.
type event struct {
	EventType string `json:"event_type"`
	Body      string `json:"body"`
}

// sync is what is read of a sync.complete event. What may be absent has a pointer.
type sync struct {
	Kind     string  `json:"webhook_event_type"`
	Customer *string `json:"customer_id"`
	Provider *string `json:"provider_name"`
	Object   *string `json:"object"`
	Result   string  `json:"result"`
	Records  *uint64 `json:"num_records_synced"`
	Error    *string `json:"error_message"`
}

// succeeded is what is emitted of a sync that succeeded.
type succeeded struct {
	Customer string `json:"customer_id"`
	Provider string `json:"provider_name"`
	Object   string `json:"object"`
	Records  uint64 `json:"records"`
}

func handle(body string) outcome {
	s, err := parse(body)
	if err != nil {
		return outcome{Outcome: "reject", Reason: fmt.Sprintf("not a %s: %v", kind, err)}
	}
	title := fmt.Sprintf("%s %s of %s", *s.Provider, *s.Object, *s.Customer)
	if s.Result == "ERROR" {
		reason := "no reason given"
		if s.Error != nil {
			reason = *s.Error
		}
		return outcome{Outcome: "retry", Reason: title + ": " + reason}
	}
	new := succeeded{Customer: *s.Customer, Provider: *s.Provider, Object: *s.Object}
	if s.Records != nil {
		new.Records = *s.Records
	}
	log.Printf("%s: %d records are ready", title, new.Records)
	emitted, err := json.Marshal(new)
	if err != nil {
		return outcome{Outcome: "retry", Reason: err.Error()}
	}
	return outcome{Outcome: "ack", Emit: []event{{"sync.succeeded", string(emitted)}}}
}

// parse reads the body of a sync.complete event.
func parse(body string) (s sync, err error) {
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		return s, err
	}
	switch {
	case s.Kind != kind:
		return s, errors.New(s.Kind)
	case s.Customer == nil, s.Provider == nil, s.Object == nil:
		return s, errors.New("customer_id, provider_name or object is missing")
	case s.Result != "SUCCESS" && s.Result != "ERROR":
		return s, fmt.Errorf("its result is %q", s.Result)
	}
	return s, nil
}
