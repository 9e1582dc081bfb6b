package engine

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/oauthstore/oauthstore/codec"
)

// What releases write that run side by side, and what they look for. A change of any of these needs a reader of both, or
// the two do not find, or overwrite, what the other has stored. The values were made without this package, by
//
//	printf 'oauthstore/page/user\0alice' | sha256sum | cut -c1-16
//	printf 'refresh-1' | openssl dgst -sha256 -binary | head -c 6 | base64 | tr +/ -_
//	printf '日本語' | base32 | tr -d = | tr A-Z a-z

func requireGolden(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestGolden_namesOfSecrets(t *testing.T) {
	requireGolden(t, "the index", indexName, "index")
	requireGolden(t, "pages", pagePrefix, "page_")
	if got := newPageName(); len(got) != len("page_")+16 {
		t.Errorf("a page's name: got %q, want page_ and 16 characters", got)
	}
	for id, want := range map[string]string{
		"alice":                             "token_alice",
		"Alice-1":                           "token_Alice-1",
		"alice@example.com":                 "token_alice_40example_2ecom",
		"a_b":                               "token_a_5fb",
		"a/b":                               "token_a_2fb",
		"müller":                            "token_m_c3_bcller",
		"user-abc123":                       "token_user_2dabc123",
		"-abc123":                           "token__2dabc123",
		"日本語":                               "token32_42l2lzu4vtukvhq",
		"\x00\x01\x02\x03":                  "token32_aaaqeay",
		"index":                             "token_index",
		"udpiqvxv7krcwekjsnjofrotcpz7f3afc": "token_udpiqvxv7krcwekjsnjofrotcpz7f3afc",
	} {
		requireGolden(t, id, encodeID(id), want)
		if back, ok := decodeID(want); !ok || back != id {
			t.Errorf("%q is read as %q, %v", want, back, ok)
		}
	}
}

func TestGolden_keysOfTheIndex(t *testing.T) {
	for _, c := range []struct{ id, user, client, want string }{
		{"x", "alice", "", "c05ff77814e338999ab01aab9bea08ff"},
		{"x", "alice", "1000.CLIENT", "c05ff77814e338999157a0d81fd01bb1"},
		{"x", "", "", "3e84b9d716130d289ab01aab9bea08ff"},
		{"x", "", "1000.CLIENT", "3e84b9d716130d289157a0d81fd01bb1"},
		{"日本語", "日本語", "é", "3f92ed9cc4054f29243ef9b92586dfba"},
	} {
		requireGolden(t, c.id+" of "+c.user+" "+c.client, string(keyOf(c.id, c.user, c.client)), c.want)
	}
	requireGolden(t, "a user's first key", string(ofUser("alice").from), "c05ff77814e33899")
}

func TestGolden_hintsOfTokens(t *testing.T) {
	for token, want := range map[string]string{"": "", "refresh-1": "vUc-Xc3O", "日本語": "d3EK7cdO"} {
		requireGolden(t, token, hint(token), want)
	}
}

var newYear = time.Unix(1767225600, 0) // 2026

func TestGolden_numbers(t *testing.T) {
	requireGolden(t, "a time", timestamp(newYear), "t85s00")
	requireGolden(t, "writes of a day", history(nil).add(quota{100, 24 * time.Hour}, newYear).String(), "ais0:1")
	requireGolden(t, "writes of a minute", history(nil).add(quota{120, time.Minute}, newYear).String(), "bov400:1")
	requireGolden(t, "a lease", lease{holder: "h", lasts: 30 * time.Second, until: newYear}.String(), "h 30000 1767225600000")
	requireGolden(t, "a refusal", lease{refused: "invalid_grant", until: newYear}.String(), "refused: 1767225600000 invalid_grant")
	if got := newNonce(); len(got) != 12 {
		t.Errorf("a nonce: got %q, want 12 characters", got)
	}
}

func TestGolden_header(t *testing.T) {
	rec := Record{
		Incarnation: "i", WriteID: "w3", Earlier: []string{"w2", "w1"}, Base: "b", Claims: []string{"c2", "c1@c05f"}, Siblings: true,
		Lease: lease{holder: "h", lasts: time.Second, until: newYear}, Writes: history{{slot: 35, count: 2}, {slot: 36, count: 1}},
		Written: newYear, Document: codec.Document{"format": json.RawMessage(`"1"`), "id": json.RawMessage(`"x"`)},
	}
	const header = `"base":"b","claims":"c2 c1@c05f",`
	const rest = `"incarnation":"i","lease":"h 1000 1767225600000","siblings":"true","write_id":"w3","writes":"z:2 10:1","written":"t85s00"}`
	live, err := MarshalBytes(rec)
	if err != nil {
		t.Fatal(err)
	}
	requireGolden(t, "a record", string(live), `{`+header+`"earlier_writes":"w2 w1","format":"1","id":"x",`+rest)
	rec.Document, rec.Deleted = nil, true
	tombstone, err := MarshalBytes(rec)
	if err != nil {
		t.Fatal(err)
	}
	requireGolden(t, "a tombstone", string(tombstone), `{`+header+`"deleted":"true","earlier_writes":"w2 w1","format":"1",`+rest)
}

func TestGolden_linesOfTheIndex(t *testing.T) {
	for _, c := range []struct {
		line any
		want string
	}{
		{entry{ID: "x", Nonce: "n", At: "t85s00"}, `{"id":"x","n":"n","t":"t85s00"}`},
		{entry{ID: "x", User: "u", Client: "c", Nonce: "n", At: "t85s00", Grant: "g", Refresh: "r", Access: "a", Of: "i"},
			`{"id":"x","u":"u","c":"c","n":"n","t":"t85s00","g":"g","r":"r","a":"a","i":"i"}`},
		{pointer{From: "c05f", Name: "page_x"}, `{"f":"c05f","p":"page_x"}`},
	} {
		got, err := json.Marshal(c.line)
		if err != nil {
			t.Fatal(err)
		}
		requireGolden(t, "a line", string(got), c.want)
	}
}
