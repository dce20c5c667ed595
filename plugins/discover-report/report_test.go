package main

import (
	"strings"
	"testing"
)

func TestADiscoverEventBecomesALine(t *testing.T) {
	body := `{"connector":"salesforce","env_id":"dev.hotglue.com","flow_id":"JClkCC05S",` +
		`"status":"DISCOVER_SUCCESS","tenant":"1414_1"}`
	line, err := report([]byte(body))
	if expected := "1414_1 · JClkCC05S: DISCOVER_SUCCESS salesforce"; line != expected || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
}

func TestAnythingElseIsRefused(t *testing.T) {
	for _, body := range []string{"", "hello", "[]", "{}", `{"status":"JOB_COMPLETED"}`, `{"status":7}`} {
		line, err := report([]byte(body))
		if err == nil || !strings.HasPrefix(err.Error(), "not a hotglue discover event: ") {
			t.Errorf("%q: %q, %v", body, line, err)
		}
	}
}
