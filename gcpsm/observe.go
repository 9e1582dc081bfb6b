package gcpsm

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"

	"github.com/oauthstore/oauthstore/internal/engine"
)

// observed is a Client that tells an observer of each call, but for those that list: see pager.
type observed struct {
	client Client
	engine.Observer
}

var _ Client = observed{}

// ask makes one call. The service's message stays out of what is told: it may quote a token.
func ask[In, Out any](ctx context.Context, o observed, op, resource string,
	call func(context.Context, In, ...gax.CallOption) (Out, error), in In, opts []gax.CallOption) (Out, error) {
	begin := time.Now()
	out, err := call(ctx, in, opts...)
	secret := secretIn(resource)
	o.Request(ctx, op, secret, begin, fault(op, secret, true, err))
	return out, err
}

// secretIn returns the secret's name in the resource name of it, or of one of its versions.
func secretIn(resource string) string {
	secret, _, _ := strings.Cut(resource, "/versions/")
	return path.Base(secret)
}

func (o observed) AccessSecretVersion(ctx context.Context, in *pb.AccessSecretVersionRequest, opts ...gax.CallOption) (*pb.AccessSecretVersionResponse, error) {
	return ask(ctx, o, "AccessSecretVersion", in.GetName(), o.client.AccessSecretVersion, in, opts)
}

func (o observed) AddSecretVersion(ctx context.Context, in *pb.AddSecretVersionRequest, opts ...gax.CallOption) (*pb.SecretVersion, error) {
	return ask(ctx, o, "AddSecretVersion", in.GetParent(), o.client.AddSecretVersion, in, opts)
}

func (o observed) DestroySecretVersion(ctx context.Context, in *pb.DestroySecretVersionRequest, opts ...gax.CallOption) (*pb.SecretVersion, error) {
	return ask(ctx, o, "DestroySecretVersion", in.GetName(), o.client.DestroySecretVersion, in, opts)
}

func (o observed) CreateSecret(ctx context.Context, in *pb.CreateSecretRequest, opts ...gax.CallOption) (*pb.Secret, error) {
	return ask(ctx, o, "CreateSecret", in.GetSecretId(), o.client.CreateSecret, in, opts)
}

func (o observed) ListSecretVersions(ctx context.Context, in *pb.ListSecretVersionsRequest, opts ...gax.CallOption) *secretmanager.SecretVersionIterator {
	return o.client.ListSecretVersions(ctx, in, opts...)
}

func (o observed) ListSecrets(ctx context.Context, in *pb.ListSecretsRequest, opts ...gax.CallOption) *secretmanager.SecretIterator {
	return o.client.ListSecrets(ctx, in, opts...)
}

// A pager goes through a list, and tells the observer of the requests for its pages. Pages without content are told of
// together with the next one.
type pager[T any] struct {
	engine.Observer
	op, secret string
	list       interface {
		Next() (T, error)
		PageInfo() *iterator.PageInfo
	}
	begun bool
}

// next is the list's Next. It asks the service where nothing is left of the page before, unless that was the last.
func (p *pager[T]) next(ctx context.Context) (T, error) {
	page := p.list.PageInfo()
	asks := page.Remaining() == 0 && (page.Token != "" || !p.begun)
	p.begun = true
	begin := time.Now()
	item, err := p.list.Next()
	if asks {
		failure := err
		if errors.Is(err, iterator.Done) {
			failure = nil
		}
		p.Request(ctx, p.op, p.secret, begin, fault(p.op, p.secret, true, failure))
	}
	return item, err
}
