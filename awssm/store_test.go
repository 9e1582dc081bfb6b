package awssm_test

import (
	"testing"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel() // most of it is waiting
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
		srv := awssmtest.NewServer()
		t.Cleanup(srv.Close)
		s, err := awssm.New(srv.Client())
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// The same of three processes, of which each call goes to another.
func TestStore_ofSeveralProcesses(t *testing.T) {
	t.Parallel() // most of it is waiting
	storetest.Run(t, func(t *testing.T) oauthstore.TokenStore {
		srv := awssmtest.NewServer()
		t.Cleanup(srv.Close)
		return enginetest.InTurn(func() enginetest.RangedStore {
			s, err := awssm.New(srv.Client())
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
}
