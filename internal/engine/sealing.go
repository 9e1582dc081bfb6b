package engine

import (
	"context"

	"github.com/oauthstore/oauthstore/codec"
)

// A Resourcer is a Driver that knows a longer name of a secret than its full name: with its project or namespace.
type Resourcer interface {
	// Resource is what an encrypting codec binds the document of a secret to. It is the same for all stores that share
	// the secret. No I/O.
	Resource(name string) string
}

// sealed names to the codec the secret that it seals a document for.
func (s *Store) sealed(name string) codec.Secret {
	full := s.driver.FullName(name)
	if d, ok := s.driver.(Resourcer); ok {
		return codec.Secret{Name: full, Resource: d.Resource(name)}
	}
	return codec.Secret{Name: full, Resource: full}
}

// sealDocument returns d as it is to be stored. The codec may ask a service for it, as long as one step may take.
func (s *Store) sealDocument(ctx context.Context, name string, d codec.Document) (codec.Document, error) {
	if s.sealer == nil {
		return d, nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	d, err := s.sealer.Seal(bounded, s.sealed(name), d)
	return d, s.failure(ctx, bounded, err)
}

// openDocument is the inverse of sealDocument. current reports whether that would use the same key now.
func (s *Store) openDocument(ctx context.Context, name string, d codec.Document) (opened codec.Document, current bool, err error) {
	if s.sealer == nil {
		return d, true, nil
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	opened, current, err = s.sealer.Open(bounded, s.sealed(name), d)
	return opened, current, s.failure(ctx, bounded, err)
}

// resealed returns the record with its document under the newest key; as it is if that cannot be had.
func (s *Store) resealed(ctx context.Context, name string, r Record) Record {
	d, current, err := s.openDocument(ctx, name, r.Document)
	if err != nil || current {
		return r
	}
	if d, err = s.sealDocument(ctx, name, d); err == nil {
		r.Document = d
	}
	return r
}
