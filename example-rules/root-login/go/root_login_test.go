package main

import (
	"testing"

	"streamalert/sdk"
)

func TestWhoGotInIsToldAndWhoFailedIsNot(t *testing.T) {
	if !rootLogin(sdk.FromJSON(`{"responseElements": {"ConsoleLogin": "Success"}}`)) {
		t.Error("a login is not told")
	}
	for _, text := range []string{`{"responseElements": {"ConsoleLogin": "Failure"}}`, `{"responseElements": null}`, `{}`} {
		if rootLogin(sdk.FromJSON(text)) {
			t.Error(text + " is told")
		}
	}
}
