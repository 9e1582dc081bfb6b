package oauthotel_test

import (
	"context"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/cache"
	"github.com/oauthstore/oauthstore/memory"
	oauthotel "github.com/oauthstore/oauthstore/otel"
)

// Where a program sets the global providers, it needs no options.
func Example() {
	ctx := context.Background()
	exporter := tracetest.NewInMemoryExporter() // for example; else one of OTLP
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))

	secrets := memory.New() // or one of awssm, vault, gcpsm
	store, err := cache.New(
		oauthotel.Wrap(secrets, oauthotel.WithTracerProvider(provider)),
		cache.WithObserver(oauthotel.CacheObserver()),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = store.Close(ctx) }()

	if err := store.SaveToken(ctx, &oauthstore.OAuthToken{UserName: "alice", RefreshToken: "refresh", AccessToken: "access"}); err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if _, err := store.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"}); err != nil {
			log.Fatal(err) // these are hits: no operations of the store
		}
	}
	if err := store.DeleteToken(ctx, "another"); err != nil {
		fmt.Println(err)
	}
	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name)
	}
	// Output:
	// oauthstore: token not found
	// oauthstore.SaveToken
	// oauthstore.DeleteToken
}
