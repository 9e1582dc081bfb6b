package engine

import (
	"strings"
	"testing"
)

func FuzzTokenNames(f *testing.F) {
	for _, id := range []string{"alice", "a/b", "../x", "_", "-", "a-abc123", "token_x", "\x00", "日本語日本語日本語", "user-AbCdEf", "é"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		name := encodeID(id)
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			t.Errorf("the name of %q is %q: other characters", id, name)
		}
		if len(name) >= 7 && name[len(name)-7] == '-' {
			t.Errorf("the name of %q is %q: it ends like an ARN", id, name)
		}
		if back, ok := decodeID(name); !ok || back != id {
			t.Errorf("%q becomes %q and comes back as %q", id, name, back)
		}
	})
}

func FuzzNamesAreInjective(f *testing.F) {
	f.Add("token_a", "token32_a")
	f.Add("a_2db", "a-b")
	f.Fuzz(func(t *testing.T, name, _ string) {
		id, ok := decodeID(name)
		if ok && encodeID(id) != name {
			t.Errorf("%q is read as %q, which is written %q", name, id, encodeID(id))
		}
	})
}

func TestTokenNames(t *testing.T) {
	for id, want := range map[string]string{
		"alice":             "token_alice",
		"alice@example.com": "token_alice_40example_2ecom",
		"user-7":            "token_user-7",
		"user-abc123":       "token_user_2dabc123",
		"a/b":               "token_a_2fb",
		"index":             "token_index",
		"日本語":               "token32_" + idBase32.EncodeToString([]byte("日本語")),
	} {
		if got := encodeID(id); got != want {
			t.Errorf("encodeID(%q): got %q, want %q", id, got, want)
		}
	}
}
