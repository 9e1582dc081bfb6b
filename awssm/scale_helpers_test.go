//go:build go1.25

package awssm

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sm "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/stretchr/testify/require"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/awssm/awssmtest"
)

// rates are what the service takes in a second, of an operation or of several together (user guide, quotas).
var rates = map[string]struct {
	of    string
	limit int
}{
	"BatchGetSecretValue": {"batch", 100},
	"CreateSecret":        {"create", 50},
	"DeleteSecret":        {"delete", 50},
	"DescribeSecret":      {"read", 10000},
	"GetSecretValue":      {"read", 10000},
	"ListSecrets":         {"list", 50},
	"PutSecretValue":      {"put", 50},
}

// A region is the service in virtual time: with its quotas, also that of requests in a second, and with answers
// that take some time. It counts what arrives.
type region struct {
	t     *testing.T
	srv   *awssmtest.Server
	rated bool // whether there is a quota of requests in a second
	quick bool // whether answers take no time

	mu       sync.Mutex
	random   *rand.Rand
	second   int64
	inSecond map[string]int         // requests
	calls    map[string]int         // by operation
	refused  map[string]int         // by operation and error
	versions int                    // that were made
	indexed  map[string][]time.Time // the writes to each secret of the index
}

// newRegion is to be called in a bubble.
func newRegion(t *testing.T) *region {
	srv := awssmtest.NewServer(awssmtest.WithoutSocket())
	t.Cleanup(srv.Close)
	return &region{
		t: t, srv: srv, rated: true, random: rand.New(rand.NewPCG(1, 2)), inSecond: make(map[string]int),
		calls: make(map[string]int), refused: make(map[string]int), indexed: make(map[string][]time.Time),
	}
}

// store returns one that shares nothing with others but the service, as in a process of its own.
func (r *region) store() *Store {
	s, err := New(r.srv.Client(func(o *sm.Options) { o.HTTPClient = metered{r, o.HTTPClient} }))
	require.NoError(r.t, err)
	return s
}

func (r *region) stores(n int) []*Store {
	stores := make([]*Store, n)
	for i := range stores {
		stores[i] = r.store()
	}
	return stores
}

// metered is a client's way to the service.
type metered struct {
	*region
	next sm.HTTPClient
}

