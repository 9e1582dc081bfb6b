package storetest

import (
	"context"
	"errors"

	"github.com/oauthstore/oauthstore"
)

var rangeChecks = []check{
	{"an empty store yields nothing", ranging(rangeEmpty)},
	{"every token once, whole", ranging(rangeWhole)},
	{"a caller may break it off", ranging(rangeBrokenOff)},
	{"an ended context is the last error", ranging(rangeEnded)},
	{"it can be ranged over again", ranging(rangeAgain)},
}

// ranging skips the check where the store is no oauthstore.TokenRanger.
func ranging(run func(t *subject)) func(t *subject) {
	return func(t *subject) {
		if t.ranger == nil {
			t.Skipf("the store is no oauthstore.TokenRanger")
		}
		run(t)
	}
}

// ranged returns what the iterator yields.
func (t *subject) ranged() []*oauthstore.OAuthToken {
	t.Helper()
	var all []*oauthstore.OAuthToken
	for token, err := range t.ranger.Tokens(t.Context()) {
		if err != nil {
			t.Fatalf("Tokens: %v", err)
		}
		all = append(all, token)
	}
	return all
}

func rangeEmpty(t *subject) {
	if got := t.ranged(); len(got) != 0 {
		t.Errorf("Tokens of an empty store: got %q, want none", ids(got))
	}
}

func rangeWhole(t *subject) {
	want := make(map[string]*oauthstore.OAuthToken)
	for _, id := range []string{"b", "a", "é", "10", "", ""} {
		token := full("user " + id + string(rune('0'+len(want))))
		token.ID = id
		t.save(token)
		want[token.ID] = token
	}
	renamed := t.save(&oauthstore.OAuthToken{ID: "a", UserName: "another"})
	want["a"] = renamed
	got := t.ranged()
	if len(got) != len(want) {
		t.Errorf("Tokens: got %q, want %d tokens", ids(got), len(want))
	}
	for _, token := range got {
		if want[token.ID] == nil {
			t.Errorf("Tokens: got %q, which is not stored, or twice", token.ID)
			continue
		}
		t.wantSame("one of Tokens", token, want[token.ID])
		delete(want, token.ID)
	}
}

func rangeBrokenOff(t *subject) {
	t.save(full("a"))
	t.save(full("b"))
	n := 0
	for _, err := range t.ranger.Tokens(t.Context()) {
		if err != nil {
			t.Fatalf("Tokens: %v", err)
		}
		n++
		break
	}
	if n != 1 {
		t.Errorf("Tokens: yielded %d times before the first break, want once", n)
	}
	t.save(full("c")) // and the store goes on
	if got := t.ranged(); len(got) != 3 {
		t.Errorf("Tokens after one was broken off: got %q, want three", ids(got))
	}
}

func rangeEnded(t *subject) {
	t.save(full("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for token, err := range t.ranger.Tokens(ctx) {
		if last != nil {
			t.Errorf("Tokens: yields %v, %v after the error %v", token, err, last)
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("Tokens with an ended context: got the error %v at last, want context.Canceled", last)
	}
}

func rangeAgain(t *subject) {
	t.save(full("a"))
	all := t.ranger.Tokens(t.Context())
	for i := range 2 {
		n := 0
		for _, err := range all {
			if err != nil {
				t.Fatalf("Tokens: %v", err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("Tokens ranged over for the time %d: got %d tokens, want 1", i+1, n)
		}
	}
}
