package gcpsm

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/codec"
	"github.com/oauthstore/oauthstore/gcpsm/gcpsmtest"
	"github.com/oauthstore/oauthstore/internal/engine"
	"github.com/oauthstore/oauthstore/testserver"
)

// A slow writer's version counts, with a void version below it. Before the writer reads that one, others supersede or
// delete both. It finds a destroyed version below its own, which proves nothing.

// A slow client lets a test act before its calls.
type slow struct {
	Client
	t *testing.T

	mu     sync.Mutex
	before map[string]func(data []byte) bool // by the call and its resource, until it returns true
}

func (b backend) slow(t *testing.T) *slow {
	return &slow{Client: b.client(t), t: t, before: make(map[string]func([]byte) bool)}
}

// on lets act go before the next such call.
func (c *slow) on(op, resource string, act func()) {
	c.onData(op, resource, func([]byte) bool { act(); return true })
}

// onData lets act go before such calls, of which it sees what they send, until it returns true.
func (c *slow) onData(op, resource string, act func(data []byte) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before[op+" projects/my-project/secrets/oauthstore__"+resource] = act
}

func (c *slow) call(op, resource string, data []byte) {
	key := op + " " + resource
	c.mu.Lock()
	act := c.before[key]
	delete(c.before, key)
	c.mu.Unlock()
	if act != nil && !act(data) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.before[key] = act
	}
}

// requireDone wants all that was to happen to have happened.
func (c *slow) requireDone() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Empty(c.t, c.before)
}

func (c *slow) AccessSecretVersion(ctx context.Context, in *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (*pb.AccessSecretVersionResponse, error) {
	c.call("access", in.GetName(), nil)
	return c.Client.AccessSecretVersion(ctx, in, opts...)
}

func (c *slow) AddSecretVersion(ctx context.Context, in *pb.AddSecretVersionRequest, opts ...gax.CallOption) (*pb.SecretVersion, error) {
	c.call("add", in.GetParent(), in.GetPayload().GetData())
	return c.Client.AddSecretVersion(ctx, in, opts...)
}

func (b backend) storeOver(t *testing.T, c Client) *Store {
	t.Helper()
	s, err := New(c, "my-project")
	require.NoError(t, err)
	return s
}

// secret returns what the server has under the name, without the prefix.
func (b backend) secret(name string) gcpsmtest.Secret {
	for _, s := range b.srv.Secrets() {
		if s.Name == "oauthstore__"+name {
			return s
		}
	}
	return gcpsmtest.Secret{}
}

// addVoid adds the newest version once more, as a writer that comes late, and is not heard of any more. It returns the
// number.
func (b backend) addVoid(t *testing.T, name string, data []byte) int {
	t.Helper()
	out, err := b.client(t).AddSecretVersion(context.Background(), &pb.AddSecretVersionRequest{
		Parent: "projects/my-project/secrets/oauthstore__" + name, Payload: &pb.SecretPayload{Data: data},
	})
	require.NoError(t, err)
	return versionNumber(out.GetName())
}

// newestOf is the data of the newest version.
func (b backend) newestOf(name string) []byte {
	versions := b.secret(name).Versions
	return versions[len(versions)-1].Data
}

// requireListed wants a new process to find the token, and to list it and no other.
func (b backend) requireListed(t *testing.T, id string) *oauthstore.OAuthToken {
	t.Helper()
	s := b.NewStore(t)
	found, err := s.FindTokenByID(context.Background(), id)
	require.NoError(t, err)
	all, err := s.GetTokens(context.Background())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, id, all[0].ID)
	return found
}

// slowInsert inserts the token x, with a void version below its own, and lets meanwhile go before it looks at that.
func slowInsert(t *testing.T, b backend, meanwhile func(other *Store)) {
	ctx := context.Background()
	other := b.storeOver(t, b.client(t))
	require.NoError(t, other.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "former"}))
	former := bytes.Clone(b.newestOf("token_x"))
	require.NoError(t, other.DeleteToken(ctx, "x")) // versions 1 and 2

	c := b.slow(t)
	c.on("add", "token_x", func() {
		void := b.addVoid(t, "token_x", former)
		c.on("access", fmt.Sprint("token_x/versions/", void), func() { meanwhile(other) })
	})
	require.NoError(t, b.storeOver(t, c).SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "new"}))
	c.requireDone()
}

func TestInsert_thatHasCountedAndWasDeletedIsListedWhenItIsRepeated(t *testing.T) {
	b := newBackend(t)
	slowInsert(t, b, func(other *Store) {
		require.NoError(t, other.DeleteToken(context.Background(), "x"))
	})
	require.Equal(t, "new", b.requireListed(t, "x").AccessToken)
}

func TestInsert_thatHasCountedAndWasSupersededKeepsItsEntry(t *testing.T) {
	for saves := range 8 {
		b := newBackend(t)
		slowInsert(t, b, func(other *Store) {
			for i := range saves {
				require.NoError(t, other.SaveToken(context.Background(), &oauthstore.OAuthToken{ID: "x", AccessToken: fmt.Sprint("newer ", i)}))
			}
		})
		want := "new"
		if saves > 0 {
			want = fmt.Sprint("newer ", saves-1)
		}
		require.Equal(t, want, b.requireListed(t, "x").AccessToken, "%d saves", saves)
	}
}

func TestDelete_thatHasCountedLeavesWhatWasSavedSince(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	other := b.storeOver(t, b.client(t))
	require.NoError(t, other.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "SECRET"}))

	c := b.slow(t)
	c.on("add", "token_x", func() {
		void := b.addVoid(t, "token_x", b.newestOf("token_x"))
		c.on("access", fmt.Sprint("token_x/versions/", void), func() {
			_, err := other.FindTokenByID(ctx, "x")
			require.ErrorIs(t, err, oauthstore.ErrTokenNotFound)
			require.NoError(t, other.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "new"}))
		})
	})
	require.NoError(t, b.storeOver(t, c).DeleteToken(ctx, "x"))
	c.requireDone()
	require.Equal(t, "new", b.requireListed(t, "x").AccessToken)
	b.noSecrets(t)
}

