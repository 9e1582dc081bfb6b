package vaulttest

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/oauthstore/oauthstore/internal/args"
	"github.com/oauthstore/oauthstore/testserver"
)

// A Server is a running test server. Its clock, log and faults are those of the embedded
// [testserver.Control]. It is safe for concurrent use.
type Server struct {
	*testserver.Control

	listener  net.Listener
	http      http.Server
	transport *http.Transport // of all clients from Client
	served    chan struct{}   // closed when the listener's goroutine has ended
	closeOnce sync.Once

	root          *token
	clusterID     string
	maxEntry      int
	hasNamespaces bool

	mu         sync.Mutex // guards what follows, and everything reachable from it
	sealed     bool
	namespaces map[string]*namespace // by path: "" is the root, others end in "/"
	tokens     map[string]*token
	granted    map[string]map[string]bool // path to capabilities
}

// A namespace is a tree of mounts with its policies.
type namespace struct {
	path     string
	mounts   map[string]*mount // by path, which ends in "/"
	policies map[string]*policy
}

// An Option changes how a [Server] is set up. A nil Option is ignored.
type Option func(*Server)

// WithNamespaces makes the server honour the X-Vault-Namespace header, as Vault Enterprise does,
// and creates the named namespaces, such as "team" or "team/a". A new namespace holds no secrets
// engine; the root token can mount one there. Without the option the header is ignored, as Vault
// Community does.
func WithNamespaces(paths ...string) Option {
	return func(s *Server) {
		s.hasNamespaces = true
		for _, p := range paths {
			p = strings.Trim(p, "/") + "/"
			s.namespaces[p] = newNamespace(p)
		}
	}
}

// DefaultMaxEntrySize is max_entry_size of Vault's integrated storage.
const DefaultMaxEntrySize = 1 << 20

// WithMaxEntrySize sets how large one stored entry, that is one version of a secret, may be in
// bytes: 512<<10 is that of the Consul storage backend, 0 stands for no limit, as in a dev server.
// The default is [DefaultMaxEntrySize].
func WithMaxEntrySize(bytes int) Option {
	return func(s *Server) { s.maxEntry = bytes }
}

// NewServer starts a server on a free port of 127.0.0.1. It panics when there is none.
func NewServer(opts ...Option) *Server {
	s := &Server{
		Control:    testserver.NewControl(),
		transport:  &http.Transport{MaxIdleConnsPerHost: 100},
		served:     make(chan struct{}),
		clusterID:  newUUID(),
		maxEntry:   DefaultMaxEntrySize,
		namespaces: map[string]*namespace{"": newNamespace("")},
		tokens:     make(map[string]*token),
		granted:    make(map[string]map[string]bool),
	}
	s.root = s.newRootToken()
	args.Apply(s, opts)
	s.namespaces[""].mount("secret/", "key/value secret storage", map[string]string{"version": "2"})

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("vaulttest: " + err.Error())
	}
	s.listener = listener
	s.http.Handler = http.HandlerFunc(s.serve)
	s.http.ErrorLog = log.New(io.Discard, "", 0)
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return s
}

// Close stops the server; requests that hang are released without an answer. It may be called
// more than once.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		testserver.Close(s.Control)
		s.transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.http.Shutdown(ctx)
		_ = s.http.Close()
		<-s.served
	})
}

// URL is the server's address, to be used as VAULT_ADDR: "http://127.0.0.1:12345".
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// RootToken is a token that may do everything and does not expire.
func (s *Server) RootToken() string { return s.root.id }

// SetSealed seals or unseals the server. While sealed, it answers 503 "Vault is sealed" to
// everything but sys/health and sys/seal-status.
func (s *Server) SetSealed(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// SetUpgrading makes the KV v2 engine at mount, such as "secret" or, in a namespace,
// "team/secret", answer 400 "Upgrading from non-versioned to versioned data…" until it is called
// again with false. A real mount does so for moments after it was enabled or upgraded. It panics
// where there is no such mount.
func (s *Server) SetUpgrading(mount string, upgrading bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ns, rest := s.namespaceOf("", strings.Trim(mount, "/")+"/")
	m, _ := ns.find(rest)
	if m == nil || m.v2 == nil {
		panic("vaulttest: SetUpgrading: no KV v2 mount at " + mount)
	}
	m.v2.upgrading = upgrading
}

// Capabilities returns what was permitted to tokens other than root so far: by path the
// capabilities that requests needed there, sorted. It is the smallest policy that would have done.
func (s *Server) Capabilities() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string][]string, len(s.granted))
	for path, caps := range s.granted {
		all[path] = sortedKeys(caps)
	}
	return all
}
