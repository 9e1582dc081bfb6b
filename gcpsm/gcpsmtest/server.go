package gcpsmtest

import (
	"context"
	"fmt"
	"net"
	"sync"

	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	pb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/testserver"
)

// maxMessage lets a payload that is far too large through to the check of its size; gRPC's own
// limit of 4 MiB would answer ResourceExhausted, which clients take for a quota.
const maxMessage = 64 << 20

// A Server is a Google Secret Manager in this process. It is safe for concurrent use.
type Server struct {
	*testserver.Control

	config   config
	listener net.Listener
	grpc     *grpc.Server
	served   chan struct{} // closed when the accepting goroutine has ended
	closing  sync.Once

	mu     sync.Mutex
	store  store
	keys   map[string]bool // the encryption keys that are disabled
	quotas quotas
}

// NewServer starts a server on a free port of 127.0.0.1. It panics if there is none.
func NewServer(opts ...Option) *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("gcpsmtest: listen: %v", err))
	}
	s := &Server{
		Control:  testserver.NewControl(),
		listener: listener,
		served:   make(chan struct{}),
	}
	args.Apply(&s.config, opts)
	s.store = newStore(s.config.staleness, s.config.lag)
	s.keys = make(map[string]bool)
	s.quotas = make(quotas)
	s.serve()
	return s
}

func (s *Server) serve() {
	s.grpc = grpc.NewServer(
		grpc.UnaryInterceptor(s.intercept),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.WaitForHandlers(true),
	)
	pb.RegisterSecretManagerServiceServer(s.grpc, &service{Server: s})
	go func() {
		defer close(s.served)
		// The error that Serve ends with is the closed listener; there is nobody to tell.
		_ = s.grpc.Serve(s.listener)
	}()
}

// Close ends the requests under way and stops the server. A second Close does nothing.
func (s *Server) Close() {
	s.closing.Do(func() {
		testserver.Close(s.Control)
		s.grpc.Stop()
		<-s.served
	})
}

// Addr returns the server's address, host and port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Client returns the official client, connected to the server without credentials; opts come after
// the server's own. The caller closes it.
func (s *Server) Client(ctx context.Context, opts ...option.ClientOption) (*secretmanager.Client, error) {
	own := []option.ClientOption{
		option.WithEndpoint(s.Addr()),
		option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
	return secretmanager.NewClient(ctx, append(own, opts...)...)
}

// service is the server as gRPC sees it, a type of its own so that the service's methods do not
// appear among those that a test uses.
type service struct {
	*Server
	pb.UnimplementedSecretManagerServiceServer
}