// Do implements secretsmanager.HTTPClient.
func (m metered) Do(request *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
	latency, admitted := m.admit(op)
	time.Sleep(latency)
	var sent bytes.Buffer
	request.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(request.Body, &sent), request.Body}
	if !admitted {
		m.refuse(op, "ThrottlingException")
		return &http.Response{
			StatusCode: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}},
			Body: readCloser(`{"__type":"ThrottlingException","Message":"Rate exceeded"}`), Request: request,
		}, nil
	}
	response, err := m.next.Do(request)
	if err == nil && (op == "PutSecretValue" || op == "CreateSecret" || response.StatusCode != http.StatusOK) {
		body, _ := io.ReadAll(response.Body)
		response.Body = io.NopCloser(bytes.NewReader(body))
		var answer struct {
			Name string
			Type string `json:"__type"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			m.t.Error(err)
		}
		if answer.Type != "" {
			m.refuse(op, answer.Type+aboutIndex(sent.Bytes()))
		} else {
			m.written(answer.Name)
		}
	}
	return response, err
}

// aboutIndex tells of a request whether it was about a secret of the index.
func aboutIndex(request []byte) string {
	var in struct{ SecretID string }
	_ = json.Unmarshal(request, &in) // a batch has none
	_, name, _ := strings.Cut(in.SecretID, ":secret:")
	if isIndex(cmp.Or(name, in.SecretID)) {
		return " of the index"
	}
	return ""
}

// admit counts a request and says whether it is within the rates.
func (r *region) admit(op string) (latency time.Duration, admitted bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[op]++
	if now := time.Now().Unix(); now != r.second {
		r.second = now
		clear(r.inSecond)
	}
	rate := rates[op]
	r.inSecond[rate.of]++
	if !r.quick {
		latency = time.Duration(10+r.random.IntN(40)) * time.Millisecond
	}
	return latency, !r.rated || r.inSecond[rate.of] <= rate.limit
}

func (r *region) refuse(op, code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[op+" "+code]++
}

func (r *region) written(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.versions++
	if isIndex(name) {
		r.indexed[name] = append(r.indexed[name], time.Now())
	}
}

func isIndex(name string) bool {
	return strings.HasPrefix(name, "oauthstore/index") || strings.HasPrefix(name, "oauthstore/page_")
}

// indexSecrets returns the names of the secrets of the index, and how many there have ever been.
func (r *region) indexSecrets() (now []string, ever int) {
	for _, s := range r.srv.Secrets() {
		if isIndex(s.Name) && s.DeletionDate.IsZero() {
			now = append(now, s.Name)
		}
	}
	return now, len(r.indexed)
}

// indexWrites are all writes to the index.
func (r *region) indexWrites() int {
	sum := 0
	for _, writes := range r.indexed {
		sum += len(writes)
	}
	return sum
}

// busiest is the most writes to one secret of the index in any 24 hours.
func (r *region) busiest() int {
	most := 0
	for _, writes := range r.indexed {
		first := 0
		for i, at := range writes {
			for at.Sub(writes[first]) >= day {
				first++
			}
			most = max(most, i-first+1)
		}
	}
	return most
}

// reset forgets the requests so far, but not the writes of the index.
func (r *region) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.calls)
	clear(r.refused)
	r.srv.ResetRequests()
}

func (r *region) total() int {
	sum := 0
	for _, n := range r.calls {
		sum += n
	}
	return sum
}

// report logs what n things, each of which is one, have cost.
func (r *region) report(what string, n int, one string) {
	r.t.Helper()
	now, ever := r.indexSecrets()
	r.t.Logf("%s: index secrets %d (of %d ever made), %d writes to them, at most %d to one in 24 h", what, len(now), ever, r.indexWrites(), r.busiest())
	r.t.Logf("%s: requests %s, together %d, %.2f for each %s; refused: %s", what, counts(r.calls), r.total(),
		float64(r.total())/float64(n), one, counts(r.refused))
}

func counts(of map[string]int) string {
	var words []string
	for _, op := range slices.Sorted(maps.Keys(of)) {
		words = append(words, fmt.Sprintf("%s %d", op, of[op]))
	}
	if words == nil {
		return "none"
	}
	return strings.Join(words, ", ")
}

// An errand is something that a store is asked to do at a time.
type errand struct {
	after time.Duration
	do    func(s *Store) error
}

// run lets each of the stores do its errands, one after the other, and returns the errors. It logs how long they
// took, with answers that take 10 to 50 ms.
func (r *region) run(stores []*Store, errands [][]errand) []error {
	begin := time.Now()
	var mu sync.Mutex
	var errs []error
	var took []time.Duration
	var wg sync.WaitGroup
	for i, s := range stores {
		mine := errands[i]
		slices.SortStableFunc(mine, func(a, b errand) int { return int(a.after - b.after) })
		wg.Go(func() {
			for _, e := range mine {
				time.Sleep(time.Until(begin.Add(e.after)))
				start := time.Now()
				err := e.do(s)
				mu.Lock()
				took = append(took, time.Since(start))
				if err != nil {
					errs = append(errs, fmt.Errorf("after %v: %w", e.after, err))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	r.t.Logf("of %d calls, half took less than %v, 99 of 100 less than %v, all less than %v", len(took),
		took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	return errs
}

// spread deals errands to n stores, at random times within d.
func (r *region) spread(n int, d time.Duration, dos []func(s *Store) error) [][]errand {
	errands := make([][]errand, n)
	for i, do := range dos {
		errands[i%n] = append(errands[i%n], errand{time.Duration(r.random.Int64N(int64(d))), do})
	}
	return errands
}

func login(user string) *oauthstore.OAuthToken {
	return &oauthstore.OAuthToken{
		UserName: user, ClientID: "1000.CLIENT", RefreshToken: "refresh " + user, AccessToken: "access " + user,
		TokenType: "Bearer", Expiry: time.Now().Add(time.Hour),
	}
}

func userName(i int) string { return fmt.Sprintf("user%04d@example.com", i) }

// requireNoErrors shows some of them.
func (r *region) requireNoErrors(errs []error) {
	r.t.Helper()
	for _, err := range errs[:min(len(errs), 10)] {
		r.t.Log(err)
	}
	require.Empty(r.t, len(errs), "errors")
}
