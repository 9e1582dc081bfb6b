package oauthotel

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/oauthstore/oauthstore"
	"github.com/oauthstore/oauthstore/internal/args"
)

// A Store is an [oauthstore.TokenStore] that makes a span of each operation of the one that it wraps, and counts and
// times them. Make it with [Wrap]. It changes neither what is asked nor what is answered.
//
// It has the methods of [oauthstore.TokenUpdater], [oauthstore.TokenRanger], [oauthstore.Repairer],
// [oauthstore.Rekeyer] and [oauthstore.TokenLeaser]. One that the wrapped store lacks answers with
// [errors.ErrUnsupported]; but Tokens works over every store.
type Store struct {
	telemetry
	store      oauthstore.TokenStore
	methods    map[string]*method
	operations metric.Int64Counter
	durations  metric.Float64Histogram
}

var (
	_ oauthstore.TokenStore   = (*Store)(nil)
	_ oauthstore.TokenUpdater = (*Store)(nil)
	_ oauthstore.TokenChecker = (*Store)(nil)
	_ oauthstore.TokenRanger  = (*Store)(nil)
	_ oauthstore.Repairer     = (*Store)(nil)
	_ oauthstore.TokenLeaser  = (*Store)(nil)
)

// Wrap returns a store that does what store does, and shows it. It panics where store is nil.
func Wrap(store oauthstore.TokenStore, options ...Option) *Store {
	if args.IsNil(store) {
		panic("oauthotel: Wrap: the store is nil")
	}
	t := newTelemetry(options)
	return &Store{
		telemetry:  t,
		store:      store,
		methods:    newMethods(),
		operations: t.counter("oauthstore.operations", "{operation}", "Operations of the token store."),
		durations:  t.duration("oauthstore.operation.duration", "Duration of operations of the token store."),
	}
}

// FindToken implements [oauthstore.TokenStore].
func (s *Store) FindToken(ctx context.Context, token *oauthstore.OAuthToken) (*oauthstore.OAuthToken, error) {
	ctx, op := s.begin(ctx, "FindToken")
	defer op.end(ctx)
	found, err := s.store.FindToken(ctx, token)
	op.about(token, found)
	return found, op.done(err)
}

// FindTokenByID implements [oauthstore.TokenStore].
func (s *Store) FindTokenByID(ctx context.Context, id string) (*oauthstore.OAuthToken, error) {
	ctx, op := s.begin(ctx, "FindTokenByID")
	defer op.end(ctx)
	op.id = id
	found, err := s.store.FindTokenByID(ctx, id)
	return found, op.done(err)
}

// SaveToken implements [oauthstore.TokenStore].
func (s *Store) SaveToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	ctx, op := s.begin(ctx, "SaveToken")
	defer op.end(ctx)
	err := s.store.SaveToken(ctx, token)
	op.about(token)
	return op.done(err)
}

// UpdateToken implements [oauthstore.TokenUpdater] with the wrapped store.
func (s *Store) UpdateToken(ctx context.Context, token *oauthstore.OAuthToken) error {
	ctx, op := s.begin(ctx, "UpdateToken")
	defer op.end(ctx)
	u, ok := s.store.(oauthstore.TokenUpdater)
	if !ok {
		return op.unsupported()
	}
	err := u.UpdateToken(ctx, token)
	op.about(token)
	return op.done(err)
}

// CheckToken implements [oauthstore.TokenChecker], by [oauthstore.CheckToken] of the wrapped store. It is no operation of
// the store: it makes no span and no measurement.
func (s *Store) CheckToken(token *oauthstore.OAuthToken) error {
	return oauthstore.CheckToken(s.store, token)
}

// DeleteToken implements [oauthstore.TokenStore].
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	ctx, op := s.begin(ctx, "DeleteToken")
	defer op.end(ctx)
	op.id = id
	return op.done(s.store.DeleteToken(ctx, id))
}

// GetTokens implements [oauthstore.TokenStore].
func (s *Store) GetTokens(ctx context.Context) ([]*oauthstore.OAuthToken, error) {
	ctx, op := s.begin(ctx, "GetTokens")
	defer op.end(ctx)
	tokens, err := s.store.GetTokens(ctx)
	if op.recorded() {
		op.set(tokensKey.Int(len(tokens)))
		var some *oauthstore.UnreadableTokensError
		if errors.As(err, &some) {
			op.set(unreadableKey.Int(len(some.Tokens)))
		}
	}
	return tokens, op.done(err)
}

