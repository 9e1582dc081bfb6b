package awssm_test

import (
	"testing"
	"time"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/storetest"
)

func newServer(t *testing.T) *awssmtest.Server {
	srv := awssmtest.NewServer()
	t.Cleanup(srv.Close)
	return srv
}

func newStore(t *testing.T, srv *awssmtest.Server) *awssm.Store {
	t.Helper()
	s, err := awssm.New(srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel() // most of it is waiting
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore { return newStore(t, newServer(t)) })
}

func TestStore_shared(t *testing.T) {
	t.Parallel() // most of it is waiting
	storetest.RunShared(t, func(t *testing.T) func() oauthstore.TokenStore {
		srv := newServer(t)
		return func() oauthstore.TokenStore { return newStore(t, srv) }
	})
}

// One process sees what it has written, however far reads lag behind.
func TestStore_whereReadsLagBehind(t *testing.T) {
	t.Parallel() // most of it is waiting
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
		srv := awssmtest.NewServer(awssmtest.WithStaleReads(time.Hour))
		t.Cleanup(srv.Close)
		return newStore(t, srv)
	})
}

// The same of three processes, of which each call goes to another.
func TestStore_ofSeveralProcesses(t *testing.T) {
	t.Parallel() // most of it is waiting
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
		srv := newServer(t)
		return enginetest.InTurn(func() enginetest.Store { return newStore(t, srv) })
	})
}
