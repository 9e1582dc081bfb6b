package codec_test

import (
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
)

// A token as the document that a secret holds, and back: to move tokens to another place, or to read
// what an older program has left.
func ExampleJSON() {
	record := &oauthstore.Record{Token: oauthstore.OAuthToken{
		ID:           "alice",
		UserName:     "alice@example.com",
		RefreshToken: "refresh-1",
		Expiry:       time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
	document, err := codec.JSON{}.Encode("", record)
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))

	document, err = codec.Parse(text)
	if err != nil {
		log.Fatal(err)
	}
	record, err = codec.JSON{}.Decode("", document)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(record.Token.UserName, "until", record.Token.Expiry)
	// Output:
	// {
	//   "expiry_time": "1893553445000",
	//   "format": "1",
	//   "id": "alice",
	//   "refresh_token": "refresh-1",
	//   "user_name": "alice@example.com"
	// }
	// alice@example.com until 2030-01-02 03:04:05 +0000 UTC
}

// Fields that this version does not know stay in the document when the token is saved.
func ExampleJSON_unknownFields() {
	document, err := codec.Parse([]byte(`{"format": "1", "id": "alice", "refresh_token": "r", "team": {"lead": "bob"}}`))
	if err != nil {
		log.Fatal(err)
	}
	record, err := codec.JSON{}.Decode("", document)
	if err != nil {
		log.Fatal(err)
	}
	record, _ = record.Merge(&oauthstore.OAuthToken{AccessToken: "access-2"})
	document, err = codec.JSON{}.Encode("", record)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(document) // the names only: a document is a secret
	fmt.Println(string(document["team"]))
	// Output:
	// Document{access_token, format, id, refresh_token, team}
	// {"lead": "bob"}
}
