package tokensource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"
)

// A recorder sees the answer to one token request before package oauth2 does, which keeps no status of an answer that
// it cannot read, and cannot read one in which expires_in is no whole number, a description no text, or which is JSON
// under another name: a refresh token beside it would be lost.
type recorder struct {
	base    http.RoundTripper
	status  int            // of an answer that has come in full
	members map[string]any // that it has, where it is a JSON object
}

// maxAnswer is how many bytes of an answer are read, as in package oauth2.
const maxAnswer = 1 << 20

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	base := r.base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	r.status = resp.StatusCode
	if json.Unmarshal(body, &r.members) == nil && r.members != nil {
		resp.Header = jsonHeader(resp.Header)
		body = r.readable(body)
	}
	resp.Body = &readBody{bytes.NewReader(body), resp.Body}
	resp.ContentLength = int64(len(body))
	return resp, nil
}

// jsonHeader is the header of an answer that is JSON, whatever it says.
func jsonHeader(h http.Header) http.Header {
	own := make(http.Header, len(h)+1)
	maps.Copy(own, h)
	own.Set("Content-Type", "application/json")
	return own
}

// readable is the body of an answer without what package oauth2 may not be able to read, and is not asked for.
func (r *recorder) readable(body []byte) []byte {
	rest := make(map[string]json.RawMessage)
	if json.Unmarshal(body, &rest) != nil {
		return body
	}
	for _, member := range []string{expiresInMember, "error_description", "error_uri"} {
		delete(rest, member)
	}
	if _, ok := r.members["error"].(string); !ok {
		delete(rest, "error")
	}
	without, err := json.Marshal(rest)
	if err != nil {
		return body
	}
	return without
}

// readBody is a body that was read.
type readBody struct {
	io.Reader
	io.Closer
}

// error makes a ProviderError of what package oauth2 says, of which nothing but the code is kept.
func (r *recorder) error(ctx context.Context, err error) error {
	var refused *oauth2.RetrieveError
	var sent *url.Error
	switch {
	case errors.As(err, &refused):
		return &ProviderError{
			Status: refused.Response.StatusCode, Code: code(refused.ErrorCode), RetryAfter: retryAfter(refused.Response),
		}
	case ctx.Err() != nil:
		return &ProviderError{Err: ctx.Err()}
	case errors.As(err, &sent):
		return &ProviderError{Err: sent.Err} // the URL may hold what is nobody's business
	default:
		return &ProviderError{Status: r.status} // there was an answer, and it is no token
	}
}
