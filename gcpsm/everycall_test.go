package gcpsm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/internal/enginetest"
)

// A mishap is what happens to one request.
type mishap int

const (
	denied   mishap = iota
	timedOut        // nothing has happened
	lost            // the request has taken effect, and its answer does not come
	missed          // a read of latest, or a list, of before there was anything
)

var mishaps = map[mishap]string{denied: "denied", timedOut: "timed out", lost: "lost", missed: "missed"}

// meddler lets a mishap happen to the request with the number at, counted from zero since the last reset.
type meddler struct {
	at     int
	mishap mishap
	ops    []string // of the requests since then
}

func (m *meddler) intercept(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, send grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	op := path.Base(method)
	number := len(m.ops)
	m.ops = append(m.ops, op)
	if number != m.at {
		return send(ctx, method, req, reply, conn, opts...)
	}
	switch m.mishap {
	case denied:
		return status.Error(codes.PermissionDenied, "Permission denied.")
	case lost:
		_ = send(ctx, method, req, reply, conn, opts...)
	case missed:
		if strings.HasPrefix(op, "List") {
			proto.Reset(reply.(proto.Message))
			return nil
		}
		if in, ok := req.(*pb.AccessSecretVersionRequest); ok && path.Base(in.GetName()) == "latest" {
			return status.Error(codes.NotFound, "not found")
		}
		return send(ctx, method, req, reply, conn, opts...)
	}
	return status.Error(codes.DeadlineExceeded, "deadline exceeded")
}

// A scene is an operation of a driver in a certain state of the secret.
type scene struct {
	opts []gcpsmtest.Option

	// before is what happens before. The driver also makes the operation.
	before func(t *testing.T, b backend, d *driver)

	// do makes the operation and returns its result. A conflict is no error.
	do func(d *driver) (string, error)

	want       string
	older      []string // what it may also be if a read shows an older state
	bestEffort []string // the requests that may fail without an error
	after      func(t *testing.T, b backend)
}

func get(d *driver) (string, error) {
	return enginetest.Shown(d.Get(context.Background(), "token_x", engine.None))
}

func probe(d *driver) (string, error) {
	return enginetest.Shown(d.Probe(context.Background(), "token_x"))
}

// put saves on a revision that was read before.
func put(rec *engine.Record, base *engine.Rev) func(d *driver) (string, error) {
	return func(d *driver) (string, error) {
		r, err := d.Put(context.Background(), "token_x", *base, successor(*rec, *base, "mine"), engine.TidyAll)
		if errors.Is(err, engine.ErrConflict) {
			return "conflict", nil
		}
		return fmt.Sprint(revision(r).number), err
	}
}

func (b backend) save(t *testing.T, access ...string) {
	t.Helper()
	s := b.NewStore(t)
	for _, a := range access {
		require.NoError(t, s.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "x", AccessToken: a}))
	}
}

func (b backend) delete(t *testing.T) {
	t.Helper()
	require.NoError(t, b.NewStore(t).DeleteToken(context.Background(), "x"))
}

