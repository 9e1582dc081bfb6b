package awssmtest

import (
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/testserver"
)

// The account and the Region that the server plays.
const (
	Account = "123456789012"
	Region  = "us-east-1"
)

// A Server is a Secrets Manager that listens on the local machine. Its clock, its log of requests
// and the faults that a test can order are those of [testserver.Control]. It is safe for concurrent
// use.
type Server struct {
	*testserver.Control

	options    options
	operations map[string]operation

	http      *http.Server
	url       string
	served    chan struct{} // closed when the accept loop has ended
	closeOnce sync.Once

	mu       sync.Mutex // guards what follows
	closed   bool
	handlers sync.WaitGroup
	secrets  map[string]*secret // by name
	deleted  map[string]*secret // those of them with a deletion
	listing  listing
	actions  map[string]bool
}

// NewServer starts a server on a free port of 127.0.0.1, or, [WithoutSocket], on none. It panics where none is
// free.
func NewServer(opts ...Option) *Server {
	s := &Server{
		Control: testserver.NewControl(),
		options: defaults(),
		served:  make(chan struct{}),
		secrets: make(map[string]*secret),
		deleted: make(map[string]*secret),
		actions: make(map[string]bool),
	}
	args.Apply(&s.options, opts)
	s.listing = newListing(s.options.listingDelay)
	s.operations = s.table()
	s.start()
	return s
}

func (s *Server) start() {
	if s.options.noSocket {
		s.url, s.http = "http://awssmtest.invalid", &http.Server{}
		close(s.served)
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("awssmtest: listen: " + err.Error())
	}
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve),
		// A panic of a handler's own; net/http is silent about http.ErrAbortHandler.
		ErrorLog: log.New(os.Stderr, "awssmtest: ", 0),
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener) // always an error, http.ErrServerClosed after Close
	}()
}

// Close breaks all connections, releases the requests that hang and waits until nothing of the
// server runs any more. A second call does nothing.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		testserver.Close(s.Control)
		_ = s.http.Close() // the listener is gone either way
		s.handlers.Wait()
		<-s.served
	})
}

// enter counts a handler in, unless the server is closing.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.handlers.Add(1)
	}
	return !s.closed
}

// URL returns the address of the server, such as "http://127.0.0.1:41234".
func (s *Server) URL() string { return s.url }

// Actions returns the IAM actions that were needed for the valid requests so far, sorted, such as
// "secretsmanager:GetSecretValue". Among them are those that the API reference names besides the
// operation's own: TagResource and ReplicateSecretToRegions for a CreateSecret with tags or
// replicas, GetSecretValue and, with filters, ListSecrets for a BatchGetSecretValue.
func (s *Server) Actions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.actions))
}

func (s *Server) use(action string) { s.actions["secretsmanager:"+action] = true }