// What was saved long ago is deleted all the same, though latest shows a token that was there before.
func TestDelete_doesNotTakeAnOldStateForWhatItIsToDelete(t *testing.T) {
	b := newBackend(t, gcpsmtest.WithLaggingLatest(time.Hour))
	ctx := context.Background()
	s := b.NewStore(t)
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "SECRET 1"}))
	b.srv.Advance(2 * time.Hour) // this is what latest shows
	require.NoError(t, s.DeleteToken(ctx, "x"))
	require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "x", UserName: "alice", AccessToken: "SECRET 2"}))

	require.NoError(t, b.NewStore(t).DeleteToken(ctx, "x"))
	b.noSecrets(t)
	all, err := b.NewStore(t).GetTokens(ctx)
	require.NoError(t, err)
	require.Empty(t, all)
}

// smallPages is a driver of an index that has pages.
type smallPages struct{ *driver }

func (d smallPages) Limits() engine.Limits {
	l := d.driver.Limits()
	l.Page, l.Writes = 900, 0
	return l
}

func (b backend) withSmallPages(c Client) *engine.Store {
	return engine.New(smallPages{newDriver(c, testConfig)}, codec.JSON{}, time.Minute)
}

func TestDivision_thatHasCountedKeepsItsPages(t *testing.T) {
	b := newBackend(t)
	ctx := context.Background()
	n := 0
	saveOne := func(s *engine.Store) {
		n++
		require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{UserName: fmt.Sprint("user", n), RefreshToken: "r"}))
	}
	other := b.withSmallPages(b.client(t))
	for range 12 {
		saveOne(other)
	}

	// The slow process divides a page below the root.
	c := b.slow(t)
	divided := ""
	for _, name := range b.Names() {
		if !strings.HasPrefix(name, "page_") {
			continue
		}
		c.onData("add", name, func(data []byte) bool {
			if divided != "" || !bytes.Contains(data, []byte(`"pages":`)) {
				return divided != ""
			}
			divided = name
			void := b.addVoid(t, name, b.newestOf(name))
			c.on("access", fmt.Sprint(name, "/versions/", void), func() {
				// Others put the new pages in its place, and delete it.
				for range 500 {
					if versions := b.secret(name).Versions; versions[len(versions)-1].State == "DESTROYED" {
						return
					}
					saveOne(other)
				}
				require.Fail(t, "the page is still there")
			})
			return true
		})
	}
	s := b.withSmallPages(c)
	for i := 0; divided == "" && i < 200; i++ {
		saveOne(s)
	}
	require.NotEmpty(t, divided)
	all, err := b.withSmallPages(b.client(t)).GetTokens(ctx)
	require.NoError(t, err)
	require.Len(t, all, n)
}

// Nothing that an attempt leaves outlives the call that succeeds, or the repeat that succeeds.
func TestSaveToken_thatFailedAndThenSucceededRefusesNobody(t *testing.T) {
	for _, op := range []string{"CreateSecret", "AddSecretVersion"} {
		for _, kind := range []testserver.Kind{testserver.Throttle, testserver.FailBefore, testserver.DropAfter} {
			for _, times := range []int{1, 4, 6} {
				if kind == testserver.Throttle && times > 1 {
					continue // the store waits for the quota
				}
				t.Run(fmt.Sprint(op, " ", kind, " ", times), func(t *testing.T) {
					t.Parallel() // most of it is waiting
					b := newBackend(t)
					ctx := context.Background()
					s := b.NewStore(t)
					b.srv.Inject(testserver.Fault{Op: op, Secret: "oauthstore__token_1", Kind: kind, Times: times})
					one := oauthstore.OAuthToken{ID: "1", UserName: "ann", AccessToken: "a"}
					err := s.SaveToken(ctx, &one)
					for range 2 {
						if err != nil {
							err = s.SaveToken(ctx, &one)
						}
					}
					require.NoError(t, err)
					require.NoError(t, s.DeleteToken(ctx, "1"))
					two := oauthstore.OAuthToken{ID: "2", UserName: "ann", AccessToken: "b"}
					require.NoError(t, b.NewStore(t).SaveToken(ctx, &two))
					b.requireListed(t, "2")
				})
			}
		}
	}
}

func TestSaveToken_thatFailedAndThenSucceededLeavesTheUserNameFree(t *testing.T) {
	for _, op := range []string{"CreateSecret", "AddSecretVersion"} {
		for _, kind := range []testserver.Kind{testserver.Throttle, testserver.FailBefore} {
			t.Run(fmt.Sprint(op, " ", kind), func(t *testing.T) {
				t.Parallel() // most of it is waiting
				b := newBackend(t)
				ctx := context.Background()
				s := b.NewStore(t)
				b.srv.Inject(testserver.Fault{Op: op, Secret: "oauthstore__token_1", Kind: kind})
				require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "1", UserName: "ann", AccessToken: "a"}))
				require.NoError(t, s.SaveToken(ctx, &oauthstore.OAuthToken{ID: "1", UserName: "anna"}))
				require.NoError(t, b.NewStore(t).SaveToken(ctx, &oauthstore.OAuthToken{ID: "2", UserName: "ann", AccessToken: "b"}))
				all, err := b.NewStore(t).GetTokens(ctx)
				require.NoError(t, err)
				require.Len(t, all, 2)
			})
		}
	}
}
