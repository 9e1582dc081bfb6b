package testserver_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore/testserver"
)

// serve is what a server does with a request that it knows nothing else of.
func serve(c *testserver.Control, op, secret string) testserver.Kind {
	ctx := context.Background()
	kind := testserver.Begin(ctx, c, testserver.Request{Op: op, Secret: secret})
	testserver.End(ctx, c, kind)
	return kind
}

func TestFaults_hitTheRequestsTheyWereOrderedFor(t *testing.T) {
	c := testserver.NewControl()
	c.Inject(testserver.Fault{Op: "Put", Secret: "a", Kind: testserver.Throttle, Skip: 1, Times: 2})
	c.Inject(testserver.Fault{Kind: testserver.Deny})
	require.Equal(t, testserver.Deny, serve(c, "Get", "a"), "the second fits any, once")
	require.Equal(t, testserver.None, serve(c, "Put", "b"))
	require.Equal(t, testserver.None, serve(c, "Put", "a"), "the first lets one pass")
	require.Equal(t, testserver.Throttle, serve(c, "Put", "a"))
	require.Equal(t, testserver.Throttle, serve(c, "Put", "a"))
	require.Equal(t, testserver.None, serve(c, "Put", "a"))

	c.Inject(testserver.Fault{Kind: testserver.FailAfter, Times: -1})
	for range 10 {
		require.Equal(t, testserver.FailAfter, serve(c, "Get", "a"))
	}
	c.ClearFaults()
	require.Equal(t, testserver.None, serve(c, "Get", "a"))
}

func TestLog_countsByOperation(t *testing.T) {
	c := testserver.NewControl()
	c.Inject(testserver.Fault{Op: "Put", Kind: testserver.FailBefore})
	serve(c, "Get", "a")
	serve(c, "Put", "b")
	serve(c, "Get", "c")
	require.Equal(t, 3, c.Count())
	require.Equal(t, 2, c.Count("Get"))
	require.Equal(t, 3, c.Count("Get", "Put"))
	require.Equal(t, map[string]int{"Get": 2, "Put": 1}, c.Counts())
	require.Equal(t, testserver.FailBefore, c.Requests()[1].Fault)
	require.Equal(t, "b", c.Requests()[1].Secret)
	c.ResetRequests()
	require.Zero(t, c.Count())
}

func TestClock_movesAhead(t *testing.T) {
	c := testserver.NewControl()
	before := c.Now()
	c.Advance(time.Hour)
	require.GreaterOrEqual(t, c.Now().Sub(before), time.Hour)
}

func TestHang_endsWithTheContextOrTheServer(t *testing.T) {
	c := testserver.NewControl()
	c.Inject(testserver.Fault{Kind: testserver.Hang})
	c.Inject(testserver.Fault{Kind: testserver.HangAfter})
	ctx, cancel := context.WithCancel(context.Background())
	hanging := make(chan testserver.Kind)
	go func() { hanging <- testserver.Begin(ctx, c, testserver.Request{}) }()
	cancel()
	require.Equal(t, testserver.Hang, <-hanging)

	go func() {
		kind := testserver.Begin(context.Background(), c, testserver.Request{})
		testserver.End(context.Background(), c, kind)
		hanging <- kind
	}()
	testserver.Close(c)
	require.Equal(t, testserver.HangAfter, <-hanging)
}

func TestLatency_isCutShortByTheContext(t *testing.T) {
	c := testserver.NewControl()
	c.SetLatency(time.Hour)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.Equal(t, testserver.Hang, testserver.Begin(ctx, c, testserver.Request{}))
}

func TestKind_hasAName(t *testing.T) {
	for k, name := range map[testserver.Kind]string{
		testserver.None: "None", testserver.HangAfter: "HangAfter", -1: "Kind(?)", 99: "Kind(?)",
	} {
		require.Equal(t, name, fmt.Sprint(k))
	}
	require.True(t, testserver.DropAfter.TakesEffect())
	require.False(t, testserver.Throttle.TakesEffect())
}
