package gcpsm

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
)

// BenchmarkFind measures a find beside the bare client's read and json.Unmarshal on the same server,
// the two in turn; the ratio is what the store adds.
func BenchmarkFind(b *testing.B) {
	srv := gcpsmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	client, err := srv.Client(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	store, err := New(client, "my-project")
	if err != nil {
		b.Fatal(err)
	}
	token := &oauthstore.OAuthToken{UserName: "alice", ClientID: "client", RefreshToken: "refresh", AccessToken: "access"}
	if err := store.SaveToken(ctx, token); err != nil {
		b.Fatal(err)
	}
	bare := func() error {
		out, err := client.AccessSecretVersion(ctx, &pb.AccessSecretVersionRequest{
			Name: "projects/my-project/secrets/oauthstore__token_" + token.ID + "/versions/latest",
		})
		if err != nil {
			return err
		}
		var fields map[string]string
		return json.Unmarshal(out.GetPayload().GetData(), &fields)
	}
	finds := map[string]func() error{
		"FindTokenByID": func() error { _, err := store.FindTokenByID(ctx, token.ID); return err },
		"FindToken": func() error {
			_, err := store.FindToken(ctx, &oauthstore.OAuthToken{UserName: "alice"})
			return err
		},
	}
	for name, find := range finds {
		b.Run(name, func(b *testing.B) {
			var ours, theirs time.Duration
			for range b.N {
				ours += timed(b, find)
				theirs += timed(b, bare)
			}
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}

func timed(b *testing.B, do func() error) time.Duration {
	start := time.Now()
	if err := do(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkGetTokens lists a thousand tokens where every request takes 5 ms.
func BenchmarkGetTokens(b *testing.B) {
	srv := gcpsmtest.NewServer()
	defer srv.Close()
	ctx := context.Background()
	client, err := srv.Client(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	store, err := New(client, "my-project")
	if err != nil {
		b.Fatal(err)
	}
	const tokens = 1000
	for i := range tokens {
		if err := store.SaveToken(ctx, &oauthstore.OAuthToken{ID: fmt.Sprint(i), AccessToken: fmt.Sprint("access", i)}); err != nil {
			b.Fatal(err)
		}
	}
	srv.SetLatency(5 * time.Millisecond)
	b.ResetTimer()
	for range b.N {
		all, err := store.GetTokens(ctx)
		if err != nil || len(all) != tokens {
			b.Fatal(len(all), err)
		}
	}
}
