package awssm

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
	"github.com/oauthstore/oauthstore/testserver"
)

// A scene is an operation of a driver in a certain state of the service.
type scene struct {
	server []awssmtest.Option
	opts   []Option
	before func(f fixture, d *driver)
	do     func(f fixture, d *driver) (string, error) // and returns the result
	want   string
	after  func(f fixture) // checks what an operation without an error has left

	// bestEffort are the requests that may fail without an error, with the result then.
	bestEffort map[string]string
}

func scenes() map[string]scene {
	var rec engine.Record
	var base engine.Rev
	save := func(f fixture, access string) {
		f.save(f.store(), oauthstore.OAuthToken{ID: "x", AccessToken: access})
	}
	read := func(f fixture, d *driver) {
		var err error
		rec, base, err = d.Get(f.ctx, "token_x", engine.None)
		require.NoError(f.t, err)
	}
	get := func(f fixture, d *driver) (string, error) {
		return enginetest.Shown(d.Get(f.ctx, "token_x", engine.None))
	}
	getAgain := func(f fixture, d *driver) (string, error) { return enginetest.Shown(d.Get(f.ctx, "token_x", base)) }
	put := func(f fixture, d *driver) (string, error) {
		next := rec
		next.WriteID = "mine"
		_, err := d.Put(f.ctx, "token_x", base, next, 0)
		return "written", err
	}
	remove := func(f fixture, d *driver) (string, error) {
		tombstone := rec
		tombstone.Base, tombstone.WriteID, tombstone.Deleted, tombstone.Document = base, "tombstone", true, nil
		return "deleted", d.Delete(f.ctx, "token_x", base, tombstone)
	}
	isAbsent := func(f fixture) {
		got, err := get(f, f.driver())
		require.NoError(f.t, err)
		require.Equal(f.t, "absent", got)
	}
	discard := func(f fixture, window int64) {
		in := &sm.DeleteSecretInput{SecretId: aws.String("oauthstore/token_x"), RecoveryWindowInDays: aws.Int64(window)}
		_, err := f.DeleteSecret(f.ctx, in)
		require.NoError(f.t, err)
	}
	// readNone reads a secret that is not there, for a write of what another holds.
	readNone := func(f fixture, d *driver) {
		f.save(f.store(), oauthstore.OAuthToken{ID: "y", AccessToken: "y"})
		read(f, d)
		var err error
		rec, _, err = d.Get(f.ctx, "token_y", engine.None)
		require.NoError(f.t, err)
	}
	return map[string]scene{
		"a read": {before: func(f fixture, d *driver) { save(f, "a") }, do: get, want: "a"},
		"a read after a miss, of a secret that a lagging read does not show": {
			server: []awssmtest.Option{awssmtest.WithStaleReads(time.Hour)},
			before: func(f fixture, d *driver) { save(f, "a"); read(f, d) },
			do:     getAgain, want: "a",
		},
		"a read of a secret that waits for its deletion": {
			before: func(f fixture, d *driver) { save(f, "a"); discard(f, 7) },
			do:     get, want: "absent", bestEffort: map[string]string{"DescribeSecret": "absent"},
		},
		"a read after a conflict, of a version that a lagging read does not show": {
			server: []awssmtest.Option{awssmtest.WithStaleReads(time.Hour)},
			before: func(f fixture, d *driver) {
				save(f, "a")
				f.srv.Advance(2 * time.Hour)
				read(f, d)
				save(f, "b")
			},
			do: getAgain, want: "b",
		},
		"a write": {before: func(f fixture, d *driver) { save(f, "a"); read(f, d) }, do: put, want: "written"},
		"a first write": {
			before: readNone,
			do:     put, want: "written",
		},
		"a first write over a secret that waits for its deletion": {
			before: func(f fixture, d *driver) { readNone(f, d); save(f, "a"); discard(f, 7) },
			do:     put, want: "written",
			// They are tried again.
			bestEffort: map[string]string{"RestoreSecret": "written", "PutSecretValue": "written"},
		},
		"a delete": {before: func(f fixture, d *driver) { save(f, "a"); read(f, d) }, do: remove, want: "deleted", after: isAbsent},
		"a delete with a recovery window": {
			opts:   []Option{WithRecoveryWindow(7)},
			before: func(f fixture, d *driver) { save(f, "a"); read(f, d) },
			do:     remove, want: "deleted", after: isAbsent,
		},
		"a delete of a secret with copies": {
			opts: []Option{WithReplicaRegions("eu-west-1")},
			before: func(f fixture, d *driver) {
				f.save(f.store(WithReplicaRegions("eu-west-1")), oauthstore.OAuthToken{ID: "x", AccessToken: "a"})
				read(f, d)
			},
			do: remove, want: "deleted", after: isAbsent,
		},
		"a list": {
			before: func(f fixture, d *driver) { save(f, "a") },
			do: func(f fixture, d *driver) (string, error) {
				var names []string
				err := d.List(f.ctx, func(page []string) bool { names = append(names, page...); return true })
				slices.Sort(names)
				return strings.Join(names, " "), err
			},
			want: "index token_x",
		},
		"a batch": {
			before: func(f fixture, d *driver) { save(f, "a") },
			do: func(f fixture, d *driver) (string, error) {
				var got []string
				var failed error
				yielded := make(map[string]bool)
				d.GetMany(f.ctx, []string{"token_x", "token_none"}, func(name string, rec engine.Record, rev engine.Rev, err error) {
					require.False(f.t, yielded[name], "%s comes twice", name)
					yielded[name] = true
					if errors.Is(err, engine.ErrAlone) {
						got = append(got, name+" alone")
						return
					}
					access, err := enginetest.Shown(rec, rev, err)
					got = append(got, name+" "+access)
					failed = errors.Join(failed, err)
				})
				slices.Sort(got)
				return strings.Join(got, ", "), failed
			},
			want: "token_none absent, token_x a",
			// A permission that is missing leaves them to single reads.
			bestEffort: map[string]string{"BatchGetSecretValue": "token_none alone, token_x alone"},
		},
	}
}

// play plays a scene on a server of its own, with a fault for the request with the number at, and returns the requests
// that the operation made.
func (s scene) play(t *testing.T, at int, kind testserver.Kind) (ops []string, got string, err error) {
	f := start(t, s.server...)
	d := f.driver(s.opts...)
	s.before(f, d)
	f.srv.ResetRequests()
	if kind != testserver.None {
		f.srv.Inject(testserver.Fault{Kind: kind, Skip: at})
	}
	got, err = s.do(f, d)
	for _, r := range f.srv.Requests() {
		ops = append(ops, r.Op)
	}
	if err == nil && s.after != nil {
		s.after(f)
	}
	return ops, got, err
}

// Whichever request of an operation fails, the operation says so, or does its work all the same.
func TestEveryRequest_mayFail(t *testing.T) {
	for name, s := range scenes() {
		t.Run(name, func(t *testing.T) {
			enginetest.RunEveryRequest(t, enginetest.Played{
				Play: func(at int, kind testserver.Kind) ([]string, string, error) { return s.play(t, at, kind) },
				Want: s.want,
				Tolerated: func(op string, _ testserver.Kind) (string, bool) {
					want, ok := s.bestEffort[op]
					return want, ok
				},
				Blocked: true,
			})
		})
	}
}
