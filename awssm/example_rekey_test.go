package awssm_test

import (
	"context"
	"fmt"
	"log"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/codec"
)

// The key of a store in use is changed, one step after another, as docs/encryption.md has it.
func ExampleStore_Rekey() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	store := func(key codec.AEAD, opts ...codec.Option) *awssm.Store {
		encrypted, err := codec.NewEncrypted(codec.JSON{}, key, opts...)
		if err != nil {
			log.Fatal(err)
		}
		s, err := awssm.New(srv.Client(), awssm.WithCodec(encrypted))
		if err != nil {
			log.Fatal(err)
		}
		return s
	}
	a, b := newKey(), newKey()
	if err := store(a).SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "refresh-1"}); err != nil {
		log.Fatal(err)
	}

	_ = store(a, codec.WithDecryption(b))       // step 1: all processes can read what will be written
	during := store(b, codec.WithDecryption(a)) // step 2: all processes write under b
	report, err := during.Rekey(ctx, oauthstore.RekeyOptions{DryRun: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Remaining)
	report, err = during.Rekey(ctx, oauthstore.RekeyOptions{}) // step 3
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report, report.Done())

	token, err := store(b).FindTokenByID(ctx, "alice") // step 4: a is no longer used
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.RefreshToken)
	// Output:
	// [oauthstore/index oauthstore/token_alice]
	// 2 secrets: 2 written under the newest key, 0 still need an older one; 0 unreadable true
	// refresh-1
}