// DeleteTokens implements [oauthstore.TokenStore].
func (s *Store) DeleteTokens(ctx context.Context) error {
	ctx, op := s.begin(ctx, "DeleteTokens")
	defer op.end(ctx)
	return op.done(s.store.DeleteTokens(ctx))
}

// Tokens implements [oauthstore.TokenRanger], by [oauthstore.AllTokens] of the wrapped store. It is one operation each
// time that it is ranged over, without the time that the caller takes for each token. A token that cannot be read gives
// it its outcome where nothing worse comes.
func (s *Store) Tokens(ctx context.Context) iter.Seq2[*oauthstore.OAuthToken, error] {
	return func(yield func(*oauthstore.OAuthToken, error) bool) {
		ctx, op := s.begin(ctx, "Tokens")
		defer op.end(ctx)
		var last error
		tokens, unreadable := 0, 0
		defer func() { op.set(tokensKey.Int(tokens), unreadableKey.Int(unreadable)) }()
		for token, err := range oauthstore.AllTokens(ctx, s.store) {
			if err == nil {
				tokens++
			} else {
				last = err
			}
			if one := new(oauthstore.TokenError); errors.As(err, &one) {
				unreadable++
			}
			if !op.give(last, func() bool { return yield(token, err) }) {
				break
			}
		}
		_ = op.done(last)
	}
}

// Repair implements [oauthstore.Repairer] with the wrapped store.
func (s *Store) Repair(ctx context.Context, opts oauthstore.RepairOptions) (*oauthstore.RepairReport, error) {
	ctx, op := s.begin(ctx, "Repair")
	defer op.end(ctx)
	op.set(dryRunKey.Bool(opts.DryRun))
	r, ok := s.store.(oauthstore.Repairer)
	if !ok {
		return &oauthstore.RepairReport{}, op.unsupported()
	}
	report, err := r.Repair(ctx, opts)
	if report != nil {
		op.set(tokensKey.Int(report.Tokens), cleanKey.Bool(report.Clean()))
	}
	return report, op.done(err)
}

// LeaseToken implements [oauthstore.TokenLeaser] with the wrapped store.
func (s *Store) LeaseToken(ctx context.Context, request oauthstore.LeaseRequest) (*oauthstore.Lease, error) {
	ctx, op := s.begin(ctx, "LeaseToken")
	defer op.end(ctx)
	op.id = request.ID
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return nil, op.unsupported()
	}
	lease, err := l.LeaseToken(ctx, request)
	if err == nil && lease != nil && op.recorded() {
		op.set(heldKey.Bool(lease.Held), takenOverKey.Bool(lease.TakenOver))
		op.set(codeAttribute(lease.Refused)...)
	}
	return lease, op.done(err)
}

// RenewLease implements [oauthstore.TokenLeaser] with the wrapped store.
func (s *Store) RenewLease(ctx context.Context, lease *oauthstore.Lease) error {
	ctx, op := s.begin(ctx, "RenewLease")
	defer op.end(ctx)
	op.under(lease)
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return op.unsupported()
	}
	return op.done(l.RenewLease(ctx, lease))
}

// SaveLeased implements [oauthstore.TokenLeaser] with the wrapped store.
func (s *Store) SaveLeased(ctx context.Context, lease *oauthstore.Lease, token *oauthstore.OAuthToken) error {
	ctx, op := s.begin(ctx, "SaveLeased")
	defer op.end(ctx)
	op.under(lease)
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return op.unsupported()
	}
	return op.done(l.SaveLeased(ctx, lease, token))
}

// ReleaseLease implements [oauthstore.TokenLeaser] with the wrapped store.
func (s *Store) ReleaseLease(ctx context.Context, lease *oauthstore.Lease) error {
	ctx, op := s.begin(ctx, "ReleaseLease")
	defer op.end(ctx)
	op.under(lease)
	l, ok := s.store.(oauthstore.TokenLeaser)
	if !ok {
		return op.unsupported()
	}
	if lease != nil && op.recorded() {
		op.set(codeAttribute(lease.Refused)...)
	}
	return op.done(l.ReleaseLease(ctx, lease))
}

