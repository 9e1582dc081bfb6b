//go:build go1.25

package awssm

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

func TestOwnWritesAreSeenThoughReadsLagBehind(t *testing.T) {
	for name, opts := range map[string][]awssmtest.Option{
		"not at all":                  nil,
		"by name, for an hour":        {awssmtest.WithStaleReads(time.Hour)},
		"by name, and by version id":  {awssmtest.WithStaleReads(time.Second), awssmtest.WithStaleVersions(time.Second)},
		"by name, longer than labels": {awssmtest.WithStaleReads(2 * time.Second), awssmtest.WithStaleVersions(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			opts := append(opts, awssmtest.WithVersionQuota(0), awssmtest.WithoutSocket())
			enginetest.RunOwnWrites(t, func(t *testing.T, test func(*testing.T, enginetest.Store)) {
				synctest.Test(t, func(t *testing.T) {
					srv := awssmtest.NewServer(opts...)
					defer srv.Close()
					s, err := New(srv.Client(), WithVersionQuota(0))
					if err != nil {
						t.Fatal(err)
					}
					test(t, s)
				})
			})
		})
	}
}
