package gcpsmtest

import (
	"context"
	"path"
	"slices"

	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/oauthstore/oauthstore/testserver"
)

// A call is what the server knows of a request before it looks into it.
type call struct {
	op       string // the method's name
	resource string // the resource that it names, as the client wrote it
	name     name   // the same, zero where it is malformed
}

func callOf(method string, req any) call {
	c := call{op: path.Base(method), resource: resourceOf(req)}
	c.name, _ = splitName(c.resource)
	if r, ok := req.(*pb.CreateSecretRequest); ok {
		c.name.secret = r.GetSecretId()
	}
	return c
}

// resourceOf returns the field of req that permissions are about.
func resourceOf(req any) string {
	switch r := req.(type) {
	case *pb.UpdateSecretRequest:
		return r.GetSecret().GetName()
	case interface{ GetName() string }:
		return r.GetName()
	case interface{ GetParent() string }:
		return r.GetParent()
	case interface{ GetResource() string }:
		return r.GetResource()
	default:
		return ""
	}
}

// intercept stands before every method: it logs the request and does to it what a test ordered.
func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	c := callOf(info.FullMethod, req)
	kind := testserver.Begin(ctx, s.Control, testserver.Request{Op: c.op, Secret: c.name.secret})
	if !kind.TakesEffect() {
		return nil, c.faulty(ctx, kind)
	}
	resp, err := s.handle(ctx, c, req, next)
	testserver.End(ctx, s.Control, kind)
	if kind != testserver.None {
		return nil, c.faulty(ctx, kind)
	}
	return resp, err
}

// handle carries a request out, if the quotas allow it.
func (s *Server) handle(ctx context.Context, c call, req any, next grpc.UnaryHandler) (any, error) {
	if err := s.charge(c); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

// faulty is the answer to a request that meets a fault.
func (c call) faulty(ctx context.Context, kind testserver.Kind) error {
	switch kind {
	case testserver.Throttle:
		return quotaExceeded(methods[c.op].quota.metric(), "minute", c.name.project)
	case testserver.Deny:
		return denied(methods[c.op].permission, c.resource)
	case testserver.DropAfter:
		return connectionReset()
	case testserver.Hang, testserver.HangAfter:
		if ctx.Err() != nil {
			return status.FromContextError(ctx.Err()).Err()
		}
		return closing()
	default:
		return internal()
	}
}

// methods lists what each method needs: a permission (IAM's page on the roles of Secret Manager)
// and a share of a quota (the service's page on quotas).
var methods = map[string]struct {
	permission string
	quota      quota
}{
	"CreateSecret":         {"secretmanager.secrets.create", writes},
	"GetSecret":            {"secretmanager.secrets.get", reads},
	"ListSecrets":          {"secretmanager.secrets.list", reads},
	"UpdateSecret":         {"secretmanager.secrets.update", writes},
	"DeleteSecret":         {"secretmanager.secrets.delete", writes},
	"AddSecretVersion":     {"secretmanager.versions.add", writes},
	"GetSecretVersion":     {"secretmanager.versions.get", reads},
	"AccessSecretVersion":  {"secretmanager.versions.access", accesses},
	"ListSecretVersions":   {"secretmanager.versions.list", reads},
	"EnableSecretVersion":  {"secretmanager.versions.enable", writes},
	"DisableSecretVersion": {"secretmanager.versions.disable", writes},
	"DestroySecretVersion": {"secretmanager.versions.destroy", writes},
	"GetIamPolicy":         {"secretmanager.secrets.getIamPolicy", reads},
	"SetIamPolicy":         {"secretmanager.secrets.setIamPolicy", writes},
	"TestIamPermissions":   {"", reads},
}

// Permissions returns the IAM permissions that a caller needs for the requests in the log, those
// that failed too, sorted. It starts anew with [testserver.Control.ResetRequests].
func (s *Server) Permissions() []string {
	var needed []string
	for op := range s.Counts() {
		if p := methods[op].permission; p != "" {
			needed = append(needed, p)
		}
	}
	slices.Sort(needed)
	return needed
}
