package gcpsm

import (
	"context"
	"errors"
	"strings"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// List implements engine.Lister. Listing counts against the project's 600 reads a minute, so pages are as large
// as they come. A page that fails is tried again by itself: the pages before it are not read twice.
func (d *driver) List(ctx context.Context, yield func(names []string) bool) error {
	req := &pb.ListSecretsRequest{Parent: d.parent, PageSize: maxPage, Filter: d.filter()}
	list := func() *pager[*pb.Secret] {
		return &pager[*pb.Secret]{Observer: d.observer, op: "ListSecrets", list: d.client.ListSecrets(ctx, req, readRetry)}
	}
	secrets := list()
	secret, err := secrets.next(ctx)
	if refusedFilter(err) {
		req.Filter = ""
		secrets = list()
		secret, err = secrets.next(ctx)
	}
	var names []string // of the page so far
	for ; err == nil; secret, err = secrets.next(ctx) {
		if name := d.nameIn(secret.GetName()); name != "" {
			names = append(names, name)
		}
		if secrets.list.PageInfo().Remaining() > 0 {
			continue
		}
		if !yield(names) {
			return nil
		}
		names = nil
	}
	if errors.Is(err, iterator.Done) {
		return nil
	}
	return fault("ListSecrets", "", false, err)
}

// filter asks for the names that hold the prefix somewhere, which is the nearest that the filter language has.
// A hyphen at the beginning might be read as a NOT; without it the filter lets more through, and no less.
func (d *driver) filter() string { return "name:" + strings.TrimLeft(d.prefix, "-") }

// refusedFilter reports whether err may be about the filter, which not every emulator knows. Where it is about
// something else, the request without a filter meets it too.
func refusedFilter(err error) bool {
	code := status.Code(err)
	return code == codes.InvalidArgument || code == codes.Unimplemented
}

// nameIn is the inverse of resource: the name of a secret in its resource name, which holds the project's number
// where a request has its id. It is empty if the secret is not the store's.
func (d *driver) nameIn(resource string) string {
	name, ok := strings.CutPrefix(resource[strings.LastIndexByte(resource, '/')+1:], d.prefix)
	if !ok {
		return ""
	}
	return name
}
