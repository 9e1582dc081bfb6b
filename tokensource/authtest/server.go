package authtest

import (
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore/internal/args"
)

// A Server is an authorization server and a protected resource. It listens on the local machine, and is an
// http.Handler as well. It is safe for concurrent use.
type Server struct {
	options options
	faults  faults
	latency latency

	http      *http.Server
	url       string
	served    chan struct{} // closed when the accept loop has ended
	closing   chan struct{}
	closeOnce sync.Once

	mu            sync.Mutex // guards what follows, and everything reachable from it
	closed        bool
	handlers      sync.WaitGroup
	offset        time.Duration
	user          string
	codes         map[string]*code
	refreshTokens map[string]*refreshToken
	accessTokens  map[string]*accessToken
	families      []*family
	requests      []*Request
	reuses        []Reuse
}

// NewServer starts a server on a free port of 127.0.0.1, or, [WithoutSocket], on none. It panics where none is free,
// and where a client is registered without an ID, twice, or with a redirect URI that is none.
func NewServer(opts ...Option) *Server {
	s := &Server{
		options:       defaults(),
		served:        make(chan struct{}),
		closing:       make(chan struct{}),
		user:          "alice",
		codes:         make(map[string]*code),
		refreshTokens: make(map[string]*refreshToken),
		accessTokens:  make(map[string]*accessToken),
	}
	args.Apply(&s.options, opts)
	for _, c := range s.options.clients {
		s.mustBeRegistrable(c)
	}
	s.faults.hook = s.options.faults
	if !s.options.noSocket {
		s.start()
	}
	return s
}

func (s *Server) start() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("authtest: listen: " + err.Error())
	}
	s.url = "http://" + listener.Addr().String()
	s.http = &http.Server{
		Handler: s,
		// A panic of a handler's own; net/http is silent about http.ErrAbortHandler.
		ErrorLog: log.New(os.Stderr, "authtest: ", 0),
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener) // always an error, http.ErrServerClosed after Close
	}()
}

// Close breaks all connections, releases the requests that wait and returns when nothing of the server runs any
// more. The statistics stay. A second call does nothing.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.closing)
		if s.http != nil {
			_ = s.http.Close() // the listener is gone either way
			<-s.served
		}
		s.handlers.Wait()
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

// URL returns the address of the server, such as "http://127.0.0.1:41234", without a path; it is empty where the server
// does not listen.
func (s *Server) URL() string { return s.url }

// SetUser says who sits before the browser from now on: the resource owner who consents at the authorization
// endpoint. It is "alice" at first. An empty user is one who refuses (access_denied).
func (s *Server) SetUser(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = user
}

// Now returns the server's clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() time.Time { return s.options.clock().Add(s.offset) }

// Advance moves the server's clock ahead by d. The ends of codes and tokens follow it; latency does not.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
}
