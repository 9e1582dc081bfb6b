package awssm_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/codec"
)

// In an application the client is secretsmanager.NewFromConfig(cfg); here it speaks to a test server.
func Example() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	store, err := awssm.New(srv.Client(), awssm.WithPrefix("my-app/prod"))
	if err != nil {
		log.Fatal(err)
	}

	err = store.SaveToken(ctx, &oauthstore.OAuthToken{
		ID:           "alice",
		UserName:     "alice@example.com",
		ClientID:     "1000.CLIENT",
		RefreshToken: "refresh-1",
		AccessToken:  "access-1",
		Expiry:       time.Date(2030, 1, 2, 3, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}

	token, err := store.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice@example.com"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("found", token.ID, "with", token.AccessToken)

	token.AccessToken = "access-2"
	if err := store.SaveToken(ctx, token); err != nil {
		log.Fatal(err)
	}
	tokens, err := store.GetTokens(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range tokens {
		fmt.Println("stored:", t.ID, "with", t.AccessToken, "and", t.RefreshToken)
	}
	for _, secret := range srv.Secrets() {
		fmt.Println("secret:", secret.Name)
	}

	if err := store.DeleteToken(ctx, "alice"); err != nil {
		log.Fatal(err)
	}
	_, err = store.FindTokenByID(ctx, "alice")
	fmt.Println("gone:", errors.Is(err, oauthstore.ErrTokenNotFound))
	// Output:
	// found alice with access-1
	// stored: alice with access-2 and refresh-1
	// secret: my-app/prod/index
	// secret: my-app/prod/token_alice
	// gone: true
}

// With a codec that encrypts, whoever may read the secrets still needs the key. Names of secrets stay
// in clear: they hold the ids.
func ExampleWithCodec() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	encrypted, err := codec.NewEncrypted(codec.JSON{}, newKey())
	if err != nil {
		log.Fatal(err)
	}
	store, err := awssm.New(srv.Client(), awssm.WithCodec(encrypted))
	if err != nil {
		log.Fatal(err)
	}
	if err := store.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "refresh-1"}); err != nil {
		log.Fatal(err)
	}
	for _, secret := range srv.Secrets() {
		payload := string(secret.Versions[0].Payload)
		fmt.Println(secret.Name, "in clear:", strings.Contains(payload, "refresh-1") || strings.Contains(payload, "alice"))
	}
	token, err := store.FindTokenByID(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.RefreshToken)
	// Output:
	// oauthstore/index in clear: false
	// oauthstore/token_alice in clear: false
	// refresh-1
}

// gcm makes a codec.AEAD of AES-GCM.
type gcm struct{ cipher.AEAD }

func newKey() gcm {
	key := make([]byte, 32) // in an application: from a key management service
	_, _ = rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		log.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		log.Fatal(err)
	}
	return gcm{aead}
}

func (g gcm) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	nonce := make([]byte, g.NonceSize())
	_, _ = rand.Read(nonce)
	return g.Seal(nonce, nonce, plaintext, associatedData), nil
}

func (g gcm) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < g.NonceSize() {
		return nil, errors.New("too short")
	}
	return g.Open(nil, ciphertext[:g.NonceSize()], ciphertext[g.NonceSize():], associatedData)
}

// Somebody has deleted a secret in the console. What is left of the token in the index is harmless, and a repair
// removes it once it is a quarter of an hour old.
func ExampleStore_Repair() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	store, err := awssm.New(srv.Client())
	if err != nil {
		log.Fatal(err)
	}
	if err := store.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "refresh-1"}); err != nil {
		log.Fatal(err)
	}
	report, err := store.Repair(ctx, oauthstore.RepairOptions{
		DryRun: true,
		Progress: func(p oauthstore.RepairProgress) {
			if p.Step == "read" {
				fmt.Println("read", p.Done, "of", p.Total)
			}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report, "- clean:", report.Clean())
	// Output:
	// read 0 of 1
	// read 1 of 1
	// 1 tokens: 0 were not listed, 0 lines were dead, 0 deletions unfinished, 0 pages wrong, 0 secrets expiring; 0 conflicts, 0 unreadable - clean: true
}

// A provider whose access tokens live for five minutes: not each of them is written.
func ExampleWithAccessTokenSpacing() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	store, err := awssm.New(srv.Client(), awssm.WithAccessTokenSpacing(20*time.Minute))
	if err != nil {
		log.Fatal(err)
	}
	save := func(token *oauthstore.OAuthToken) {
		token.ID = "alice"
		if err := store.SaveToken(ctx, token); err != nil {
			log.Fatal(err)
		}
	}
	save(&oauthstore.OAuthToken{RefreshToken: "refresh-1", AccessToken: "access-1"})
	save(&oauthstore.OAuthToken{AccessToken: "access-2"}) // five minutes later
	fmt.Println("puts:", srv.Count("PutSecretValue"))
	save(&oauthstore.OAuthToken{RefreshToken: "refresh-2", AccessToken: "access-3"}) // the refresh token was replaced
	fmt.Println("puts:", srv.Count("PutSecretValue"))
	// Output:
	// puts: 0
	// puts: 1
}

// What a store asks of Secrets Manager, request by request.
func ExampleWithObserver() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	store, err := awssm.New(srv.Client(), awssm.WithObserver(func(_ context.Context, e oauthstore.Event) {
		fmt.Printf("%s %s %q\n", e.Operation, e.Secret, e.Code)
	}))
	if err != nil {
		log.Fatal(err)
	}
	if err := store.SaveToken(ctx, &oauthstore.OAuthToken{ID: "alice", RefreshToken: "refresh-1"}); err != nil {
		log.Fatal(err)
	}
	// Output:
	// GetSecretValue oauthstore/token_alice "ResourceNotFoundException"
	// GetSecretValue oauthstore/index "ResourceNotFoundException"
	// CreateSecret oauthstore/index ""
	// CreateSecret oauthstore/token_alice ""
}

// The resource of an IAM policy for the store.
func ExampleStore_NamePrefix() {
	srv := awssmtest.NewServer()
	defer srv.Close()
	store, err := awssm.New(srv.Client(), awssm.WithPrefix("my-app"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("arn:aws:secretsmanager:%s:%s:secret:%s*\n", awssmtest.Region, awssmtest.Account, store.NamePrefix())
	// Output: arn:aws:secretsmanager:us-east-1:123456789012:secret:my-app/*
}
