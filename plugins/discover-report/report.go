package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// discover is what hotglue posts when it looks up what a tenant's connector offers.
type discover struct {
	Status    string `json:"status"`
	Tenant    string `json:"tenant"`
	FlowID    string `json:"flow_id"`
	Connector string `json:"connector"`
}

// report says in one line what the body of a discover event tells.
func report(body []byte) (string, error) {
	var d discover
	if err := json.Unmarshal(body, &d); err != nil {
		return "", fmt.Errorf("not a hotglue discover event: %w", err)
	}
	if !strings.HasPrefix(d.Status, "DISCOVER_") {
		return "", errors.New("not a hotglue discover event: its status is " + d.Status)
	}
	return fmt.Sprintf("%s · %s: %s %s", d.Tenant, d.FlowID, d.Status, d.Connector), nil
}
