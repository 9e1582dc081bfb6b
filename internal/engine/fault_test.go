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

func TestFault_showsOneBoundedLineOfTheMessage(t *testing.T) {
	for message, want := range map[string]string{
		"2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n": "2 errors occurred: * permission denied * invalid token",
		"bell\a and \x00, \xff and \u2028":                                 "bell and , ? and",
		strings.Repeat("x", maxMessage):                                    strings.Repeat("x", maxMessage),
		strings.Repeat("x", maxMessage+1):                                  strings.Repeat("x", maxMessage-len("…")) + "…",
		strings.Repeat("é", maxMessage):                                    strings.Repeat("é", (maxMessage-len("…"))/2) + "…",
		strings.Repeat("é \n", 1<<20):                                      strings.Repeat("é ", 169) + "é…",
	} {
		got := (&Fault{Backend: "b", Op: "op", Message: message}).Error()
		if want = "b: op: " + want; got != want {
			t.Errorf("got %d bytes, %.80q…, want %d, %.80q…", len(got), got, len(want), want)
		}
	}
}

func TestFault_doesNotShowAMessageThatQuotesCredentials(t *testing.T) {
	for _, message := range []string{
		"X-Vault-Token: s.abc", `{"X-Vault-Token":["s.abc"]}`, "map[X-Vault-Token:[s.abc]]", "denied: hvs.CAESIJ", "token hvb.AAAA",
		"authorization: Bearer abc", "Authorization=AWS4-HMAC-SHA256 Credential=AKID", "POST\n/\n\nx-amz-security-token:IQoJ", "Cookie: a=b",
		"sent bearer abc", "ya29.abc is expired",
	} {
		text := (&Fault{Backend: "b", Op: "op", Message: message}).Error()
		if want := "b: op: the message is not shown, since it quotes credentials"; text != want {
			t.Errorf("of %q shows %q", message, text)
		}
	}
	for _, message := range []string{
		"User: arn:aws:iam::1:user/x is not authorized to perform: secretsmanager:GetSecretValue",
		"The security token included in the request is expired", "Request had invalid authentication credentials. Expected OAuth 2 access token",
		"permission denied; invalid token", "Missing Authentication Token", "missing client token",
	} {
		if text := (&Fault{Backend: "b", Op: "op", Message: message}).Error(); text != "b: op: "+message {
			t.Errorf("of %q shows %q", message, text)
		}
	}
}

func TestRedact_replacesEverySecret(t *testing.T) {
	if got := Redact("a token-12 of true, and password", "token-12", "", "true", "password"); got != "a [redacted] of true, and [redacted]" {
		t.Errorf("got %q", got)
	}
}
