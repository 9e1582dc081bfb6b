package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// leaky is an error of a service's client that keeps what it was sent.
type leaky struct{ Sent string }

func (leaky) Error() string { return "TOP-SECRET" }

func TestFault_showsNothingOfTheServicesError(t *testing.T) {
	fault := &Fault{Backend: "awssm", Op: "PutSecretValue", Secret: "p/token_x", Code: "Oops", Err: leaky{"TOP-SECRET"}}
	wrapped := struct{ Err error }{fmt.Errorf("save: %w", fault)}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("failed", "err", fault, "in", struct{ Err error }{fault})
	encoded, err := json.Marshal(struct{ Err error }{fault})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{log.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		texts = append(texts, fmt.Sprintf(verb, fault), fmt.Sprintf(verb, wrapped))
	}
	for _, text := range texts {
		if strings.Contains(text, "TOP-SECRET") || strings.Contains(text, fmt.Sprintf("%x", "TOP-SECRET")) {
			t.Errorf("a secret shows: %s", text)
		}
	}
	if want := `"awssm: PutSecretValue p/token_x (Oops)"`; !strings.Contains(string(encoded), want) {
		t.Errorf("got %s, want %s in it", encoded, want)
	}
	var service leaky
	if !errors.As(wrapped.Err, &service) {
		t.Error("errors.As does not reach the service's error")
	}
}