const (
	operationKey  = attribute.Key("oauthstore.operation.name")
	tokensKey     = attribute.Key("oauthstore.tokens")
	unreadableKey = attribute.Key("oauthstore.unreadable_tokens")
	dryRunKey     = attribute.Key("oauthstore.repair.dry_run")
	cleanKey      = attribute.Key("oauthstore.repair.clean")
	heldKey       = attribute.Key("oauthstore.lease.held")
	takenOverKey  = attribute.Key("oauthstore.lease.taken_over")
)

// A method is one of the store's, with all that is recorded of its calls: made once, since to make it for each call would
// cost more than the call itself if nothing is recorded.
type method struct {
	name, span string
	start      []trace.SpanStartOption
	count      map[outcome][]metric.AddOption
	time       map[outcome][]metric.RecordOption
}

func newMethods() map[string]*method {
	all := make(map[string]*method)
	for _, name := range []string{
		"FindToken", "FindTokenByID", "SaveToken", "UpdateToken", "DeleteToken", "GetTokens", "DeleteTokens", "Tokens", "Repair", "Rekey",
		"LeaseToken", "RenewLease", "SaveLeased", "ReleaseLease",
	} {
		named := operationKey.String(name)
		m := &method{
			name: name, span: "oauthstore." + name, start: []trace.SpanStartOption{trace.WithAttributes(named)},
			count: make(map[outcome][]metric.AddOption), time: make(map[outcome][]metric.RecordOption),
		}
		for _, o := range ofOperations {
			m.count[o] = []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(append(o.attributes(), named)...))}
			m.time[o] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(append(o.errorType(), named)...))}
		}
		all[name] = m
	}
	return all
}

// An operation is under way from begin to end.
type operation struct {
	*method
	on    *Store
	span  trace.Span
	begun time.Time
	aside time.Duration // that is not the store's
	id    string        // of the record, where that is known
	err   error
}

// errNotReturned stands for the outcome of an operation that has none: the wrapped store has panicked.
var errNotReturned = errors.New("oauthotel: the store has not returned")

func (s *Store) begin(ctx context.Context, name string) (context.Context, operation) {
	m := s.methods[name]
	ctx, span := s.tracer.Start(ctx, m.span, m.start...)
	return ctx, operation{method: m, on: s, span: span, begun: time.Now(), err: errNotReturned}
}

// recorded reports whether the span is.
func (o *operation) recorded() bool { return o.span.IsRecording() }

func (o *operation) set(attributes ...attribute.KeyValue) { o.span.SetAttributes(attributes...) }

// about notes the first id that one of the tokens has.
func (o *operation) about(tokens ...*oauthstore.OAuthToken) {
	for _, t := range tokens {
		if t != nil && t.ID != "" {
			o.id = t.ID
			return
		}
	}
}

// under notes whose lease it is.
func (o *operation) under(lease *oauthstore.Lease) {
	if lease != nil {
		o.about(lease.Token)
	}
}

// done notes and returns what the store has returned.
func (o *operation) done(err error) error {
	o.err = err
	return err
}

// give lets the caller's loop have a token. The time that it takes is not the store's; nor is a panic of it: what the
// store has come to by then is so far.
func (o *operation) give(soFar error, yield func() bool) (more bool) {
	o.err = soFar
	given := time.Now()
	defer func() { o.aside += time.Since(given) }()
	more = yield()
	o.err = errNotReturned
	return more
}

func (o *operation) unsupported() error {
	return o.done(fmt.Errorf("oauthotel: %s: %w by the wrapped store", o.name, errors.ErrUnsupported))
}

func (o *operation) end(ctx context.Context) {
	took := time.Since(o.begun) - o.aside
	result := outcomeOf(ctx, o.err)
	o.on.operations.Add(ctx, 1, o.count[result]...)
	o.on.durations.Record(ctx, took.Seconds(), o.time[result]...)
	if o.recorded() {
		o.set(o.on.recordID(o.id)...)
		result.mark(o.span)
	}
	o.span.End()
}
