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