func scenes() map[string]scene {
	read := func(t *testing.T, d *driver, rec *engine.Record, base *engine.Rev) {
		t.Helper()
		var err error
		*rec, *base, err = d.Get(context.Background(), "token_x", engine.None)
		require.NoError(t, err)
	}
	var rec engine.Record
	var base engine.Rev
	remove := func(d *driver) (string, error) {
		tombstone := successor(rec, base, "tombstone")
		tombstone.Deleted, tombstone.Document = true, nil
		return "deleted", d.Delete(context.Background(), "token_x", base, tombstone)
	}
	gone := func(t *testing.T, b backend) { b.noSecrets(t) }
	return map[string]scene{
		"a read": {
			before: func(t *testing.T, b backend, d *driver) { b.save(t, "a", "b") },
			do:     get, want: "b", older: []string{"absent"},
		},
		"a read of a secret with a void version on top": {
			before: func(t *testing.T, b backend, d *driver) { contended(t, b) },
			do:     get, want: "SECRET of first", older: []string{"absent"},
		},
		"a read of a deleted token": {
			before: func(t *testing.T, b backend, d *driver) { b.save(t, "a"); b.delete(t) },
			do:     get, want: "absent",
		},
		"a read of a deleted token that waits for its destruction": {
			before: func(t *testing.T, b backend, d *driver) {
				b.save(t, "a")
				b.delayDestruction(t, "oauthstore__token_x")
				b.delete(t)
			},
			do: get, want: "absent",
		},
		"a read of a token that was deleted since, on an emulator that does not find it": {
			opts: []gcpsmtest.Option{gcpsmtest.WithEmulatorQuirks(gcpsmtest.DestroyedNotFound)},
			before: func(t *testing.T, b backend, d *driver) {
				b.save(t, "a")
				read(t, d, &rec, &base)
				b.delete(t)
			},
			do: get, want: "absent", bestEffort: []string{"ListSecretVersions denied"},
		},
		"a read of a secret that was deleted by hand": {
			before: func(t *testing.T, b backend, d *driver) {
				b.save(t, "a", "b", "c")
				read(t, d, &rec, &base)
				b.deleteSecret(t, "oauthstore__token_x")
				b.save(t, "d")
			},
			do: get, want: "d", bestEffort: []string{"ListSecretVersions denied"},
		},
		"a read of a secret that had one version and was deleted by hand": {
			before: func(t *testing.T, b backend, d *driver) {
				b.save(t, "a")
				read(t, d, &rec, &base)
				b.deleteSecret(t, "oauthstore__token_x")
			},
			do: get, want: "absent", bestEffort: []string{"ListSecretVersions denied"},
		},
		"a probe": {
			before: func(t *testing.T, b backend, d *driver) { b.save(t, "a", "b") },
			do:     probe, want: "b",
		},
		"a probe of a deleted token": {
			before: func(t *testing.T, b backend, d *driver) { b.save(t, "a"); b.delete(t) },
			do:     probe, want: "absent",
		},
		"a write": {
			before: func(t *testing.T, b backend, d *driver) { b.save(t, "a", "b"); read(t, d, &rec, &base) },
			do:     put(&rec, &base), want: "3", bestEffort: []string{"DestroySecretVersion"},
		},
		"a write that looks for versions that are left": {
			before: func(t *testing.T, b backend, d *driver) {
				for i := range 1 + lookAfter {
					b.save(t, fmt.Sprint(i))
				}
				read(t, d, &rec, &base)
			},
			do: put(&rec, &base), want: fmt.Sprint(2 + lookAfter),
			bestEffort: []string{"DestroySecretVersion", "ListSecretVersions"},
		},
		"a write that comes too late": {
			before: func(t *testing.T, b backend, d *driver) {
				b.save(t, "a")
				read(t, d, &rec, &base)
				b.save(t, "b")
			},
			do: put(&rec, &base), want: "conflict", bestEffort: []string{"AccessSecretVersion"}, // to see whether it was a delete
		},
		"a first write": {
			before: func(t *testing.T, b backend, d *driver) { read(t, d, &rec, &base) },
			do:     put(&rec, &base), want: "1",
		},
		"a first write where another has died": {
			before: func(t *testing.T, b backend, d *driver) {
				read(t, d, &rec, &base)
				require.NoError(t, b.Driver(t).(*driver).create(context.Background(), "token_x"))
			},
			do: put(&rec, &base), want: "1",
		},
		"a first write that comes second": {
			before: func(t *testing.T, b backend, d *driver) { read(t, d, &rec, &base); b.save(t, "a") },
			do:     put(&rec, &base), want: "conflict", bestEffort: []string{"AccessSecretVersion"}, // as above, if the list lags
		},
		"a delete": {
			before: func(t *testing.T, b backend, d *driver) {
				read(t, d, &rec, &base)
				_, err := d.Put(context.Background(), "token_x", base, successor(rec, base, "mine"), engine.TidyAll)
				require.NoError(t, err)
				read(t, d, &rec, &base)
			},
			do: remove, want: "deleted", after: gone,
		},
		"a delete of what another process has written": {
			before: func(t *testing.T, b backend, d *driver) { b.save(t, "SECRET 1", "SECRET 2"); read(t, d, &rec, &base) },
			do:     remove, want: "deleted", after: gone,
		},
		"a delete of what others have written at once": {
			before: func(t *testing.T, b backend, d *driver) { contended(t, b); read(t, d, &rec, &base) },
			do:     remove, want: "deleted", after: gone,
		},
		"a list": {
			before: func(t *testing.T, b backend, d *driver) { b.save(t, "a") },
			do: func(d *driver) (string, error) {
				var names []string
				err := d.List(context.Background(), func(page []string) bool { names = append(names, page...); return true })
				slices.Sort(names)
				return strings.Join(names, " "), err
			},
			want: "index token_x", older: []string{""},
		},
	}
}

// play plays a scene on a server of its own, and returns the requests that were made.
func (s scene) play(t *testing.T, at int, happens mishap) (ops []string, got string, err error) {
	b := newBackend(t, s.opts...)
	m := &meddler{at: -1}
	client, err := b.srv.Client(context.Background(), option.WithGRPCDialOption(grpc.WithUnaryInterceptor(m.intercept)))
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	d := newDriver(client, testConfig)
	s.before(t, b, d)
	m.ops, m.at, m.mishap = nil, at, happens
	got, err = s.do(d)
	if err == nil && s.after != nil {
		s.after(t, b)
	}
	return m.ops, got, err
}

// Whichever request of an operation fails, the operation says so; whichever read is late, it is not wrong.
func TestEveryRequest_mayFailOrLag(t *testing.T) {
	for name, s := range scenes() {
		t.Run(name, func(t *testing.T) {
			ops, got, err := s.play(t, -1, 0)
			require.NoError(t, err)
			require.Equal(t, s.want, got)
			for at, op := range ops {
				for happens, word := range mishaps {
					_, got, err := s.play(t, at, happens)
					switch {
					case happens == missed && err == nil:
						require.Contains(t, append(s.older, s.want), got, "%s, request %d, %s", op, at, word)
					case happens == missed:
						require.ErrorIs(t, err, oauthstore.ErrUnavailable, "%s, request %d, %s", op, at, word)
					case slices.Contains(s.bestEffort, op) || slices.Contains(s.bestEffort, op+" "+word):
						if err == nil {
							require.Equal(t, s.want, got, "%s, request %d, %s", op, at, word)
						}
					default:
						require.Error(t, err, "%s, request %d, %s: got %q", op, at, word, got)
						require.NotErrorIs(t, err, oauthstore.ErrTokenNotFound)
					}
				}
			}
		})
	}
}
